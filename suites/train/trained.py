"""A model in training: its geometry, its batch, its parameters by name and shape, and its loss."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steelyard.lowering.catalogue import Extents, Tensor

if TYPE_CHECKING:
    import torch

    Loss = Callable[..., tuple[torch.Tensor, ...]]

Shapes = Mapping[str, tuple[int, ...]]


def _none(at: Extents) -> Shapes:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A model in training.

    `sizes` holds its geometry by size, and `axes` the axes that a user can choose on, each with its default; both
    together are the extents that everything else is made of. `batch` are the tensors of one step. `parameters` gives
    name and shape of all that gradients move, `statistics` of what a step renews without one (running means). `loss`
    returns the function of (tensors by name, *batch) that computes the loss and the new statistics, in their order.
    `flop` are the floating-point operations of the forward pass over a batch, and `items` says how many `unit` it has.
    `optimizer` is the one that it is trained with unless another is asked for.
    """

    meaning: str
    unit: str
    sizes: Mapping[str, Mapping[str, Any]]
    axes: Mapping[str, Mapping[str, int]]
    batch: Mapping[str, Tensor]
    parameters: Callable[[Extents], Shapes]
    loss: "Callable[[Extents], Loss]"
    flop: Callable[[Extents], float]
    items: Callable[[Extents], int]
    statistics: Callable[[Extents], Shapes] = _none
    optimizer: str = "sgd"


def count(shapes: Shapes) -> int:
    """How many numbers tensors of these shapes hold."""
    return sum(math.prod(shape) for shape in shapes.values())
