"""`python -m steelyard.lowering.standalone REQUEST.json`: files for others to have, without places of this machine.

A program's module as `torch.export` writes it, and a copy of an ONNX model without the places in source files that its
nodes were traced from. In a process of its own: both need frameworks, and the module is somebody's code.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard import wire
from steelyard.core.errors import SteelyardError
from steelyard.core.workload import Program
from steelyard.lowering.source import build_module, example_inputs

_PLACES = ("pkg.torch.onnx.stack_trace",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleRequest:
    """A program to be exported to `output` with its weights, in the form that updates its state in place."""

    program: Program
    weights_file: str
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """An ONNX model to be copied to `output`. Its weights in other files are not looked at."""

    model: str
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """What one process is asked for."""

    modules: tuple[ModuleRequest, ...] = ()
    models: tuple[ModelRequest, ...] = ()


def export_module(request: ModuleRequest) -> None:
    """Write the module as `.pt2`; what it returns is what is no state that it was given.

    In training's dialect of ATen, which keeps operators that work in place as they are: they update the state passed
    in, as the module itself does.
    """
    import torch

    program = request.program
    module = build_module(program, request.weights_file, in_place=True)
    held = {spec.name for spec in program.inputs if spec.role == "state"}
    new = [index for index, spec in enumerate(program.outputs) if spec.name not in held]

    class Step(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, *tensors: Any) -> Any:
            found = self.module(*tensors)
            found = (found,) if isinstance(found, torch.Tensor) else found
            return tuple([found[index] for index in new])

    with torch.no_grad():
        exported = torch.export.export(Step(), example_inputs(program), strict=False)
    for node in exported.graph.nodes:
        node.meta.pop("stack_trace", None)
    exported.example_inputs = None
    torch.export.save(exported, request.output)


def copy_model(request: ModelRequest) -> None:
    """Write the model again without the places that its nodes come from."""
    import onnx

    model = onnx.load(request.model, load_external_data=False)
    for node in model.graph.node:
        kept = [entry for entry in node.metadata_props if entry.key not in _PLACES]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    onnx.save(model, request.output)


def main(arguments: list[str]) -> int:
    """Do all that the request asks for. An error goes to stderr."""
    try:
        asked = wire.read(Path(arguments[0]), Requests)
        for module in asked.modules:
            export_module(module)
        for model in asked.models:
            copy_model(model)
    except SteelyardError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.path.append(os.getcwd())  # last: a user's file must not shadow a package
    sys.exit(main(sys.argv[1:]))
