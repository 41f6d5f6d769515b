"""Formats of a program that is a torch module, by `torch.export`."""

import traceback
from collections.abc import Mapping
from pathlib import Path

from steelyard.core.errors import LoweringError
from steelyard.core.lowered import Artifact, WorkCount
from steelyard.core.reason import reason_of
from steelyard.lowering.format import Draft, Exported, Format
from steelyard.lowering.origin import Found, Opened
from steelyard.lowering.source import build_with, example_inputs, load_weights, stored_names
from steelyard.lowering.weights import FILE
from steelyard.lowering.work import TORCH, XLA, count_by_torch, count_by_xla


class TorchModule(Opened):
    """A torch module, exported once, when the first format needs it."""

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
        module = build_with(program, tensors, in_place=False, file=file)
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
