"""What the path of a backend costs against its runtime's native way: one row for each runtime and workload."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from steelyard.core.comparison import Estimate
from steelyard.core.turn_rule import ONE_AFTER_THE_OTHER

OverheadVerdict = Literal[
    "equivalent", "ours costs more", "ours costs no more", "ours is faster", "inconclusive", "not measured"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class OverheadRow:
    """Our path beside the native one, paired by round: `ratio` is ours / native with its 95 % interval.

    `point` is the point's title and `metric` what was timed; `ours_s` and `native_s` are medians over the launches
    that gave a pair, seconds. `rounds` gave a pair. `idiom` is the execution mode of each side. None, or empty, with
    the `reason` where there is none. `verdict` is about the interval as a whole and the margin.
    """

    runtime: str
    native: str
    point: str
    workload: str
    metric: str
    ours_s: float | None = None
    native_s: float | None = None
    ratio: Estimate | None = None
    rounds: int = 0
    idiom: Mapping[str, str] | None = None
    native_idiom: Mapping[str, str] | None = None
    verdict: OverheadVerdict
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeOverhead:
    """All rows of one campaign. `protocol` says how the launches of a round ran (`core.run.protocol`)."""

    machine: str
    threads: int
    window_s: float
    margin: float
    created_utc: str
    tool_version: str
    versions: Mapping[str, str]
    rows: tuple[OverheadRow, ...]
    notes: tuple[str, ...] = ()
    protocol: str = ONE_AFTER_THE_OTHER
