"""`exported`: a saved program of `torch.export` (`FILE.pt2`). It runs wherever a torch module does.

Nothing in the file is unpickled, imported or evaluated (see `archive` and `graph`): what is kept of it, in the entry of
the point's weights, is the program as JSON and tensors in safetensors files.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.core.errors import CheckpointError, UsageError
from steelyard.core.hashing import file_sha256
from steelyard.core.reason import reason_of
from steelyard.core.workload import Program, TensorSpec, Weights
from steelyard.lowering.own.files import all_are_inputs, computes_in, known_dtype, spec_of, unchanged
from steelyard.lowering.own.inputs import seeded
from steelyard.lowering.own.modules import OwnModule
from steelyard.lowering.own.references import tensors_of
from steelyard.lowering.source import load_weights
from steelyard.lowering.weights import FILE
from steelyard.sources.exported.archive import Archive, dtype_of, read
from steelyard.sources.exported.graph import cleaned, extent_of, inputs_of

if TYPE_CHECKING:
    import torch

    Tensors = Mapping[str, torch.Tensor]

_HERE = "steelyard.sources.exported"
_PROGRAM, _CONSTANTS = "program.json", "constants.safetensors"


def write(arguments: Mapping[str, Any], directory: Path, local: Path | None) -> None:
    """Keep the program, its weights, each once, and its constants."""
    from safetensors.torch import save_file

    path = unchanged(local, arguments["sha256"], "exported program")
    found = read(path)
    stored = _stored(found.weights)
    kept = {"program": cleaned(path, found.program), "stored": stored}
    (directory / _PROGRAM).write_text(json.dumps(kept))
    save_file({name: found.weights[name] for name in set(stored.values())}, directory / FILE)
    save_file({name: tensor.clone() for name, tensor in found.constants.items()}, directory / _CONSTANTS)


def build(*, in_place: bool, folder: str) -> "torch.nn.Module":
    """The module of what `write` has kept in a folder."""
    del in_place
    kept = json.loads((Path(folder) / _PROGRAM).read_text())
    tensors = load_weights(Path(folder) / FILE)
    weights = {name: tensors[stored] for name, stored in kept["stored"].items()}
    return _module(kept["program"], weights, load_weights(Path(folder) / _CONSTANTS))


class _Exported(OwnModule):
    name = "exported"
    suffixes = (".pt2",)

    def program_of(self, path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Program:
        """See `Source`. What comes out is read off one call."""
        found = read(path)
        program = _cleaned(path, found)
        inputs = tuple(
            spec_of(path, name, [extent_of(size) for size in meta["sizes"]], dtype_of(meta["dtype"]), shapes)
            for name, meta in inputs_of(program).items()
        )
        all_are_inputs(path, shapes, inputs)
        _check_extents(path, program, inputs)
        floats = (str(each.dtype).removeprefix("torch.") for each in found.weights.values() if each.is_floating_point())
        draft = Program(
            name=path.stem,
            source=f"{_HERE}:build",
            arguments={"folder": ""},
            weights=Weights(source=f"{_HERE}:write", arguments={"sha256": file_sha256(path)}, origin="checkpoint"),
            dtype=known_dtype(path, "the weights", next(floats, computes_in(inputs))),
            inputs=inputs,
            outputs=(),
            kind=self.name,
        )
        return replace(draft, outputs=_outputs(path, draft, program, found))


def _cleaned(path: Path, found: Archive) -> dict[str, Any]:
    """The program as it is kept. Raises CheckpointError for one whose JSON is not of the form that torch writes."""
    try:
        return cleaned(path, found.program)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path.name}: its program is not of the form that torch writes: {error!r}") from error


def _outputs(path: Path, program: Program, kept: Mapping[str, Any], found: Archive) -> tuple[TensorSpec, ...]:
    """What a call gives. Raises CheckpointError where torch cannot make the program, UsageError where it cannot run."""
    import torch

    try:
        module = _module(kept, found.weights, found.constants)
    except Exception as error:  # whatever torch says of a foreign program
        raise CheckpointError(f"{path.name}: torch {torch.__version__} cannot read it: {reason_of(error)}") from error
    try:
        with torch.no_grad():
            returned = module(*tensors_of(program, seeded(program, 0)).values())
    except Exception as error:
        raise UsageError(f"{path.name}: PyTorch cannot run it with these shapes: {reason_of(error)}") from error
    names = [f"output{index}" for index in range(len(returned))] if len(returned) != 1 else ["output"]
    return tuple(
        TensorSpec(
            name=name,
            shape=tuple(tensor.shape),
            dtype=known_dtype(path, name, str(tensor.dtype).removeprefix("torch.")),
        )
        for name, tensor in zip(names, returned, strict=True)
    )


def _module(program: Mapping[str, Any], weights: "Tensors", constants: "Tensors") -> "torch.nn.Module":
    """A cleaned program with its tensors, called by position; returns a tuple."""
    import torch
    from torch._export.serde.schema import ExportedProgram
    from torch._export.serde.serialize import ExportedProgramDeserializer, _dict_to_dataclass

    specs = program["graph_module"]["signature"]["input_specs"]
    parameters = {spec["parameter"]["parameter_name"] for spec in specs if "parameter" in spec}
    shared = {id(tensor): torch.nn.Parameter(tensor, requires_grad=False) for tensor in weights.values()}
    state = {name: shared[id(tensor)] if name in parameters else tensor for name, tensor in weights.items()}
    read = ExportedProgramDeserializer().deserialize(_dict_to_dataclass(ExportedProgram, program), state, constants)
    module = read.module(check_guards=False)
    module.graph.set_codegen(torch.fx.graph.CodeGen())  # by position, as the program is called here
    whole = torch.fx.GraphModule(module, module.graph)
    for name, tensor in constants.items():  # buffers that no file of weights holds, which a cast does not pass by
        owner, _, leaf = name.rpartition(".")
        if hasattr(holder := whole.get_submodule(owner), leaf):
            delattr(holder, leaf)
            holder.register_buffer(leaf, tensor, persistent=False)
    return whole


def _check_extents(path: Path, program: Mapping[str, Any], inputs: Sequence[TensorSpec]) -> None:
    """Raises UsageError for extents that the program says cannot be, or that are the same and are given as two."""
    known: dict[str, int] = {}
    for spec, meta in zip(inputs, inputs_of(program).values(), strict=True):
        for symbol, extent in zip(map(extent_of, meta["sizes"]), spec.shape, strict=True):
            bounds = program["range_constraints"].get(symbol, {})
            low, high = bounds.get("min_val"), bounds.get("max_val")
            if (low is not None and extent < low) or (high is not None and extent > high):
                raise UsageError(
                    f"--shape {spec.name}: {extent} is not within {low} to {high}, for which it was exported"
                )
            if isinstance(symbol, str) and symbol != "?" and known.setdefault(symbol, extent) != extent:
                raise UsageError(
                    f"--shape {spec.name}: {extent} stands for the same extent '{symbol}' of {path.name} as "
                    f"{known[symbol]} before: give the same"
                )


def _stored(weights: "Tensors") -> dict[str, str]:
    """For every name the one under which its tensor is kept: tied ones have several."""
    first: dict[int, str] = {}
    return {name: first.setdefault(id(tensor), name) for name, tensor in weights.items()}


SOURCE = _Exported()
