"""What vendors declare of a device model: peaks, memory, power. Every value carries the document it was read in."""

import datetime
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from math import isclose
from typing import Any

from steelyard.core.errors import SteelyardError
from steelyard.hardware.printed import base_units

STANDINGS = ("vendor", "reprint", "third_party")
DTYPES = ("float64", "float32", "tf32", "bfloat16", "float16", "float8", "float4", "int8", "int4")
# The unit that a field's printed figure has in base units; None: text or a year, kept as printed.
QUANTITIES: dict[str, str | None] = {
    "memory_bytes": "B",
    "memory_bandwidth_bytes_per_s": "B/s",
    "interconnect_bytes_per_s": "B/s",
    "power_limit_w": "W",
    "process": None,
    "year": None,
}
PEAKS = ("peak_dense_per_s", "peak_sparse_per_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A document that was read. `standing`: the vendor's own, a reprint of it, or a third party's."""

    document: str
    publisher: str
    standing: str
    url: str
    date: str  # as the document gives it; "undated" where it gives none
    read: datetime.date


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One value in base units, the figure as printed, and where. `factor` stands between the two, with its reason."""

    value: float | int | str
    printed: str
    place: str
    source: Source
    factor: float = 1.0
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareProfile:
    """The declared figures of one device model. None, or a dtype that is missing: its source was not read.

    Peaks are operations per second, dense and with structured sparsity apart. The interconnect is the rate between
    devices of one node, both directions together unless the fact's place says otherwise.
    """

    model: str
    kind: str
    names: tuple[str, ...]
    devices: int | None  # devices that a runtime shows for what is described here; None: not read
    note: str | None
    peak_dense_per_s: dict[str, Fact]
    peak_sparse_per_s: dict[str, Fact]
    memory_bytes: Fact | None = None
    memory_bandwidth_bytes_per_s: Fact | None = None
    interconnect_bytes_per_s: Fact | None = None
    power_limit_w: Fact | None = None
    process: Fact | None = None
    year: Fact | None = None

    @property
    def facts(self) -> dict[str, Fact]:
        """Every known fact by its field, peaks as `peak_dense_per_s.float16`."""
        peaks = {f"{field}.{dtype}": fact for field in PEAKS for dtype, fact in getattr(self, field).items()}
        return peaks | {field: fact for field in QUANTITIES if (fact := getattr(self, field)) is not None}

    def matches(self, name: str) -> bool:
        """Whether a device of this name, in any case, is this model."""
        return any(fnmatchcase(name.casefold(), pattern.casefold()) for pattern in self.names)


def profile_of(device_name: str, kind: str) -> HardwareProfile | None:
    """The profile whose name patterns the device's name fits; None where no file describes it.

    Raises SteelyardError if two profiles fit.
    """
    fits = [profile for profile in profiles() if profile.kind == kind and profile.matches(device_name)]
    if len(fits) > 1:
        models = ", ".join(profile.model for profile in fits)
        raise SteelyardError(f"'{device_name}' ({kind}) fits the hardware profiles of {models}: narrow their names")
    return fits[0] if fits else None


@cache
def profiles() -> tuple[HardwareProfile, ...]:
    """All profiles, by file name. Raises SteelyardError naming the file and the field that is wrong."""
    directory = resources.files("steelyard.hardware_profiles")
    files = sorted((path for path in directory.iterdir() if path.name.endswith(".toml")), key=lambda path: path.name)
    return tuple(parse_profile(path.read_text("utf-8"), path.name) for path in files)


def parse_profile(text: str, name: str) -> HardwareProfile:
    """The profile of a TOML file's text; `name` is for messages. Raises SteelyardError."""
    try:
        raw = tomllib.loads(text)
        sources = {key: _source(value) for key, value in raw.pop("sources").items()}
        given = {field: _peaks(raw.pop(field, {}), field, sources) for field in PEAKS}
        known = [field for field in QUANTITIES if field in raw]
        facts = {field: _fact(raw.pop(field), field, QUANTITIES[field], sources) for field in known}
        optional = {"devices": raw.pop("devices", None), "note": raw.pop("note", None)}
        fields: dict[str, Any] = raw | {"names": tuple(raw["names"])} | optional | given | facts
        return HardwareProfile(**fields)
    except (KeyError, TypeError, ValueError, SteelyardError) as error:
        raise SteelyardError(f"hardware_profiles/{name}: {error}; docs/hardware.md says what a file holds") from error


def _source(raw: dict[str, Any]) -> Source:
    source = Source(**raw)
    if source.standing not in STANDINGS:
        raise ValueError(f"standing '{source.standing}' is none of {', '.join(STANDINGS)}")
    return source


def _peaks(raw: dict[str, Any], field: str, sources: dict[str, Source]) -> dict[str, Fact]:
    if unknown := sorted(set(raw) - set(DTYPES)):
        raise ValueError(f"{field} has the unknown dtype {unknown[0]}")
    return {dtype: _fact(value, f"{field}.{dtype}", "1/s", sources) for dtype, value in raw.items()}


def _fact(raw: dict[str, Any], field: str, unit: str | None, sources: dict[str, Source]) -> Fact:
    """A fact whose value follows from what is printed; ValueError where it does not."""
    fact = Fact(**(raw | {"source": sources[raw["source"]]}))
    if (fact.factor == 1.0) != (fact.reason is None):
        raise ValueError(f"{field}: a factor other than 1 and its reason go together")
    if unit is None:
        if str(fact.value) != fact.printed:
            raise ValueError(f"{field} is {fact.value}, but '{fact.printed}' is printed")
        return fact
    figure, printed_unit = base_units(fact.printed)
    if printed_unit != unit or isinstance(fact.value, str) or not isclose(figure * fact.factor, fact.value):
        raise ValueError(f"{field} is {fact.value} {unit}, but '{fact.printed}' x {fact.factor} is printed")
    return fact
