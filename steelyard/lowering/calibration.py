"""What a quantized program is calibrated on: the inputs that its calls get when a point's input sets are run."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from steelyard.core.workload import Point
from steelyard.lowering.cached import Entry
from steelyard.lowering.declared import run
from steelyard.lowering.references import read_point
from steelyard.lowering.source import build_with, load_weights
from steelyard.lowering.weights import FILE
from steelyard.measure.driver import driver_of

if TYPE_CHECKING:
    import torch

    Tensors = Mapping[str, torch.Tensor]

Samples = Callable[[], Sequence["Tensors"]]

_MOST = 32
"""So many calls are kept of a program that runs often, evenly spread: a cache is among what each gets."""


def samples_of(point: Point, role: str, entry: Entry, weights: Mapping[str, Entry]) -> Samples:
    """The inputs of the calls of a role's program, by name. `entry` holds the point's input sets, `weights` are by the
    key of each set; nothing is read or run before they are asked for."""
    return partial(_samples, point, role, entry, weights)


def _samples(point: Point, role: str, entry: Entry, weights: Mapping[str, Entry]) -> "Sequence[Tensors]":
    from safetensors.torch import load_file

    pool, _ = read_point(entry)
    inputs: list[Tensors] = [load_file(each.inputs) for each in pool]
    if len(point.programs) == 1:
        return inputs
    modules = {}
    for name, program in point.programs.items():
        file = weights[program.weights.key].path / FILE
        modules[name] = build_with(program, load_weights(file), in_place=False, file=file)
    seen: list[Tensors] = []

    def call(name: str, given: "Tensors") -> "dict[str, torch.Tensor]":
        if name == role:
            seen.append({key: tensor.clone() for key, tensor in given.items()})
        return run(point.programs[name], modules[name], given)

    for _ in driver_of(point).compute(point, inputs, [each.tokens for each in pool], call):
        continue
    return seen[:: -(-len(seen) // _MOST)]
