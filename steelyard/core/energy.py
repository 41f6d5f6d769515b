"""What a meter said of one case in one launch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from steelyard.core.metrics import Reading

Kind = Literal["counter", "power_sampled", "external", "model"]
Boundary = Literal["package", "core", "uncore", "dram", "psys", "gpu_board", "gpu_module", "soc_rail", "board", "wall"]
Quality = Literal["measured_counter", "integrated_samples", "estimated_model", "unavailable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergySettings:
    """What a run asks of energy. `meter` is the log of an external meter; `estimate` asks for the model as well, and
    `tdp_w` is what the model takes for the rated power of the package, None where no profile declares it."""

    enabled: bool = False
    meter: str = ""
    estimate: bool = False
    tdp_w: float | None = None

    @property
    def stored(self) -> Mapping[str, Any]:
        """What a manifest's plan holds of it: everything but the path of the log."""
        return {"enabled": self.enabled, "estimate": self.estimate, "tdp_w": self.tdp_w, "external": bool(self.meter)}


def settings_of(plan: Mapping[str, Any], meter: str = "") -> EnergySettings:
    """The settings of a stored run; `meter` is the log to read now. Runs older than that metered without asking."""
    stored = plan.get("energy", {})
    return EnergySettings(
        enabled=stored.get("enabled", True),
        meter=meter,
        estimate=stored.get("estimate", False),
        tdp_w=stored.get("tdp_w"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerTrace:
    """Power over time: `watts[i]` is the mean between `times_s[i]` and `times_s[i + 1]` (one more time than values).

    Times count from the start of the window of calls; the idle baselines lie before 0 and after the window.
    """

    times_s: tuple[float, ...]
    watts: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyUse:
    """The energy of one case in one launch: a window of calls of its own, after the timed one, between two idle ones.

    `boundary` names the domains that were added up, none of which holds another; `domains` has the joules of each
    by itself. `gross_j` is the whole window's; `net_j` what lies above the mean of the two idle baselines. `reason`
    stands where `gross_j` is None. `integral_j` is the integral of the power told beside the counter, a cross-check.
    """

    source: str
    kind: Kind
    quality: Quality
    boundary: str
    calls: int
    window_s: float
    gross_j: float | None
    reason: str = ""
    uncertainty_j: float | None = None
    net_j: float | None = None
    net_uncertainty_j: float | None = None
    idle_before_w: float | None = None
    idle_after_w: float | None = None
    integral_j: float | None = None
    update_period_s: float | None = None
    period_measured: bool = False
    resolution_j: float | None = None
    range_j: float | None = None
    domains: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    trace: PowerTrace | None = None

    @property
    def per_call(self) -> Reading:
        """Gross joules of one call."""
        return self._of_a_call(self.gross_j)

    @property
    def net_per_call(self) -> Reading:
        """Joules of one call above idle."""
        return self._of_a_call(self.net_j)

    def _of_a_call(self, joules: float | None) -> Reading:
        if joules is None or self.calls < 1:
            return Reading(value=None, unit="J", reason=self.reason or "no idle baseline was measured")
        return Reading(value=joules / self.calls, unit="J", method=f"{self.quality}, {self.boundary}")
