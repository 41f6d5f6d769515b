"""How often verdicts were wrong on this machine: counts of A/A comparisons (both sides are the same program)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from steelyard.core.comparison import Interval

Condition = Literal["quiet", "neighbour", "switching"]
BESIDE: Mapping[Condition, str] = {
    "quiet": "",
    "neighbour": " beside a background load on one core that never rests",
    "switching": " beside a background load on one core that switches on and off",
}
"""What else ran on the machine. `neighbour` is the load that never rests: it came first, and is
no longer measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A share `count / of` with its 95 % interval; see `steelyard.stats.clustered` for how clusters widen it.

    `design_effect` is by how much the clusters inflate the variance; None where the counts cannot tell it, with
    the `reason`. `interval` is None where nothing was counted.
    """

    count: int
    of: int
    interval: Interval | None
    design_effect: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AaRow:
    """The A/A comparisons of one backend, or of all (`backend` is then `all`). Runs are the clusters.

    `comparisons` have a ratio; those without one are counted in `unusable` alone. `false_alarms` were called
    faster or slower with the noise guard off; with it on, `withheld` got no verdict because the machine was judged
    too noisy, and `guarded_false_alarms` were called faster or slower all the same. `equivalent` and `inconclusive`
    are verdicts with the guard on. `alone` would be called faster or slower with the guard off if each comparison
    were the only one of its family. `missed` are plain 95 % intervals that do not hold 1, out of `intervals`.
    `alarmed_runs` have at least one guarded false alarm.

    `detectable` is the difference that half of the comparisons would have called, alone and with the guard off, as a
    fraction: no false alarm means little where nothing short of it was called. None where half of them could have
    called nothing, and in counts made before it was counted.

    `rates` are keyed by the name of the count: `false_alarms`, `guarded_false_alarms`, `withheld`, `alone`,
    `missed`, and `alarmed_runs` (out of `runs`, exact).
    """

    backend: str
    runs: int
    comparisons: int
    false_alarms: int
    withheld: int
    guarded_false_alarms: int
    equivalent: int
    inconclusive: int
    alone: int
    missed: int
    intervals: int
    alarmed_runs: int
    unusable: int
    detectable: float | None = None
    rates: Mapping[str, Rate] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AaCounts:
    """A campaign of A/A comparisons on one machine, counted.

    `machine` is the device's name and `machine_key` a hash of its CPU and memory, no host's name; `versions` are the
    installed distributions as in a manifest's environment; `grades` counts segments by noise grade; `rounds` is the
    fewest warm rounds of any run, and `planned` the number of comparisons that were planned. `protocol` says how the
    launches of a round ran (`core.run.protocol`), and `wall_s` how long all runs took together without lowering; counts
    made before that was noted have an empty text and None.
    """

    machine: str
    machine_key: str
    condition: Condition
    created_utc: str
    tool_version: str
    rounds: int
    window_s: float
    threads: int
    planned: int
    rows: tuple[AaRow, ...]
    all: AaRow
    versions: Mapping[str, str]
    grades: Mapping[str, int]
    notes: tuple[str, ...] = ()
    protocol: str = ""
    wall_s: float | None = None

    @property
    def in_turns(self) -> bool:
        """Whether launches of these runs took turns."""
        return "in turns" in self.protocol
