"""What the estimates rest on: samples and spread of every metric, and what so many rounds can find."""

from steelyard.analysis import Summary
from steelyard.core.case import Arm
from steelyard.core.comparison import Estimate
from steelyard.core.workload import Point
from steelyard.measure.driver import metrics_of
from steelyard.stats.quantile import needed
from steelyard.tables.cells import tags, timed
from steelyard.tables.facts import Facts
from steelyard.tables.format import ABSENT
from steelyard.tables.section import Section
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table


def spread_table(facts: Facts) -> Table:
    """Launches, samples, spread and percentiles of every metric: what the estimates rest on."""
    foot = Footnotes()
    rows = []
    for point in facts.points:
        for arm in facts.arms:
            for metric in metrics_of(point):
                summary = facts.summary(arm, point, metric)
                if summary is not None and summary.estimate is not None:
                    rows.append(_spread_row(facts, arm, point, summary, foot))
    return Table(
        name="spread",
        title="Samples and spread",
        caption="Launches and samples behind each estimate, as how many independent samples those count "
        "(autocorrelation within launches), spread between launches (coefficient of variation) and within (median "
        "absolute deviation), percentiles where the samples support them, and how the launches settled. Intervals of "
        "percentiles: over launches where each has enough samples, else between two order statistics of all samples "
        "with launches as clusters.",
        columns=(
            Column(key="point", title="Workload"),
            Column(key="backend", title="Backend"),
            Column(key="metric", title="Metric", kind="code"),
            Column(key="launches", title="Launches", kind="integer"),
            Column(key="samples", title="Samples", kind="integer"),
            Column(key="effective", title="Effective", kind="integer"),
            Column(key="cv", title="Between", kind="number", unit="1", shown="%"),
            Column(key="mad", title="MAD", kind="number", unit="s", shown="ms"),
            Column(key="p90", title="p90", kind="number", unit="s", shown="ms"),
            Column(key="p99", title="p99", kind="number", unit="s", shown="ms"),
            Column(key="steady", title="Steady state"),
        ),
        rows=tuple(rows),
        footnotes=foot.all(),
        place="detail",
        empty="no launch gave steady numbers",
    )


def detectable_effect_table(facts: Facts) -> Table:
    """What the rounds of this run could find: spread of the pairs, minimum detectable effect, rounds for the target."""
    foot = Footnotes()
    rows = []
    names = {point.key: point for point in facts.points}
    for effect in facts.detectable_effects:
        point = names[effect.point]
        marks = (foot.mark(effect.reason),) if effect.reason else ()
        numbers = (effect.spread, effect.detectable, effect.rounds_needed)
        reason = effect.reason or "the question has no answer at this spread"
        cells = (
            Cell(text=facts.label(point)),
            Cell(text=effect.arm),
            Cell(text=effect.metric),
            Cell(value=effect.pairs, notes=marks),
            *(Cell(value=n) if n is not None else Cell(text=ABSENT, notes=(foot.mark(reason),)) for n in numbers),
            Cell(text="yes" if effect.can_fire else "no"),
        )
        rows.append(Row(cells=cells, tags={"arm": effect.arm, "point": facts.label(point), "workload": point.workload}))
    return Table(
        name="detectable-effects",
        title="Minimum detectable effect",
        caption="From the noise of this run: standard deviation of the paired log ratios, the minimum "
        "detectable effect (the slowdown that as many rounds find in 9 of 10 runs), the rounds that bring the interval "
        "to 2 % on each side, and whether the rounds suffice for any verdict in the family.",
        columns=(
            Column(key="point", title="Workload"),
            Column(key="backend", title="Backend"),
            Column(key="metric", title="Metric", kind="code"),
            Column(key="pairs", title="Pairs", kind="integer"),
            Column(key="spread", title="Spread", kind="number", unit="1", shown="%"),
            Column(key="detectable", title="Minimum detectable effect", kind="number", unit="1", shown="%"),
            Column(key="rounds_needed", title="Rounds for 2 %", kind="integer"),
            Column(key="can_fire", title="Suffices"),
        ),
        rows=tuple(rows),
        footnotes=foot.all(),
        place="detail",
        empty="no warm round was finished",
    )


def _spread_row(facts: Facts, arm: Arm, point: Point, summary: Summary, foot: Footnotes) -> Row:
    def number(value: float | None, reason: str) -> Cell:
        return Cell(value=value) if value is not None else Cell(text=ABSENT, notes=(foot.mark(reason),))

    def percentile(estimate: Estimate | None, name: str, share: float) -> Cell:
        if estimate is None:
            few = f"{name} needs {needed(share)} samples in all"
            return Cell(text=ABSENT, notes=(foot.mark(few),))
        return timed(estimate, foot)

    classes = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in sorted(summary.steady.items()))
    cells = (
        Cell(text=facts.label(point)),
        Cell(text=arm.label),
        Cell(text=summary.metric),
        Cell(value=summary.launches),
        number(summary.samples, "not counted"),
        number(summary.effective_samples, "a launch of fewer than 3 samples, or without any variation"),
        number(summary.between_cv, "one launch has no spread"),
        number(summary.mad, "no samples"),
        percentile(summary.p90, "p90", 0.90),
        percentile(summary.p99, "p99", 0.99),
        Cell(text=classes or "not judged"),
    )
    return Row(cells=cells, tags=tags(facts, arm, point))


SECTION = Section(name="spread", tables={2000: spread_table, 2100: detectable_effect_table})
