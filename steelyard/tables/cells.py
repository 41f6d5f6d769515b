"""Cells that many sections have: a time with its interval, a number without one, and what a row is about."""

from steelyard.core.case import Arm
from steelyard.core.comparison import PRINTED, Estimate
from steelyard.core.workload import Point
from steelyard.tables.facts import Facts
from steelyard.tables.format import ABSENT, level
from steelyard.tables.table import Cell, Flag, Footnotes


def timed(estimate: Estimate, foot: Footnotes, *, flags: tuple[Flag, ...] = (), notes: tuple[str, ...] = ()) -> Cell:
    """An estimate as a cell; without an interval the footnote says why, and of one at another level than all others
    which that is."""
    if estimate.interval is None and estimate.reason:
        notes = (*notes, foot.mark(f"no interval: {estimate.reason}"))
    elif estimate.interval is not None and estimate.interval.confidence != PRINTED:
        notes = (*notes, foot.mark(f"the interval is of {level(estimate.interval)}, as it joins several"))
    return Cell(value=estimate.value, interval=estimate.interval, flags=flags, notes=notes)


def counted(value: float | None, foot: Footnotes, why: str) -> Cell:
    """A number that is no estimate; where it is not known the reason stands in a footnote."""
    return Cell(text=ABSENT, notes=(foot.mark(why),)) if value is None else Cell(value=value)


def tags(facts: Facts, arm: Arm, point: Point) -> dict[str, str]:
    """What a row is about."""
    return {
        "arm": arm.label,
        "point": facts.label(point),
        "workload": point.workload,
        "status": facts.outcome(arm, point).status,
        "device": facts.run.manifest.device.name,
    }
