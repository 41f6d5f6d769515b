"""Cases and arms: what is run, and under which label."""

from dataclasses import dataclass
from typing import Literal

from steelyard.core import quantization
from steelyard.core.backend import BackendSpec, Budget
from steelyard.core.hashing import Remembers, stable_hash
from steelyard.core.workload import Point

Scenario = Literal["single-stream", "cold-start", "correctness", "traced"]
"""Calls one after the other; launches that find no compile cache; launches with a profiler, of which nothing is timed.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case(Remembers):
    """Point x backend x device kind x scenario x budget. The CPU numbers of the budget are host facts
    and stand in the fingerprint; only the thread count enters the id."""

    point: Point
    backend: BackendSpec
    device_kind: str
    scenario: Scenario
    budget: Budget

    @property
    def id(self) -> str:
        """Stable hash of the definition; holds no host facts."""
        return self.remember(self._hash)

    @property
    def tolerance(self) -> float | None:
        """The tolerance that was stated: that of the command line, else the wider one of workload and quantization."""
        found = self._tolerance
        return None if found is None else found[0]

    @property
    def stated(self) -> str:
        """That tolerance and who stated it, in words; empty without one."""
        found = self._tolerance
        return "" if found is None else f"{found[0]:g}, stated by {found[1]}"

    @property
    def _tolerance(self) -> tuple[float, str] | None:
        if self.budget.tolerance is not None:
            return self.budget.tolerance, "--tolerance"
        quantized = quantization.allowed(self.backend)
        by = {"the workload": self.point.tolerance, f"the quantization {quantization.kind_of(self.backend)}": quantized}
        return max(((error, who) for who, error in by.items() if error is not None), default=None)

    def _hash(self) -> str:
        budget: dict[str, object] = {
            "threads": self.budget.threads,
            "tuning": self.budget.tuning,
            "precision": self.budget.precision,
            "copies": self.budget.copies,
            "shapes": self.budget.shapes,
            "layout": self.budget.layout,
        }
        if self.budget.memory_cap_bytes is not None:  # a case without a limit keeps the id it had before there were any
            budget["memory_cap_bytes"] = self.budget.memory_cap_bytes
        if self.budget.l2 == "cold":  # hot is what every case was before there was a choice
            budget["l2"] = self.budget.l2
        if self.budget.tolerance is not None:
            budget["tolerance"] = self.budget.tolerance
        return stable_hash([self.point.key, self.backend.text, self.device_kind, self.scenario, budget], 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A backend under a label. The control arm is the baseline a second time, under another label.

    An A/A arm (`sham`) is the baseline once more, compared as if it were a candidate: every verdict but `equivalent`
    and `inconclusive` on it is wrong.
    """

    label: str
    backend: BackendSpec
    control: bool = False
    sham: bool = False


CONTROL_SUFFIX = " (control)"
