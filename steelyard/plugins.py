"""Names to runners, suites, reports and figures: files in this package, entry points, or `module.path:Attr`.

A file in `runners/` exports `RUNNERS = {"name": Class}`; in `suites/` `SUITE`; in `reports/` `REPORT`;
in `reports/figures/` `FIGURE`. An installed package offers the same through the entry-point groups
`steelyard.runners`, `steelyard.suites` and `steelyard.reports`. A name given twice is an error.
"""

import importlib
import importlib.metadata
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import ModuleType
from typing import Any, cast

from steelyard.core.errors import SteelyardError, UsageError, unknown_name
from steelyard.core.runner import Runner
from steelyard.core.workload import Suite


def load_attribute(path: str) -> Any:
    """The object behind `module.path:attr`. Raises UsageError saying which half is wrong."""
    module_name, _, attribute = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise UsageError(f"'{path}': cannot import module '{module_name}': {error}") from error
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise UsageError(f"'{path}': module '{module_name}' has no attribute '{attribute}'") from None


def runner(name: str) -> type[Runner]:
    """The runner of a registered name or of `module.path:Class`."""
    if ":" in name:
        found = load_attribute(name)
        if not (isinstance(found, type) and issubclass(found, Runner)):
            raise UsageError(f"'{name}' is not a subclass of steelyard.core.runner.Runner")
        return found
    return cast(type[Runner], _pick("backend", name, runners()))


def suite(name: str) -> Suite:
    """The suite of a registered name or of `module.path:attr`."""
    found = load_attribute(name) if ":" in name else _pick("suite", name, suites())
    if not isinstance(found, Suite):
        raise UsageError(f"'{name}' is not a steelyard.core.workload.Suite")
    return found


@cache
def runners() -> Mapping[str, type[Runner]]:
    """All registered runners. Imports no runtime: runner files import theirs inside methods."""
    found: dict[str, type[Runner]] = {}
    for module in _files("steelyard.runners", "RUNNERS"):
        for name, entry in module.RUNNERS.items():
            _register("runner", found, name, entry)
    for point in importlib.metadata.entry_points(group="steelyard.runners"):
        _register("runner", found, point.name, point.load())
    return found


@cache
def suites() -> Mapping[str, Suite]:
    """All registered suites."""
    return _single("steelyard.suites", "SUITE")


@cache
def reports() -> Mapping[str, Any]:
    """All registered reports."""
    return _single("steelyard.reports", "REPORT")


@cache
def figures() -> Mapping[str, Any]:
    """All registered figures."""
    return _single("steelyard.reports.figures", "FIGURE")


def _single(package: str, attribute: str) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    entries = [getattr(module, attribute) for module in _files(package, attribute)]
    entries += [point.load() for point in importlib.metadata.entry_points(group=package)]
    for entry in entries:
        _register(attribute.lower(), found, entry.name, entry)
    return found


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


def _register(kind: str, found: dict[str, Any], name: str, entry: Any) -> None:
    if name in found:
        raise SteelyardError(f"two {kind}s are named '{name}': {found[name]!r} and {entry!r}; rename one")
    found[name] = entry


def _pick(kind: str, name: str, found: Mapping[str, Any]) -> Any:
    if name not in found:
        raise unknown_name(kind, name, found)
    return found[name]
