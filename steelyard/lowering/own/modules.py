"""A model of the user's own that is a torch module: formats by `torch.export`, references by the module in float64."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from steelyard.core.workload import Point, Program
from steelyard.lowering.cached import Entry
from steelyard.lowering.declared import run
from steelyard.lowering.double import double_arithmetic
from steelyard.lowering.opened import TorchModule
from steelyard.lowering.origin import Found, Opened, Source
from steelyard.lowering.own.references import write_references
from steelyard.lowering.source import build_with, load_weights
from steelyard.lowering.weights import FILE

if TYPE_CHECKING:
    import torch

    Tensors = Mapping[str, torch.Tensor]


class OwnModule(Source):
    """What sources of torch modules have in common. Their programs are of their own kind and name a function that
    builds the module (see `steelyard.lowering.source`)."""

    packages: ClassVar[tuple[str, ...]] = ("torch", "numpy", "safetensors")

    def references(
        self, point: Point, weights: Mapping[str, Entry], shared: None, count: int, directory: Path
    ) -> Mapping[str, Any]:
        """See `Source`."""
        del shared
        program = point.programs["main"]
        file = weights[program.weights.key].path / FILE
        module = build_with(program, load_weights(file), in_place=False, file=file)
        return write_references(
            point,
            count,
            directory,
            narrow=lambda given: run(program, module, given),
            exact=_exact(program, file),
            exactly="",  # the module in float64, as of any suite
            otherwise=f"PyTorch eager in {program.dtype}",
        )

    def open(self, found: Found) -> Opened:
        """See `Source`."""
        return TorchModule(found)


def state_of(module: "torch.nn.Module") -> "dict[str, torch.Tensor]":
    """Parameters and persistent buffers, tied ones once, each in memory of its own."""
    tensors: dict[str, torch.Tensor] = {}
    seen: set[int] = set()
    places: set[int] = set()
    for name, tensor in module.state_dict(keep_vars=True).items():
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        held = tensor.detach().contiguous()
        place = held.untyped_storage().data_ptr()
        tensors[name] = held.clone() if place in places or held.untyped_storage().nbytes() > held.nbytes else held
        places.add(place)
    return tensors


def _exact(program: Program, file: Path) -> "Callable[[Tensors], Tensors]":
    """The module in float64, built at the first call."""
    built: list[Any] = []

    def call(given: "Tensors") -> "Tensors":
        if not built:
            tensors = load_weights(file, dtype="float64")
            built.append(build_with(program, tensors, in_place=False, dtype="float64", file=file))
        values = (given[spec.name] for spec in program.inputs)
        with _default_double():
            returned = built[0](*(value.double() if value.is_floating_point() else value for value in values))
        outputs = returned if isinstance(returned, tuple | list) else (returned,)
        return dict(zip((spec.name for spec in program.outputs), outputs, strict=True))

    return call


@contextmanager
def _default_double() -> Iterator[None]:
    """`double_arithmetic`, and what is made without a type is float64, too: nothing is known of somebody's own code."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with double_arithmetic():
            yield
    finally:
        torch.set_default_dtype(before)
