"""What was found of agreement with the vendors' own tools: one row for each tool, backend and point."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from steelyard.core.comparison import Estimate
from steelyard.core.result import Layer
from steelyard.core.turn_rule import ONE_AFTER_THE_OTHER

AgreementVerdict = Literal["equivalent", "slower", "faster", "inconclusive", "not measured"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementRow:
    """Our number beside a tool's, at the same layer and on the same artifact; paired by round.

    `ratio` is ours / theirs with its 95 % interval; `ours_s` and `theirs_s` are medians over the launches that
    count, seconds per call. `rounds` gave a pair; left out were the contaminated ones (`disturbed`) and
    those of which a side had no steady state or failed (`unsteady`). `spread` is the standard deviation of the log
    ratios.
    `wall_over_layer` is our ordinary latency over our number at this layer, where the two differ. None with
    the `reason` where there is none. `verdict` is about ours: `slower` lies beyond the margin as a whole.
    """

    tool: str
    backend: str
    point: str
    layer: Layer
    ours_s: float | None = None
    theirs_s: float | None = None
    ratio: Estimate | None = None
    spread: float | None = None
    rounds: int = 0
    disturbed: int = 0
    unsteady: int = 0
    wall_over_layer: float | None = None
    verdict: AgreementVerdict
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """All rows of one campaign. `rounds` is the most that any match was given, `protocol` says how the two launches of
    a round ran (`core.run.protocol`)."""

    machine: str
    threads: int
    window_s: float
    margin: float
    rounds: int
    created_utc: str
    tool_version: str
    versions: Mapping[str, str]
    rows: tuple[AgreementRow, ...]
    notes: tuple[str, ...] = ()
    protocol: str = ONE_AFTER_THE_OTHER
