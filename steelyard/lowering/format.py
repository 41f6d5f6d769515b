"""What every format shares: the exported program that goes in, the draft that comes out, and the roll of formats.

A format is a module with `PACKAGES` (whose versions enter the cache key), `EXTRA` (of this project,
which installs them), `convert(source, directory, option) -> Draft`, which writes into an empty directory,
and perhaps `REVISION`, raised when the module itself changes what it writes.
"""

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from steelyard.core.errors import LoweringError, MissingPackage, UsageError, unknown_name
from steelyard.core.workload import Program
from steelyard.lowering.cache import Cache

if TYPE_CHECKING:
    import torch

LOWERING_VERSION = 1
"""Raised whenever the code here changes what lies in an entry of the cache."""

WEIGHTS_MADE_BY = ("torch", "transformers", "safetensors", "gguf")
"""Packages whose versions may change the values of weights, and with them the references computed from these."""

FORMATS: Mapping[str, str] = {
    "onnx": "steelyard.lowering.onnx_format",
    "stablehlo": "steelyard.lowering.stablehlo_format",
    "openvino": "steelyard.lowering.openvino_format",
    "pt2": "steelyard.lowering.pt2_format",
}

Side = Literal["input", "output"]
SIDES: tuple[Side, Side] = ("input", "output")

EAGER_FORMAT = "module"
"""Listed by runners that build the original module: nothing but weights is needed for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A program after `torch.export`, with what a format may refer to.

    `tensors` are the stored weights by their name in `weights_file`; `stored` maps each parameter's
    name in the module to that name, so that tied parameters meet. `weights_key` is the cache key of
    the weights; `platform` the device kind that the artifact is for.
    """

    program: Program
    exported: "torch.export.ExportedProgram"
    tensors: "Mapping[str, torch.Tensor]"
    stored: Mapping[str, str]
    weights_file: Path
    weights_key: str
    platform: str
    cache: Cache

    @property
    def weight_bytes(self) -> int:
        """Bytes of all stored tensors, tied ones once."""
        return sum(tensor.nbytes for tensor in self.tensors.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a format has written; inputs and outputs are the program's, in its order. See `Artifact`."""

    entry: str
    weight_bytes: int
    weight_note: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


Convert = Callable[[Source, Path, str | None], Draft]


def convert(name: str) -> Convert:
    """The converter of a format given as `name` or `name@option`."""
    return cast(Convert, importlib.import_module(FORMATS[split(name)[0]]).convert)


def split(name: str) -> tuple[str, str | None]:
    """`onnx@20` as (`onnx`, `20`). Raises UsageError for an unknown format or an option it does not take."""
    head, _, option = name.partition("@")
    if head not in FORMATS:
        raise unknown_name("format", name, FORMATS)
    options = getattr(importlib.import_module(FORMATS[head]), "OPTIONS", ())
    if option and option not in options:
        valid = ", ".join(f"{head}@{each}" for each in options) or head
        raise UsageError(f"the format {head} has no variant '{option}'. Valid: {valid}")
    return head, option or None


def require(name: str) -> None:
    """Raises MissingPackage, naming the command, if a package of the format is not installed."""
    module = importlib.import_module(FORMATS[split(name)[0]])
    for package in module.PACKAGES:
        if importlib.util.find_spec(package.replace("-", "_")) is None:
            raise MissingPackage(package, module.EXTRA)


def made_with(name: str, platform: str) -> dict[str, str]:
    """The versions that enter the key of a format's artifact, and its variant."""
    head, option = split(name)
    module = importlib.import_module(FORMATS[head])
    found = versions("torch", "transformers", *module.PACKAGES)
    if revision := getattr(module, "REVISION", ""):
        found["revision"] = revision
    return {**found, "variant": str(option or getattr(module, "DEFAULT", "")), "platform": platform}


def versions(*packages: str) -> dict[str, str]:
    """Installed versions; an absent package is left out. Always with this project's own lowering version."""
    found = {"steelyard.lowering": str(LOWERING_VERSION)}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def check_ends(program: Program, form: str, kind: Side, found: Sequence[tuple[tuple[int, ...], str]]) -> None:
    """Hold shapes and dtypes of an artifact's inputs or outputs, in its order, against the program's.

    Formats that know no 64-bit integers may narrow them. Raises LoweringError naming the first
    difference: a dropped, added or exchanged one means that the conversion changed the computation.
    """
    specs = program.inputs if kind == "input" else program.outputs
    if len(found) != len(specs):
        names = ", ".join(spec.name for spec in specs[:6]) + (", ..." if len(specs) > 6 else "")
        raise LoweringError(f"{program.name} as {form}: {len(found)} {kind}s instead of {len(specs)} ({names})")
    for spec, (shape, dtype) in zip(specs, found, strict=True):
        same = dtype == spec.dtype or (spec.dtype, dtype) == ("int64", "int32")
        if shape != spec.shape or not same:
            raise LoweringError(
                f"{program.name} as {form}: {kind} '{spec.name}' is {dtype}{list(shape)} "
                f"instead of {spec.dtype}{list(spec.shape)}"
            )
