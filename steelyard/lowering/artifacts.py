"""The formats of one program as entries of the cache."""

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from steelyard.core.errors import Denied, LoweringError, SteelyardError
from steelyard.core.lowered import Artifact, LoweredProgram
from steelyard.core.reason import reason_of
from steelyard.core.workload import Program
from steelyard.lowering.cache import Cache
from steelyard.lowering.cached import Entry
from steelyard.lowering.format import Source, format_of, made_with, require
from steelyard.lowering.source import build_with, example_inputs, load_weights, stored_names
from steelyard.lowering.steps import Step
from steelyard.lowering.weights import FILE
from steelyard.lowering.work import TORCH, XLA, count_by_torch, count_by_xla
from steelyard.lowering.written import Written

Report = Callable[[Step, bool, float, str], None]
"""Told after every step: whether it was in the cache, seconds, and how it failed, if it did."""


class Artifacts:
    """The artifacts of one program, and what failed of them; exports it once, when the first format needs it.

    `written` is by the program's source.
    """

    def __init__(self, cache: Cache, program: Program, weights: Entry, platform: str, written: Written) -> None:
        self._cache, self._program, self._weights, self._platform = cache, program, weights, platform
        self._written = written
        self._source: Source | LoweringError | None = None
        self._made: dict[str, Artifact] = {}
        self._failures: dict[str, str] = {}

    def make(self, steps: Sequence[Step], report: Report, *, wait: bool) -> None:
        """Obtain every format that is not settled; one that fails is recorded and leaves the others alone.

        Without `wait`, what another process is making is left to it.
        """
        count_by_torch(self._cache, self._program, self._weights, self._written)
        for step in steps:
            if step.makes not in self._made and step.makes not in self._failures:
                self._settle(step, report, wait)
        count_by_xla(self._cache, self._program, self._made.get("stablehlo"))

    def lowered(self) -> LoweredProgram:
        """All that was made; where nothing is left unsettled."""
        return LoweredProgram(
            program=self._program,
            weights_file=str(self._weights.path / FILE),
            artifacts=self._made,
            failures=self._failures,
            work={
                TORCH: count_by_torch(self._cache, self._program, self._weights, self._written),
                XLA: count_by_xla(self._cache, self._program, self._made.get("stablehlo")),
            },
        )

    def _settle(self, step: Step, report: Report, wait: bool) -> None:
        started = time.perf_counter()
        form, fresh, failed = step.makes, False, ""
        try:
            self._made[form], fresh = self._obtain(step, wait)
        except BlockingIOError:
            return
        except Denied:
            raise
        except SteelyardError as error:
            self._failures[form] = failed = str(error)
        report(step, not fresh and not failed, time.perf_counter() - started, failed)

    def _obtain(self, step: Step, wait: bool) -> tuple[Artifact, bool]:
        """The artifact in one format, and whether it was made just now. Raises LoweringError or
        MissingPackage with the reason."""
        form = step.makes
        program = self._program

        def build(directory: Path) -> Mapping[str, Any]:
            kind, option = format_of(form)
            require(kind)
            try:
                draft = kind.convert(self._exported(), directory, option)
            except (SteelyardError, OSError):
                raise
            except Exception as error:  # converters raise whatever they like
                traceback.print_exception(error)
                raise LoweringError(f"{step.label}: {reason_of(error)}") from error
            return {
                "entry": draft.entry,
                "weight_bytes": draft.weight_bytes,
                "weight_note": draft.weight_note,
                "details": draft.details,
            }

        entry = self._cache.obtain(
            step.kind,
            step.key,
            label=step.label,
            made_with=made_with(form, self._platform) | self._written.made_with,
            build=self._written.watched(build),
            wait=wait,
        )
        facts = entry.manifest.facts
        artifact = Artifact(
            format=form,
            directory=str(entry.path),
            entry=facts["entry"],
            sha256=entry.sha256,
            inputs=tuple(spec.name for spec in program.inputs),
            outputs=tuple(spec.name for spec in program.outputs),
            weight_bytes=facts["weight_bytes"],
            weight_note=facts["weight_note"],
            seconds=entry.manifest.seconds,
            details=facts["details"],
        )
        return artifact, entry.fresh

    def _exported(self) -> Source:
        """The exported program, made once. Raises LoweringError if torch cannot export it."""
        if self._source is None:
            try:
                self._source = self._export()
            except LoweringError as error:
                self._source = error
        if isinstance(self._source, LoweringError):
            raise self._source
        return self._source

    def _export(self) -> Source:
        import torch

        program, file = self._program, self._weights.path / FILE
        tensors = load_weights(file)
        module = build_with(program, tensors, in_place=False, where=str(file))
        try:
            with torch.no_grad():
                exported = torch.export.export(module, example_inputs(program), strict=False)
        except Exception as error:  # whatever the tracer or the model's code raises
            traceback.print_exception(error)
            raise LoweringError(f"{program.name}: torch.export failed: {reason_of(error)}") from error
        return Source(
            program=program,
            exported=exported,
            tensors=tensors,
            stored=stored_names(module, tensors),
            weights_file=file,
            weights_key=self._weights.key,
            platform=self._platform,
            cache=self._cache,
        )
