"""The original torch module of a program, with its weights mapped from the safetensors file.

The module's own code decides where tensors lie while it is built: a source leaves its parameters on
the meta device (so that nothing is allocated twice) and makes the buffers that no file holds, such
as rotary frequencies, for real and in the right precision.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from steelyard.core.errors import CheckpointError, SuiteError
from steelyard.core.suites_code import suites_code
from steelyard.core.workload import DType, Program
from steelyard.plugins import load_attribute

if TYPE_CHECKING:
    import torch

_SHOWN = 8


def build_module(
    program: Program, weights_file: str | Path, *, in_place: bool, device: str = "cpu", dtype: DType | None = None
) -> "torch.nn.Module":
    """The program's module in eval mode, without gradients, ready to be called with its inputs by position.

    `in_place` asks the source for the form that updates its state tensors instead of returning new
    ones. `dtype` overrides the program's (float64 for references). On the CPU and in the file's
    dtype the parameters are views of the memory-mapped file. Raises CheckpointError for missing,
    extra or misshapen tensors.
    """
    tensors = load_weights(weights_file, device=device, dtype=dtype)
    return build_with(program, tensors, in_place=in_place, device=device, dtype=dtype, file=Path(weights_file))


def build_with(
    program: Program,
    tensors: Mapping[str, "torch.Tensor"],
    *,
    in_place: bool,
    device: str = "cpu",
    dtype: DType | None = None,
    file: Path | None = None,
) -> "torch.nn.Module":
    """As `build_module`, from tensors already loaded, so that several programs share one set of weights; `file` is
    where they were loaded from.

    A source whose arguments hold `dtype` is called with the one asked for and makes its buffers
    accordingly; the floating-point buffers of any other source are cast. One whose arguments hold `folder` is called
    with the folder of the file, where it finds what else it keeps.
    """
    import torch

    arguments = dict(program.arguments)
    casts_itself = "dtype" in arguments
    if dtype is not None and casts_itself:
        arguments["dtype"] = dtype
    if "folder" in arguments and file is not None:
        arguments["folder"] = str(file.parent)
    with suites_code(f"program '{program.name}': {program.source}"):
        module = load_attribute(program.source)(in_place=in_place, **arguments)
    if not isinstance(module, torch.nn.Module):
        raise SuiteError(
            f"program '{program.name}': {program.source} returned {type(module).__name__}, not a torch module"
        )
    if unfit := _attach(module, tensors):
        if program.weights.origin == "seeded":
            raise SuiteError(f"{program.weights.source} wrote other weights than {program.source} has: {unfit}")
        raise CheckpointError(
            f"{file or 'the weights'} does not fit the model: {unfit}. Check that weights and configuration belong "
            "together."
        )
    if dtype is not None and not casts_itself:
        module.to(getattr(torch, dtype))
    if device != "cpu":
        module.to(device)
    stranded = [name for name, tensor in _tensors(module) if tensor.device.type == "meta"]
    if stranded:
        raise SuiteError(f"program '{program.name}': {program.source} left on the meta device: {_some(stranded)}")
    return module.eval().requires_grad_(False)


def load_weights(
    weights_file: str | Path, *, device: str = "cpu", dtype: DType | None = None
) -> dict[str, "torch.Tensor"]:
    """All tensors of a safetensors file by name, memory-mapped on the CPU; floating ones cast to `dtype` if given."""
    import torch
    from safetensors import SafetensorError, safe_open

    wanted = None if dtype is None else getattr(torch, dtype)
    tensors: dict[str, torch.Tensor] = {}
    try:
        with safe_open(str(weights_file), framework="pt", device=device) as file:
            for name in file.keys():  # noqa: SIM118 (not a mapping)
                tensor = file.get_tensor(name)
                tensors[name] = tensor.to(wanted) if wanted is not None and tensor.is_floating_point() else tensor
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{weights_file}: not a readable safetensors file: {error}") from error
    return tensors


def example_inputs(program: Program) -> "tuple[torch.Tensor, ...]":
    """Zeros of the program's inputs, in its order: what it is traced with."""
    import torch

    return tuple(torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype)) for spec in program.inputs)


def stored_names(module: "torch.nn.Module", tensors: Mapping[str, "torch.Tensor"]) -> dict[str, str]:
    """For every parameter and stored buffer of a module its name in the weight file.

    Tied tensors have several names in the module and one in the file.
    """
    by_tensor: dict[int, list[str]] = {}
    for name, tensor in _stored(module):
        by_tensor.setdefault(id(tensor), []).append(name)
    return {
        name: next((other for other in names if other in tensors), name)
        for names in by_tensor.values()
        for name in names
    }


def _attach(module: "torch.nn.Module", tensors: Mapping[str, "torch.Tensor"]) -> str:
    """Put the tensors into the module; otherwise what does not fit."""
    import torch

    stored = dict(_stored(module))
    in_file = stored_names(module, tensors)
    missing = sorted({name for name in in_file.values() if name not in tensors})
    extra = sorted(set(tensors) - set(in_file))
    misshapen = [
        f"{name} {list(tensors[source].shape)} instead of {list(stored[name].shape)}"
        for name, source in in_file.items()
        if source in tensors and tensors[source].shape != stored[name].shape
    ]
    faults = (("missing", missing), ("not part of the model", extra), ("of another shape", misshapen))
    said = [f"{len(names)} tensors {what}: {_some(names)}" for what, names in faults if names]
    if said:
        return "; ".join(said)
    made: dict[str, torch.Tensor] = {}
    for name, source in in_file.items():
        if source not in made:
            value = tensors[source]
            is_parameter = isinstance(stored[name], torch.nn.Parameter)
            made[source] = torch.nn.Parameter(value, requires_grad=False) if is_parameter else value
        owner, _, leaf = name.rpartition(".")
        setattr(module.get_submodule(owner), leaf, made[source])
    return ""


def _stored(module: "torch.nn.Module") -> Iterator[tuple[str, "torch.Tensor"]]:
    """Parameters and persistent buffers under all their names; `keep_vars` keeps tied ones the same object."""
    return iter(module.state_dict(keep_vars=True).items())


def _tensors(module: "torch.nn.Module") -> Iterator[tuple[str, "torch.Tensor"]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def file_places(weights_file: Path) -> dict[str, tuple[int, int]]:
    """Offset and length in bytes of every tensor in a safetensors file.

    The format is eight bytes of header length (little-endian), a JSON header with offsets relative
    to its end, then the data.
    """
    with weights_file.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(length))
    places = {name: facts["data_offsets"] for name, facts in header.items() if name != "__metadata__"}
    return {name: (8 + length + first, end - first) for name, (first, end) in places.items()}
