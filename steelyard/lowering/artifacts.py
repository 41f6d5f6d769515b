"""The formats of one program as entries of the cache."""

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from steelyard.core.errors import Denied, LoweringError, SteelyardError
from steelyard.core.hashing import stable_hash
from steelyard.core.lowered import Artifact, LoweredProgram
from steelyard.core.reason import reason_of
from steelyard.core.workload import Program
from steelyard.lowering.cache import Cache
from steelyard.lowering.cached import Entry
from steelyard.lowering.format import Source, convert, made_with, require, split
from steelyard.lowering.source import build_with, example_inputs, load_weights, stored_names
from steelyard.lowering.weights import FILE
from steelyard.lowering.work import TORCH, XLA, count_by_torch, count_by_xla
from steelyard.lowering.written import Written

Report = Callable[[str, bool, float], None]
"""Told after every step: label, whether it came from the cache, seconds."""


class Exporter:
    """Makes artifacts of one program; exports it once, when the first format needs it."""

    def __init__(self, cache: Cache, program: Program, weights: Entry, platform: str, written: Written) -> None:
        self._cache, self._program, self._weights, self._platform = cache, program, weights, platform
        self._written = written
        self._source: Source | LoweringError | None = None

    @property
    def source(self) -> Source:
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

    def obtain(self, form: str) -> tuple[Artifact, bool]:
        """The artifact in one format, and whether it was made just now. Raises LoweringError or
        MissingPackage with the reason."""
        versions = made_with(form, self._platform) | self._written.made_with
        program = self._program

        def build(directory: Path) -> Mapping[str, Any]:
            require(form)
            try:
                draft = convert(form)(self.source, directory, split(form)[1])
            except (SteelyardError, OSError):
                raise
            except Exception as error:  # converters raise whatever they like
                traceback.print_exception(error)
                raise LoweringError(f"{program.name} as {form}: {reason_of(error)}") from error
            return {
                "entry": draft.entry,
                "weight_bytes": draft.weight_bytes,
                "weight_note": draft.weight_note,
                "details": draft.details,
            }

        # The weights' key counts too: it changes with the versions that made them, and the artifact links them.
        key = stable_hash([program.key, self._weights.key, versions], 24)
        label = f"{program.name} as {form}"
        entry = self._cache.obtain(
            "programs", f"{key}/{form}", label=label, made_with=versions, build=self._written.watched(build)
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


def lower_program(
    cache: Cache,
    program: Program,
    weights: Entry,
    formats: Sequence[str],
    platform: str,
    written: Written,
    report: Report,
) -> LoweredProgram:
    """The program in every format; one that fails is recorded with its reason and leaves the others alone.

    `written` is by the program's source.
    """
    exporter = Exporter(cache, program, weights, platform, written)
    counted = count_by_torch(cache, program, weights, written)
    artifacts: dict[str, Artifact] = {}
    failures: dict[str, str] = {}
    for form in formats:
        started = time.perf_counter()
        fresh, label = False, f"{program.name} as {form}"
        try:
            artifacts[form], fresh = exporter.obtain(form)
        except Denied:
            raise
        except SteelyardError as error:
            failures[form] = str(error)
            label += f": failed: {error}"
        report(label, form in artifacts and not fresh, time.perf_counter() - started)
    return LoweredProgram(
        program=program,
        weights_file=str(weights.path / FILE),
        artifacts=artifacts,
        failures=failures,
        work={TORCH: counted, XLA: count_by_xla(cache, program, artifacts.get("stablehlo"))},
    )
