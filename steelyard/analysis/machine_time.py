"""What became of the time that machines spent on launches: the decomposition of ML productivity goodput.

Goodput is the product of three shares of time (Wongpanich et al., Machine Learning Fleet Efficiency, 2025): that which
could be used of all that was spent, that of the calls that were asked for within it, and that which these calls would
take at the ceiling of the hardware. Seconds add up over launches, runs and machines, so that the shares of a fleet are
those of its parts, each counted by its time.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

from steelyard.analysis.left_out import set_aside
from steelyard.core.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineTime:
    """Seconds of launches in which they ran themselves. `spent_s`: of all; `sound_s`: of those whose cases all ended ok
    or as unsupported, in rounds that count; `timed_s`: of their timed calls; `rated_s`: of those among the timed calls
    for which a ceiling is known; `ideal_s`: what so many calls would take at the ceiling."""

    spent_s: float = 0.0
    sound_s: float = 0.0
    timed_s: float = 0.0
    rated_s: float = 0.0
    ideal_s: float = 0.0

    def __add__(self, other: "MachineTime") -> "MachineTime":
        """Both together."""
        return MachineTime(**{each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)})

    @property
    def availability(self) -> float | None:
        """The share of the time that launches could be used of; None where nothing was launched."""
        return self.sound_s / self.spent_s if self.spent_s else None

    @property
    def runtime(self) -> float | None:
        """Of that, the share of timed calls: the rest is starting, loading, compiling and checks."""
        return self.timed_s / self.sound_s if self.sound_s else None

    @property
    def program(self) -> float | None:
        """What timed calls would take at the ceiling over what they took; None where no ceiling is known."""
        return self.ideal_s / self.rated_s if self.rated_s else None

    @property
    def goodput(self) -> float | None:
        """The product of the three; None where one is not known."""
        if self.availability is None or self.runtime is None or self.program is None:
            return None
        return self.availability * self.runtime * self.program


def machine_time(run: Run, ideal: Callable[[str, str], float | None]) -> MachineTime:
    """The time of a run's launches. `ideal` gives the seconds of a call at the ceiling for a backend, by its label, at
    a configuration, by the key of its point; None where no ceiling is known."""
    points = {case.id: case.point.key for case in run.manifest.cases}
    aside = set_aside(run)
    sound = {launch.launch: launch.exit_code == 0 for launch in run.launches}
    timed: dict[str, list[tuple[float, float | None]]] = {}  # of each case the seconds of its calls, and at the ceiling
    for result in run.results:
        if result.status not in ("ok", "unsupported") or result.round in aside[points[result.case_id]]:
            sound[result.launch] = False
        measurement = result.measurement("latency_s")
        if measurement is not None and len(measurement.samples):
            call_s, count = ideal(result.arm, points[result.case_id]), len(measurement.samples)
            at_best = None if call_s is None else count * call_s
            timed.setdefault(result.launch, []).append((float(sum(measurement.samples)), at_best))
    total = MachineTime()
    for launch in run.launches:
        spent_s = launch.ended_s - launch.started_s if launch.ran_s is None else launch.ran_s
        calls = timed.get(launch.launch, []) if sound[launch.launch] else []
        rated = [(seconds, at_best) for seconds, at_best in calls if at_best is not None]
        total += MachineTime(
            spent_s=spent_s,
            sound_s=spent_s if sound[launch.launch] else 0.0,
            timed_s=sum(seconds for seconds, _ in calls),
            rated_s=sum(seconds for seconds, _ in rated),
            ideal_s=sum(at_best for _, at_best in rated),
        )
    return total
