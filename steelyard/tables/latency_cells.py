"""The cells that tables of one row per backend begin with: its name and its latency, with what they must not stand
without."""

from steelyard.core.case import Arm
from steelyard.core.comparison import Estimate
from steelyard.core.workload import Point
from steelyard.tables import provenance
from steelyard.tables.cells import timed
from steelyard.tables.facts import Facts
from steelyard.tables.format import ABSENT
from steelyard.tables.table import Cell, Flag, Footnotes


def named(facts: Facts, arm: Arm, point: Point) -> Cell:
    """The backend, marked where its answers are approximate."""
    flags: tuple[Flag, ...] = ("approximate",) if facts.outcome(arm, point).approximate else ()
    return Cell(text=arm.label, flags=flags)


def latency(facts: Facts, arm: Arm, point: Point, foot: Footnotes) -> tuple[Cell, Estimate | None]:
    """The latency as a cell, and its estimate where it may be shown."""
    estimate = facts.estimate(arm, point, "latency_s")
    remarks = provenance.remarks(facts, arm, point, foot)
    if estimate is None or not facts.outcome(arm, point).speed:
        return Cell(text=ABSENT, notes=remarks), None
    return timed(estimate, foot, notes=remarks), estimate
