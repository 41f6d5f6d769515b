"""`torch`: the original module of a suite, weights beside it, references in float64, formats by `torch.export`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steelyard.core.workload import Point, Weights
from steelyard.lowering.cached import Entry
from steelyard.lowering.declared import check_forward, run
from steelyard.lowering.format import WEIGHTS_MADE_BY
from steelyard.lowering.opened import TorchModule
from steelyard.lowering.origin import Found, Opened, Source
from steelyard.lowering.references import make_pool, write_point
from steelyard.lowering.source import build_with, load_weights
from steelyard.lowering.weights import FILE, tokenizer


class _Shared:
    """What points with the same weights have in common while their references are made: weights and modules."""

    def __init__(self, weights: Mapping[str, Entry]) -> None:
        self._files = {key: entry.path / FILE for key, entry in weights.items()}
        self._exact: dict[str, Mapping[str, Any]] = {}
        self._own: dict[str, Mapping[str, Any]] = {}
        self._own_modules: dict[str, Any] = {}
        self.exact_modules: dict[str, Any] = {}

    def exact(self, weights: Weights) -> Mapping[str, Any]:
        """The tensors of a set of weights in float64."""
        if weights.key not in self._exact:
            self._exact[weights.key] = load_weights(self._files[weights.key], dtype="float64")
        return self._exact[weights.key]

    def modules(self, point: Point) -> Mapping[str, Any]:
        """The point's programs by role, in their own dtype, on memory-mapped weights."""
        for program in point.programs.values():
            key, file = program.weights.key, self._files[program.weights.key]
            if key not in self._own:
                self._own[key] = load_weights(file)
            if program.key not in self._own_modules:
                self._own_modules[program.key] = build_with(program, self._own[key], in_place=False, file=file)
        return {role: self._own_modules[program.key] for role, program in point.programs.items()}


class _Torch(Source):
    name = "torch"
    packages = (*WEIGHTS_MADE_BY, "tokenizers")

    def shared(self, weights: Mapping[str, Entry]) -> _Shared:
        """See `Source`."""
        return _Shared(weights)

    def references(
        self, point: Point, weights: Mapping[str, Entry], shared: _Shared, count: int, directory: Path
    ) -> Mapping[str, Any]:
        """See `Source`: by the suite's own pool function, in float64; eager in the case's dtype gives the floor."""
        modules = shared.modules(point)
        check_forward(point, modules)
        pool = make_pool(point, shared.exact, shared.exact_modules, tokenizer(weights), count)

        def call(role: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
            return run(point.programs[role], modules[role], inputs)

        return write_point(point, pool, call, directory)

    def open(self, found: Found) -> Opened:
        """See `Source`."""
        return TorchModule(found)


SOURCE = _Torch()
