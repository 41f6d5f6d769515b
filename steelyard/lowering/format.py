"""What every format shares: the exported program that goes in, the draft that comes out, and what it is."""

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from steelyard import plugins
from steelyard.core.errors import LoweringError, MissingPackage, UsageError
from steelyard.core.lowered import Artifact
from steelyard.core.workload import Program
from steelyard.lowering.cache import Cache

if TYPE_CHECKING:
    import torch

LOWERING_VERSION = 1
"""Raised whenever the code here changes what lies in an entry of the cache."""

WEIGHTS_MADE_BY = ("torch", "transformers", "safetensors", "gguf")
"""Packages whose versions may change the values of weights, and with them the references computed from these."""

Side = Literal["input", "output"]
SIDES: tuple[Side, Side] = ("input", "output")

EAGER_FORMAT = "module"
"""Listed by runners that build the original module: nothing but weights is needed for it."""

GRAPH = "graph"
"""The format of the source graph, which no runner needs and traced runs have made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
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


Convert = Callable[[Exported, Path, str | None], Draft]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unquantized:
    """A program in a format, to be quantized. `samples` are inputs by name of calls of it, to calibrate on."""

    program: Program
    artifact: Artifact
    weights_file: Path
    samples: "Sequence[Mapping[str, torch.Tensor]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """How a kind of quantization is done in a format: `apply(unquantized, directory)` writes the quantized program into
    an empty directory. The versions of `packages`, which the `extra` of this project installs, and `revision` enter the
    key; without `calibrated` it gets no samples.
    """

    apply: Callable[[Unquantized, Path], Draft]
    packages: tuple[str, ...]
    extra: str
    calibrated: bool = False
    revision: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A form in which runtimes take programs: a file or folder in `steelyard/formats/`.

    `convert(source, directory, option)` writes it into an empty directory. The versions of `packages` enter the key of
    what it made, as does `revision`, which is raised when the format itself changes what it writes; `extra` is the one
    of this project that installs them. `options` are its variants, asked for as `name@option`, and so are its
    `quantizations` (`steelyard.core.quantization`), which start from the artifact of the plain format. `load` gives a
    runner the program back where reading the files is not the runtime's own business; `save(model, program, directory)`
    writes one that another source has as the runtime's own object. A converter that `leaves_traces` in its process runs
    after all others.
    """

    name: str
    packages: tuple[str, ...]
    extra: str
    convert: Convert
    revision: str = ""
    options: tuple[str, ...] = ()
    quantizations: Mapping[str, Quantization] = field(default_factory=dict)
    load: Callable[..., Any] | None = None
    save: Callable[..., Draft] | None = None
    leaves_traces: bool = False


def format_of(name: str) -> tuple[Format, str | None]:
    """The format of `onnx` or `onnx@20`, and the variant. Raises UsageError for an unknown one of either."""
    head, _, option = name.partition("@")
    form = cast(Format, plugins.format_(head))
    variants = (*form.options, *form.quantizations)
    if option and option not in variants:
        valid = ", ".join(f"{head}@{each}" for each in variants) or head
        raise UsageError(f"the format {head} has no variant '{option}'. Valid: {valid}")
    return form, option or None


def quantization_of(name: str) -> tuple[Quantization, str] | None:
    """How `onnx@int8` is made, and of which format; None for one that is not quantized."""
    form, option = format_of(name)
    found = form.quantizations.get(option or "")
    return None if found is None else (found, form.name)


def require(name: str) -> None:
    """Raises MissingPackage, naming the command, if a package that makes the format is not installed."""
    form, quantized = format_of(name)[0], quantization_of(name)
    needed = [(package, form.extra) for package in form.packages]
    if quantized:
        needed += [(package, quantized[0].extra) for package in quantized[0].packages]
    for package, extra in needed:
        if package not in versions(package):
            raise MissingPackage(package, extra)


def made_with(name: str, platform: str) -> dict[str, str]:
    """The versions that enter the key of a format's artifact, and its variant."""
    form, option = format_of(name)
    quantized = quantization_of(name)
    found = versions("torch", "transformers", *form.packages, *(quantized[0].packages if quantized else ()))
    if form.revision:
        found["revision"] = form.revision
    if quantized and quantized[0].revision:
        found["quantization"] = quantized[0].revision
    return {**found, "variant": option or "", "platform": platform}


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
