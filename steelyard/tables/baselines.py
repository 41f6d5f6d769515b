"""Speed-ups over other arms than the run's baseline: `compare`'s pairs as cells. Nothing is computed for a reader who
does not ask; what a page may choose among stands here."""

from collections.abc import Mapping

from steelyard.analysis import count_pairs, other_pairs, turned
from steelyard.core.comparison import Comparison
from steelyard.tables.cases import Against
from steelyard.tables.facts import Facts
from steelyard.tables.format import ABSENT, counted
from steelyard.tables.table import Cell

MOST_PAIRS = 6000
"""Beyond so many comparisons a page has one baseline: they would take longer than all the rest of a report."""

Key = tuple[str, str, str, str]


def against(facts: Facts) -> tuple[Mapping[Key, Against], str, str]:
    """By (baseline, arm, point's label, metric), the sentence on their family, and why there are none if so."""
    baseline = facts.run.manifest.baseline
    arms = [arm.label for arm in facts.arms]
    if len(arms) < 3:
        return {}, "", "with two backends there is one comparison"
    count = count_pairs(facts.sides)
    if count > MOST_PAIRS:
        return {}, "", f"{count} further comparisons are more than a page computes ({MOST_PAIRS})"
    labels = {point.key: facts.label(point) for point in facts.points}
    speedy = {
        (arm.label, facts.label(point))
        for point in facts.points
        for arm in facts.arms
        if facts.outcome(arm, point).speed
    }
    found: dict[Key, Against] = {}
    own = [item for item in facts.comparisons if item.factor != "control"]
    others = other_pairs(facts.run, sides=facts.sides)
    for item in (*(turned(item) for item in own), *others, *(turned(item) for item in others)):
        label = labels[item.point]
        shown = {(item.baseline, label), (item.candidate, label)} <= speedy
        found[item.baseline, item.candidate, label, item.metric] = _cells(item, shown)
    family = (
        f"Chosen by the reader: against another baseline than {baseline} every verdict is exploratory. The pairs "
        f"without {baseline} are one family of {counted(len(others), 'comparison')} of its own (Benjamini-Hochberg), "
        f"paired by round, under the noise floor of the control arm; a pair with {baseline} is the run's own "
        "comparison seen from the other side."
    )
    return found, family, ""


def _cells(item: Comparison, shown: bool) -> Against:
    times = item.speedup if shown else None
    told = f"{item.verdict} (approximate)" if item.approximate else item.verdict
    cell = Cell(text=ABSENT) if times is None else Cell(value=times.value, interval=times.interval)
    return Against(
        speedup=cell,
        verdict=told if shown else "no number",
        reason=item.remark,
    )
