"""Names to what a file, an entry point of an installed package or `module.path:Attr` exports.

| kind | folder and group of entry points | a file exports |
| --- | --- | --- |
| backend | `steelyard.runners` | `RUNNERS = {"name": Class}` |
| suite | `steelyard.suites` | `SUITE` |
| driver | `steelyard.drivers` | `DRIVER` |
| source | `steelyard.sources` | `SOURCE` |
| format | `steelyard.formats` | `FORMAT` |
| section | `steelyard.sections` | `SECTION` |
| report | `steelyard.reports` | `REPORT` |
| figure | `steelyard.reports.figures` | `FIGURE` |

A name offered twice, and what a package offers and cannot be used, is an error for whoever asks for that name, and for
nobody else.
"""

import contextlib
import importlib
import importlib.metadata
import pkgutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import ModuleType
from typing import Any, Literal, cast

from steelyard.core.backend import BackendSpec, parse_backend
from steelyard.core.errors import SteelyardError, UsageError, unknown_name
from steelyard.core.reason import reason_of
from steelyard.core.runner import Runner
from steelyard.core.workload import Suite

Kind = Literal["backend", "suite", "driver", "source", "format", "section", "report", "figure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a kind is found: the package whose files are looked at, which is also the group of entry points; what such
    a file exports; and what an entry must be."""

    package: str
    attribute: str
    fits: Callable[[Any], bool]
    must_be: str


_PLACES: Mapping[Kind, _Place] = {
    "backend": _Place(
        package="steelyard.runners",
        attribute="RUNNERS",
        fits=lambda entry: isinstance(entry, type) and issubclass(entry, Runner),
        must_be="a subclass of steelyard.core.runner.Runner",
    ),
    "suite": _Place(
        package="steelyard.suites",
        attribute="SUITE",
        fits=lambda entry: isinstance(entry, Suite),
        must_be="a steelyard.core.workload.Suite",
    ),
    "driver": _Place(
        package="steelyard.drivers",
        attribute="DRIVER",
        fits=lambda entry: all(hasattr(entry, name) for name in ("name", "programs", "metrics", "bind")),
        must_be="an instance of a steelyard.measure.driver.Driver",
    ),
    "source": _Place(
        package="steelyard.sources",
        attribute="SOURCE",
        fits=lambda entry: all(hasattr(entry, name) for name in ("name", "references", "open")),
        must_be="an instance of a steelyard.lowering.origin.Source",
    ),
    "format": _Place(
        package="steelyard.formats",
        attribute="FORMAT",
        fits=lambda entry: all(hasattr(entry, name) for name in ("name", "packages", "convert")),
        must_be="a steelyard.lowering.format.Format",
    ),
    "section": _Place(
        package="steelyard.sections",
        attribute="SECTION",
        fits=lambda entry: all(hasattr(entry, name) for name in ("name", "tables")),
        must_be="a steelyard.tables.section.Section",
    ),
    "report": _Place(
        package="steelyard.reports",
        attribute="REPORT",
        fits=lambda entry: all(hasattr(entry, name) for name in ("name", "draws", "write")),
        must_be="a report, which has name, draws and write",
    ),
    "figure": _Place(
        package="steelyard.reports.figures",
        attribute="FIGURE",
        fits=lambda entry: all(hasattr(entry, name) for name in ("name", "title", "draw")),
        must_be="a figure, which has name, title and draw",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A name, the distribution that offers it, and what it stands for, or `reason` why that cannot be used."""

    kind: Kind
    name: str
    distribution: str = "steelyard"
    entry: Any = None
    reason: str = ""

    @property
    def problem(self) -> str:
        """Whose it is and why it cannot be used; empty where it can."""
        return self.reason and f"offered by {self.distribution}: {self.reason}"


def load_attribute(path: str) -> Any:
    """The object behind `module.path:attr`, or the module `module.path`. Raises UsageError saying what is wrong."""
    module_name, _, attribute = path.partition(":")
    if module_name.endswith(".py"):
        raise UsageError(f"'{path}': name the module without .py: {path.replace('.py', '', 1)}")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise UsageError(f"'{path}': cannot import module '{module_name}': {error}") from error
    except Exception as error:  # whatever its own code raises
        raise UsageError(f"'{path}': importing module '{module_name}' failed: {reason_of(error)}") from error
    if attribute and not hasattr(module, attribute):
        raise UsageError(f"'{path}': module '{module_name}' has no attribute '{attribute}'")
    return getattr(module, attribute) if attribute else module


def backend(text: str) -> BackendSpec:
    """A backend as the user spells it. What stands behind the colon is the provider of a registered name, and the class
    in the module of any other."""
    spec = parse_backend(text)
    if spec.provider is None or spec.runner in _offers("backend"):
        return spec
    return replace(spec, runner=f"{spec.runner}:{spec.provider}", provider=None)


def runner(name: str) -> type[Runner]:
    """The runner of a registered name or of `module.path:Class`.

    Of other packages only its own is imported: no launch holds the framework of a backend that it does not run.
    """
    return cast(type[Runner], _named("backend", name, name))


def _runner_in_module(name: str) -> Any:
    """What a module holds; where there is no such module either, the error says that the name is not registered."""
    try:
        return load_attribute(name)
    except UsageError as error:
        if "." in (head := name.partition(":")[0]):
            raise
        told = unknown_name("backend", head, runners())
        raise UsageError(f"{told}. Nor is it a module to be had: {error}") from error


def suite(name: str) -> Suite:
    """The suite of a registered name or of `module.path:attr`."""
    return cast(Suite, _named("suite", name))


def runners() -> Mapping[str, type[Runner]]:
    """All registered runners. Imports no runtime: runner files import theirs inside methods."""
    return _usable("backend")


def suites() -> Mapping[str, Suite]:
    """All registered suites."""
    return _usable("suite")


def driver(name: str) -> Any:
    """The driver of a registered name or of `module.path:attr`. Raises UsageError for a name that nothing offers."""
    return _named("driver", name)


def drivers() -> Mapping[str, Any]:
    """All registered drivers."""
    return _usable("driver")


def source(name: str) -> Any:
    """The source of a registered name. Raises UsageError for a name that nothing installed offers."""
    return _named("source", name)


def sources() -> Mapping[str, Any]:
    """All registered sources."""
    return _usable("source")


def format_(name: str) -> Any:
    """The format of a registered name, without a variant. Raises UsageError for one that nothing installed offers."""
    return _named("format", name)


def sections() -> Mapping[str, Any]:
    """All registered sections of the report."""
    return _usable("section")


def report(name: str) -> Any:
    """The report of a registered name or of `module.path:attr`."""
    return _named("report", name)


def reports() -> Mapping[str, Any]:
    """All registered reports."""
    return _usable("report")


def figures() -> Mapping[str, Any]:
    """All registered figures."""
    return _usable("figure")


def unusable(*kinds: Kind) -> tuple[Offer, ...]:
    """What other packages offer of these kinds, or of all, and cannot be used; by name."""
    found = [offer for kind in kinds or _PLACES for offer in _offers(kind).values() if offer.reason]
    return tuple(sorted(found, key=lambda offer: (offer.kind, offer.name)))


def _usable(kind: Kind) -> dict[str, Any]:
    return {name: offer.entry for name, offer in _offers(kind).items() if not offer.reason}


def _named(kind: Kind, name: str, only: str = "") -> Any:
    if ":" in name:
        return _checked(kind, name, _runner_in_module(name) if kind == "backend" else load_attribute(name))
    offer = _offers(kind, only).get(name)
    if offer is None:
        own = f"{name.removesuffix('.py')}:{'Class' if kind == 'backend' else _PLACES[kind].attribute}"
        raise UsageError(f"{unknown_name(kind, name, _usable(kind))}. One of your own is named by its module: {own}")
    if offer.reason:
        raise UsageError(f"{kind} '{name}' cannot be used; {offer.problem}")
    return offer.entry


@cache
def _offers(kind: Kind, only: str = "") -> Mapping[str, Offer]:
    """Everything offered of a kind, by name; of other packages' entry points `only` that one, if it is given."""
    place = _PLACES[kind]
    offers = []
    for module in _files(place.package, place.attribute):
        exported = getattr(module, place.attribute)
        named = exported if kind == "backend" else {exported.name: exported}
        offers += [Offer(kind=kind, name=name, entry=entry) for name, entry in named.items()]
    for point in importlib.metadata.entry_points(group=place.package):
        if only in ("", point.name):
            offers.append(_offered(kind, point))
    found: dict[str, Offer] = {}
    for offer in offers:
        if (other := found.get(offer.name)) is not None:
            both = f"{other.distribution} and {offer.distribution}"
            offer = replace(
                offer, distribution=both, reason="a name stands for one thing; uninstall or rename the other"
            )
        found[offer.name] = offer
    return found


def _offered(kind: Kind, point: importlib.metadata.EntryPoint) -> Offer:
    """What an entry point stands for. Whatever comes of loading it is the reason why it cannot be used."""
    distribution = "an unnamed package" if point.dist is None else str(point.dist.name)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what a module prints as it is imported is no data of ours
            entry = _checked(kind, point.value, point.load())
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 (a module may also exit, or skip itself as a test)
        reason = f"{reason_of(error)}; update or uninstall that package"
        return Offer(kind=kind, name=point.name, distribution=distribution, reason=reason)
    return Offer(
        kind=kind, name=point.name if kind == "backend" else entry.name, distribution=distribution, entry=entry
    )


def _checked(kind: Kind, name: str, entry: Any) -> Any:
    """The entry. Raises UsageError for one that is of another kind."""
    if not _PLACES[kind].fits(entry):
        raise UsageError(f"'{name}' is not {_PLACES[kind].must_be}")
    return entry


def _files(package: str, attribute: str) -> list[ModuleType]:
    """The files and folders of a package that export `attribute`. A file without it is an error."""
    root = importlib.import_module(package)
    found = []
    for item in sorted(pkgutil.iter_modules(root.__path__), key=lambda item: item.name):
        module = importlib.import_module(f"{package}.{item.name}")
        if hasattr(module, attribute):
            found.append(module)
        elif not item.ispkg:
            raise SteelyardError(f"{module.__file__}: exports no {attribute}; see the docstring of {package}")
    return found
