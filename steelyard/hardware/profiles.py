"""Hardware profiles, of this installation and of the user: read, checked, and found by a device's name."""

import os
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import resources
from math import isclose
from pathlib import Path
from typing import Any

from steelyard.core.backend import Device
from steelyard.core.errors import SteelyardError, UsageError
from steelyard.core.profile import PEAKS, QUANTITIES, Fact, HardwareProfile, SourceDocument
from steelyard.hardware.printed import base_units

VARIABLE = "STEELYARD_PROFILES"
"""Names the user's own profiles: TOML files, or folders of them, separated as in PATH."""

STANDINGS = ("vendor", "reprint", "third_party")
DTYPES = ("float64", "float32", "tf32", "bfloat16", "float16", "float8", "float4", "int8", "int4")


def declared(device: Device) -> HardwareProfile | None:
    """What is declared of a device as runtimes show it: of a module of several, that of one. None without a profile.

    Raises SteelyardError if two profiles fit.
    """
    found = profile_of(device.name, device.kind)
    return None if found is None else found.of_one_device()


def profile_of(device_name: str, kind: str) -> HardwareProfile | None:
    """The profile of the model whose name patterns the device's name fits; None where no file describes it.

    Raises SteelyardError if two profiles fit.
    """
    fits = [profile for profile in profiles() if profile.kind == kind and profile.matches(device_name)]
    if len(fits) > 1:
        models = ", ".join(profile.model for profile in fits)
        raise SteelyardError(f"'{device_name}' ({kind}) fits the hardware profiles of {models}: narrow their names")
    return fits[0] if fits else None


@cache
def profiles() -> tuple[HardwareProfile, ...]:
    """All profiles by file name, the user's own last. Raises SteelyardError naming the file and the field that is
    wrong."""
    directory = resources.files("steelyard.hardware_profiles")
    files = sorted((path for path in directory.iterdir() if path.name.endswith(".toml")), key=lambda path: path.name)
    installed = [parse_profile(path.read_text("utf-8"), f"hardware_profiles/{path.name}") for path in files]
    return (*installed, *map(read_profile, _own_files()))


def read_profile(path: Path) -> HardwareProfile:
    """The profile in a file of the user's own. Raises SteelyardError."""
    try:
        return parse_profile(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise SteelyardError(f"{path}: cannot be read: {error}") from error


def _own_files() -> Iterator[Path]:
    for entry in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        path = Path(entry)
        if not path.exists():
            raise UsageError(
                f"{VARIABLE} names '{entry}', and there is no such file or folder: correct it, or unset it"
            )
        yield from sorted(path.glob("*.toml")) if path.is_dir() else (path,)


def parse_profile(text: str, name: str) -> HardwareProfile:
    """The profile of a TOML file's text; `name` is the file's, for messages. Raises SteelyardError."""
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
        raise SteelyardError(f"{name}: {error}; docs/hardware.md says what a file holds") from error


def _source(raw: dict[str, Any]) -> SourceDocument:
    source = SourceDocument(**raw)
    if source.standing not in STANDINGS:
        raise ValueError(f"standing '{source.standing}' is none of {', '.join(STANDINGS)}")
    return source


def _peaks(raw: dict[str, Any], field: str, sources: dict[str, SourceDocument]) -> dict[str, Fact]:
    if unknown := sorted(set(raw) - set(DTYPES)):
        raise ValueError(f"{field} has the unknown dtype {unknown[0]}")
    return {dtype: _fact(value, f"{field}.{dtype}", "1/s", sources) for dtype, value in raw.items()}


def _fact(raw: dict[str, Any], field: str, unit: str | None, sources: dict[str, SourceDocument]) -> Fact:
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
