"""Are the outputs of timed calls right? Held against fp64 references, with a scale-aware error.

The error of an output is |out - ref| / |ref| in the 2-norm. An absolute tolerance would pass zeros for
small references; a relative one per element would fail on elements near zero.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from steelyard.core.closeness import LEVELS, has_levels
from steelyard.core.lowered import LoweredPoint
from steelyard.core.result import Correctness, OutputCheck
from steelyard.core.runner import Binding
from steelyard.core.tolerance import KEPT_ANSWERS, needed
from steelyard.core.workload import CHOSEN_FROM, Program, TensorSpec
from steelyard.measure.distance import alike_finite, difference, finite, level, norm

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]
else:
    Array = np.ndarray


_APPROXIMATE = 0.1
"""A relative error above it is a fault: no one means to be so far off, and the check is not told to look away."""


@dataclass(slots=True)
class _Worst:
    relative_l2: float = 0.0
    max_abs: float = 0.0
    level: int | None = None
    reasons: list[str] = field(default_factory=list)


class Checker:
    """Collects the errors of checked calls of one point in one launch."""

    def __init__(
        self,
        lowered: LoweredPoint,
        references: Sequence[Mapping[str, Array]],
        inputs: Sequence[Mapping[str, Array]],
    ) -> None:
        self._lowered = lowered
        self._references = references
        self._inputs = inputs
        programs = tuple(lowered.point.programs.values())
        self._dtypes = {spec.name: spec.dtype for program in programs for spec in program.outputs}
        self._dtype = programs[0].dtype
        self._worst: dict[str, _Worst] = {}
        self._seen: dict[str, dict[int, bytes]] = {}
        self._doubts: list[str] = []
        self._kept: float | None = None
        self.calls = 0

    def reference(self, slot: int) -> Mapping[str, Array]:
        """What input set `slot` should give, by output."""
        return self._references[slot]

    def keeps(self, share: float) -> None:
        """So many answers are right for each that is right in the reference; see `steelyard.core.tolerance`."""
        self._kept = share

    def program_call(self, slot: int, program: Program, binding: Binding) -> None:
        """Check every output of one call of a program bound to input set `slot`."""
        self.calls += 1
        for spec in program.outputs:
            actual = binding.read((spec.name,)).get(spec.name)
            if actual is None:
                self.record(spec.name, 1.0, 1.0, "it is missing: reading it gave nothing")
            elif spec.role == "state":
                self._state(slot, spec, actual)
            elif (chosen_from := CHOSEN_FROM.get(spec.name)) in self._references[slot]:
                self._chosen(slot, spec.name, str(chosen_from), actual)
            else:
                self.data(slot, spec.name, actual)

    def doubt(self, sentences: Sequence[str]) -> None:
        """Reasons why right outputs are no proof of work; any of them fails the point."""
        self._doubts += sentences

    def verdict(self) -> Correctness:
        """The errors so far against the point's tolerances."""
        outputs = tuple(self._judge(name, worst) for name, worst in self._worst.items())
        failed = [check for check in outputs if not check.passed]
        if self.calls == 0:
            return Correctness(passed=False, calls_checked=0, outputs=(), reason="no call was checked")
        reason = "; ".join(f"{check.output}: {check.reason}" for check in failed[:3])
        if len(failed) > 3:
            reason += f"; and {len(failed) - 3} more outputs"
        reason = "; ".join(filter(None, (reason, self._remedy(failed), *self._doubts)))
        return Correctness(
            passed=not failed and not self._doubts, calls_checked=self.calls, outputs=outputs, reason=reason
        )

    def _judge(self, name: str, worst: _Worst) -> OutputCheck:
        stated = self._lowered.tolerances.get(name)
        tolerance = stated.allowed if stated is not None else 0.0
        meant = stated.limit if stated is not None and stated.limit < tolerance else None
        reasons, kept = list(dict.fromkeys(worst.reasons)), None
        if not reasons and not worst.relative_l2 <= tolerance:
            if meant is not None and self._kept is not None and self._kept >= KEPT_ANSWERS and worst.relative_l2 < 1:
                kept = self._kept
            else:
                reasons.append(f"relative error {worst.relative_l2:.2g} exceeds {tolerance:.2g}{self._lost(meant)}")
        return OutputCheck(
            output=name,
            relative_l2=worst.relative_l2,
            max_abs=worst.max_abs,
            tolerance=tolerance,
            passed=not reasons,
            reason="; ".join(reasons[:2]),
            default_tolerance=meant,
            level=worst.level,
            kept=kept,
        )

    def _lost(self, meant: float | None) -> str:
        """What an approximation whose answers have labels has kept too little of, behind its error."""
        if meant is None or self._kept is None:
            return ""
        return (
            f", and {self._kept:.1%} as many answers are right as in the reference, where {KEPT_ANSWERS:.0%} are asked"
        )

    def _remedy(self, failed: Sequence[OutputCheck]) -> str:
        """What would have to be stated, where errors alone stand against a result."""
        plain = all(check.output in self._lowered.tolerances for check in failed)
        if not failed or not plain or self._doubts or any(self._worst[check.output].reasons for check in failed):
            return ""
        wanted = needed(max(check.relative_l2 for check in failed))
        if wanted is None or wanted > _APPROXIMATE:
            return ""
        return f"if it is meant to approximate, --tolerance {wanted:g} says so"

    def data(self, slot: int, name: str, actual: Array) -> None:
        """Hold an output of the call with input set `slot` against its reference."""
        reference = self._references[slot][name]
        self._ignores_input(slot, name, actual, reference)
        self._compare(name, actual, reference)

    def _state(self, slot: int, spec: TensorSpec, actual: Array) -> None:
        window = self._lowered.point.window
        if window is None:
            self.data(slot, spec.name, actual)
            return
        if actual.shape != spec.shape:
            self.record(spec.name, 1.0, 1.0, f"shape {actual.shape} instead of {spec.shape}")
            return
        inside = [slice(None)] * actual.ndim
        inside[window.axis] = slice(window.start, window.start + window.length)
        self._compare(spec.name, actual[tuple(inside)], self._references[slot][spec.name])
        before = self._inputs[slot].get(spec.name)
        for low, high in ((0, window.start), (window.start + window.length, spec.shape[window.axis])):
            outside = list(inside)
            outside[window.axis] = slice(low, high)
            rest = actual[tuple(outside)]
            kept = not rest.any() if before is None else np.array_equal(rest, before[tuple(outside)])
            if not kept:
                self.record(spec.name, 0.0, 0.0, "places outside the written window changed")

    def _chosen(self, slot: int, name: str, chosen_from: str, actual: Array) -> None:
        """A token may differ from the reference's only where the reference's own logits are that close.

        |err_i| <= |err|_2 <= limit x |ref|_2 bounds the error of any one logit, so two logits can swap
        only if they are within twice that.
        """
        logits = np.asarray(self._references[slot][chosen_from], dtype=np.float64)
        limit = self._lowered.tolerances[chosen_from].allowed
        tokens = np.asarray(actual).reshape(-1)
        for row, token in enumerate(tokens):
            if not 0 <= token < logits.shape[1]:
                self.record(name, 1.0, 1.0, f"token {token} is not in the vocabulary")
                continue
            gap = float(logits[row].max() - logits[row, token])
            allowed = 2 * limit * norm(finite(logits[row]))
            reason = "" if gap <= allowed else f"token {token} is not the most likely one (gap {gap:.2g})"
            self.record(name, 0.0 if not reason else 1.0, gap if np.isfinite(gap) else 1.0, reason)

    def _compare(self, name: str, actual: Array, reference: Array) -> None:
        actual64 = np.asarray(actual).astype(np.float64)
        reference64 = np.asarray(reference, dtype=np.float64)
        if actual64.shape != reference64.shape:
            self.record(name, 1.0, 1.0, f"shape {actual64.shape} instead of {reference64.shape}")
            return
        if not alike_finite(actual64, reference64):
            infinite = not np.isfinite(reference64).all()
            self.record(name, 1.0, 1.0, "holds NaN or infinity" + (" elsewhere than its reference" * infinite))
            return
        apart = difference(actual64, reference64)
        scale, error = norm(finite(reference64)), norm(apart)
        relative = error / scale if scale else error
        reason = ""
        if scale and not actual64.any():
            reason = "all zeros"
        elif finite(actual64).size > 1 and np.ptp(finite(actual64)) == 0 and np.ptp(finite(reference64)) > 0:
            reason = "a constant"
        self.record(name, relative, float(np.abs(apart).max(initial=0.0)), reason)
        dtype = self._dtypes.get(name, self._dtype)  # what a driver makes of several outputs has a name of its own
        if has_levels(dtype):
            worst = self._worst[name]
            worst.level = level(apart, reference64, dtype, LEVELS.start if worst.level is None else worst.level)

    def _ignores_input(self, slot: int, name: str, actual: Array, reference: Array) -> None:
        """Bit-identical outputs for input sets whose references differ: cached, or blind to the input."""
        digest = hashlib.sha256(np.ascontiguousarray(actual).tobytes()).digest()
        seen = self._seen.setdefault(name, {})
        for other, earlier in seen.items():
            if other != slot and earlier == digest and not np.array_equal(self._references[other][name], reference):
                self.record(name, 1.0, 0.0, "does not depend on the input")
        seen[slot] = digest

    def record(self, name: str, relative: float, max_abs: float, reason: str = "") -> None:
        """Note how far an output of a checked call is off; with a `reason` it fails whatever the tolerance."""
        worst = self._worst.setdefault(name, _Worst())
        worst.relative_l2 = max(worst.relative_l2, math.inf if math.isnan(relative) else relative)
        worst.max_abs = max(worst.max_abs, max_abs)
        if reason:
            worst.reasons.append(reason)
