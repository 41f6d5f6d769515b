"""`torch`: the original module of a suite, weights beside it, references in float64, formats by `torch.export`."""

import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steelyard.core.errors import LoweringError
from steelyard.core.lowered import Artifact, WorkCount
from steelyard.core.reason import reason_of
from steelyard.core.workload import Point
from steelyard.lowering.cached import Entry
from steelyard.lowering.declared import check_forward, run
from steelyard.lowering.format import WEIGHTS_MADE_BY, Draft, Exported, Format
from steelyard.lowering.origin import Found, Opened, Source
from steelyard.lowering.references import make_pool, write_point
from steelyard.lowering.source import build_with, example_inputs, load_weights, stored_names
from steelyard.lowering.weights import FILE, tokenizer
from steelyard.lowering.work import TORCH, XLA, count_by_torch, count_by_xla


class _Module(Opened):
    """Exported once, when the first format needs it."""

    def __init__(self, found: Found) -> None:
        self._found = found
        self._exported: Exported | LoweringError | None = None

    def draft(self, form: Format, option: str | None, directory: Path) -> Draft:
        """See `Opened`."""
        return form.convert(self._exported_once(), directory, option)

    def counts(self, made: Mapping[str, Artifact]) -> Mapping[str, WorkCount]:
        """See `Opened`. Torch's must be made before a converter changes the process."""
        found = self._found
        return {
            TORCH: count_by_torch(found.cache, found.program, found.weights, found.written),
            XLA: count_by_xla(found.cache, found.program, made.get("stablehlo")),
        }

    def _exported_once(self) -> Exported:
        if self._exported is None:
            try:
                self._exported = self._export()
            except LoweringError as error:
                self._exported = error
        if isinstance(self._exported, LoweringError):
            raise self._exported
        return self._exported

    def _export(self) -> Exported:
        import torch

        found, program, file = self._found, self._found.program, self._found.weights.path / FILE
        tensors = load_weights(file)
        module = build_with(program, tensors, in_place=False, where=str(file))
        try:
            with torch.no_grad():
                exported = torch.export.export(module, example_inputs(program), strict=False)
        except Exception as error:  # whatever the tracer or the model's code raises
            traceback.print_exception(error)
            raise LoweringError(f"{program.name}: torch.export failed: {reason_of(error)}") from error
        return Exported(
            program=program,
            exported=exported,
            tensors=tensors,
            stored=stored_names(module, tensors),
            weights_file=file,
            weights_key=found.weights.key,
            platform=found.platform,
            cache=found.cache,
        )


class _Shared:
    """What the points of one model have in common while their references are made: weights and modules."""

    def __init__(self, weights: Entry) -> None:
        self._file = weights.path / FILE
        self._exact: dict[str, Any] = {}
        self._own: dict[str, Any] = {}
        self._own_modules: dict[str, Any] = {}
        self.exact_modules: dict[str, Any] = {}

    def exact(self) -> Mapping[str, Any]:
        """The weights in float64."""
        if not self._exact:
            self._exact = load_weights(self._file, dtype="float64")
        return self._exact

    def modules(self, point: Point) -> Mapping[str, Any]:
        """The point's programs by role, in their own dtype, on memory-mapped weights."""
        if not self._own:
            self._own = load_weights(self._file)
        for program in point.programs.values():
            if program.key not in self._own_modules:
                self._own_modules[program.key] = build_with(program, self._own, in_place=False, where=str(self._file))
        return {role: self._own_modules[program.key] for role, program in point.programs.items()}


class _Torch(Source):
    name = "torch"
    packages = (*WEIGHTS_MADE_BY, "tokenizers")

    def shared(self, weights: Entry) -> _Shared:
        """See `Source`."""
        return _Shared(weights)

    def references(
        self, point: Point, weights: Entry, shared: _Shared, count: int, directory: Path
    ) -> Mapping[str, Any]:
        """See `Source`: by the suite's own pool function, in float64; eager in the case's dtype gives the floor."""
        modules = shared.modules(point)
        check_forward(point, modules)
        pool = make_pool(point, shared.exact(), shared.exact_modules, tokenizer(weights), count)

        def call(role: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
            return run(point.programs[role], modules[role], inputs)

        return write_point(point, pool, call, directory)

    def open(self, found: Found) -> Opened:
        """See `Source`."""
        return _Module(found)


SOURCE = _Torch()
