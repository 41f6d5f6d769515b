"""Cases as a page shows them one by one: what is known of each, its calls, and its speed against other baselines."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from steelyard.tables.table import Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseField:
    """One thing known of a case. `differs` says that backends told different values at this point."""

    name: str
    text: str
    differs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseSection:
    """Fields of a case under one heading."""

    title: str
    fields: tuple[CaseField, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseLaunch:
    """The timed calls of one launch, `values_s` in time order.

    `places` count calls from 0 within the launch; they are fewer than `total` where the launch was thinned to the
    lowest and the highest call of each stretch. Calls before `cut` are warm-up. `median_s` is that of the steady
    calls, None where the launch gave no steady number: `remark` says why (contaminated round, status).
    """

    round: int
    position: int
    total: int
    cut: int
    median_s: float | None
    places: tuple[int, ...]
    values_s: tuple[float, ...]
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseDetail:
    """One backend at one point. `id` begins with the case's id and is unique in the page.

    `proof` is a line on what really ran. `sections` is empty for a case beyond the `room` for details; its rows in
    the tables are there all the same.
    """

    id: str
    arm: str
    point: str
    status: str
    remark: str = ""
    proof: str = ""
    log_tail: str = ""
    sections: tuple[CaseSection, ...] = ()
    launches: tuple[CaseLaunch, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """The speed-up of an arm over another arm than the run's baseline, as the cells of a table.

    `reason` says why there is no verdict.
    """

    speedup: Cell
    verdict: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """Every case of a run. `against` is keyed (baseline, arm, point's label, metric).

    `family` says to which family of hypotheses verdicts against another baseline belong; empty, with `switch` as the
    reason, where there are none. `loss` says what was left out to keep the page small.
    """

    details: tuple[CaseDetail, ...] = ()
    against: Mapping[tuple[str, str, str, str], Against] = field(default_factory=dict)
    family: str = ""
    switch: str = ""
    loss: tuple[str, ...] = ()
    kept: int = 0
    calls: int = 0
