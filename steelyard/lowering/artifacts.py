"""The formats of one program as entries of the cache."""

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from steelyard.core.errors import Denied, LoweringError, SteelyardError
from steelyard.core.lowered import Artifact, LoweredProgram
from steelyard.core.reason import reason_of
from steelyard.lowering.attempts import Attempts
from steelyard.lowering.cached import Entry
from steelyard.lowering.calibration import Samples
from steelyard.lowering.format import EAGER_FORMAT, Draft, Unquantized, format_of, made_with, quantization_of, require
from steelyard.lowering.origin import Found, source_of
from steelyard.lowering.steps import Step
from steelyard.lowering.weights import FILE

Report = Callable[[Step, bool, float, str], None]
"""Told after every step: whether it was in the cache, seconds, and how it failed, if it did."""


class Artifacts:
    """The artifacts of one program, and what failed of them. Without `samples` nothing can be calibrated yet."""

    def __init__(self, found: Found, attempts: Attempts, samples: Samples | None = None) -> None:
        self._found, self._program, self._attempts, self._samples = found, found.program, attempts, samples
        self._source = source_of(found.program)
        self._opened = self._source.open(found)
        self._made: dict[str, Artifact] = {}
        self._failures: dict[str, str] = {}

    def make(self, steps: Sequence[Step], report: Report, *, wait: bool) -> None:
        """Obtain every format that is not settled; one that fails is recorded and leaves the others alone.

        Without `wait`, what another process is making is left to it.
        """
        self._opened.counts(self._made)
        for step in steps:
            if step.makes not in self._made and step.makes not in self._failures:
                self._settle(step, report, wait)
        self._opened.counts(self._made)

    def lowered(self) -> LoweredProgram:
        """All that was made; where nothing is left unsettled."""
        lacks = self._source.lacks(EAGER_FORMAT)
        return LoweredProgram(
            program=self._program,
            weights_file=str(self._found.weights.path / FILE),
            artifacts=self._made,
            failures={**self._failures, **({EAGER_FORMAT: lacks} if lacks else {})},
            work=self._opened.counts(self._made),
        )

    def _settle(self, step: Step, report: Report, wait: bool) -> None:
        started = time.perf_counter()
        form, fresh, failed = step.makes, False, ""
        try:
            if self._is_to_wait(form):
                return
            with self._attempts.at(step):
                self._made[form], fresh = self._obtain(step, wait)
        except BlockingIOError:
            return
        except Denied:
            raise
        except SteelyardError as error:
            self._failures[form] = failed = str(error)
        report(step, not fresh and not failed, time.perf_counter() - started, failed)

    def _is_to_wait(self, form: str) -> bool:
        """Whether what a quantized form is made of is not there yet. Raises LoweringError where it cannot be made."""
        quantized = quantization_of(form)
        if quantized is None:
            return False
        how, plain = quantized
        if plain in self._failures:
            raise LoweringError(self._failures[plain])
        return plain not in self._made or (how.calibrated and self._samples is None)

    def _obtain(self, step: Step, wait: bool) -> tuple[Artifact, bool]:
        """The artifact in one format, and whether it was made just now. Raises LoweringError or
        MissingPackage with the reason."""
        form = step.makes

        def build(directory: Path) -> Mapping[str, Any]:
            if lacks := self._source.lacks(form):
                raise LoweringError(lacks)
            require(form)
            try:
                draft = self._draft(form, directory)
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

        found = self._found
        entry = found.cache.obtain(
            step.kind,
            step.key,
            label=step.label,
            made_with=made_with(form, found.platform) | found.written.made_with,
            build=found.written.watched(build),
            wait=wait,
        )
        return self._artifact(form, entry), entry.fresh

    def _draft(self, form: str, directory: Path) -> Draft:
        quantized = quantization_of(form)
        if quantized is None:
            return self._opened.draft(*format_of(form), directory)
        how, plain = quantized
        given = Unquantized(
            program=self._program,
            artifact=self._made[plain],
            weights_file=self._found.weights.path / FILE,
            samples=self._samples() if how.calibrated and self._samples is not None else (),
        )
        return how.apply(given, directory)

    def _artifact(self, form: str, entry: Entry) -> Artifact:
        facts, program = entry.manifest.facts, self._program
        return Artifact(
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
            files=tuple(entry.manifest.files),
        )
