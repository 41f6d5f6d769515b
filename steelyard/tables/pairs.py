"""Every two arms of a run, compared by their latency in either direction."""

from collections.abc import Mapping

from steelyard.analysis import other_pairs, turned
from steelyard.core.comparison import Comparison
from steelyard.tables.facts import Facts
from steelyard.tables.format import ABSENT
from steelyard.tables.table import Cell, Footnotes

METRIC = "latency_s"

Pairs = Mapping[tuple[str, str, str], Comparison]
"""By the labels of both sides and the point's key, the first the one that the second is compared with."""


def pairs(facts: Facts) -> Pairs:
    """Those with the baseline are the run's own comparisons, all others belong to the exploratory family of pairs."""
    own = [item for item in facts.comparisons if item.factor != "control"]
    others = other_pairs(facts.run, sides=facts.sides)
    every = (*own, *(turned(item) for item in own), *others, *(turned(item) for item in others))
    return {(item.baseline, item.candidate, item.point): item for item in every if item.metric == METRIC}


def ratio(comparison: Comparison | None, foot: Footnotes, shown: bool) -> Cell:
    """How many times as fast the second side is, where both have a time that is `shown`."""
    times = comparison.speedup if comparison is not None and shown else None
    notes = tuple(foot.mark(text) for text in comparison.remarks) if comparison is not None else ()
    if times is None:
        return Cell(text=ABSENT, notes=notes)
    return Cell(value=times.value, interval=times.interval, notes=notes)
