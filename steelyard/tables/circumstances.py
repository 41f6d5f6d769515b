"""Where and how the run was made: environment, plan and command as facts, and the text that was generated."""

from collections.abc import Iterator, Mapping
from typing import Any

from steelyard.compare import Summary
from steelyard.core.case import Arm
from steelyard.core.comparison import Estimate
from steelyard.core.run import protocol
from steelyard.core.workload import Point
from steelyard.measure.driver import metrics_of
from steelyard.stats.quantile import needed
from steelyard.tables import provenance
from steelyard.tables.facts import Facts
from steelyard.tables.format import ABSENT, counted, percent, plain
from steelyard.tables.speed import tags, timed
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table


def environment_table(facts: Facts) -> Table:
    """The fingerprint of the machine and its software; what could not be read says why."""
    manifest = facts.run.manifest
    pairs = [("device", f"{manifest.device.id}: {manifest.device.name}"), ("steelyard", manifest.tool_version)]
    return _fact_table(
        "environment", "Machine and versions", "The machine and the software as found.", pairs, manifest.environment
    )


def plan_table(facts: Facts) -> Table:
    """The plan: command, budget, rounds, why it stopped, what effects could be found."""
    manifest = facts.run.manifest
    budget = manifest.budget
    rounds = sum(len(segment.rounds) for segment in facts.run.segments)
    pairs = [
        ("command", " ".join(manifest.command)),
        ("suite", f"{manifest.suite} version {manifest.suite_version}, headline {manifest.headline}"),
        ("run", f"{manifest.run_id}, {manifest.created_utc}"),
        ("digest of the run", facts.run.digest or "none: it is not stored, or still grows"),
        (
            "budget",
            f"{counted(budget.threads, 'thread')} on CPUs {plain(budget.cpus)}; tuning {budget.tuning}; precision "
            f"{budget.precision}; copies {budget.copies} the sample; shapes {budget.shapes}; layout {budget.layout}",
        ),
        *((("L2 cache", budget.l2_cache),) if budget.l2 is not None else ()),
        *((("memory cap", budget.memory_cap),) if budget.memory_cap_bytes is not None else ()),
        *(
            (f"code of {backend}", plain({n: d[:12] for n, d in code.items()}))
            for backend, code in manifest.code.items()
        ),
        *((("tolerance", "; ".join(stated)),) if (stated := provenance.stated(facts)) else ()),
        ("rounds measured", f"{rounds}, the cold one included"),
        ("launches", str(len(facts.run.launches))),
        *((("launches of a round", how),) if (how := protocol(facts.run.launches)) else ()),
        ("ended by", ", ".join(segment.ended for segment in facts.run.segments) or "not finished"),
    ]
    return _fact_table("plan", "Plan and stopping", "What was asked, planned and done.", pairs, manifest.plan)


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


def texts_table(facts: Facts) -> Table:
    """What each backend generated, and whether it is the reference's text."""
    rows = []
    for point in facts.points:
        lowered = facts.run.manifest.lowered.get(point.key)
        reference = None if lowered is None else lowered.reference_text
        if reference is not None:
            rows.append(_text_row(facts.label(point), "reference (fp64 eager)", reference, "", point.workload))
        for arm in facts.arms:
            # The text of a wrong answer is shown too: it is the evidence.
            texts = list(dict.fromkeys(r.text for r in facts.results(arm, point) if r.text is not None))
            for text in texts:
                same = "not comparable" if reference is None else ("same" if text == reference else "differs")
                rows.append(_text_row(facts.label(point), arm.label, text, same, point.workload))
    return Table(
        name="texts",
        title="Generated text",
        caption="The text that each backend generated, greedily, from the same prompt.",
        columns=(
            Column(key="point", title="Workload"),
            Column(key="backend", title="Backend"),
            Column(key="text", title="Text", wide=True),
            Column(key="same", title="Reference"),
        ),
        rows=tuple(rows),
        place="detail",
        empty="no workload of this run generated text",
    )


def outlook_table(facts: Facts) -> Table:
    """What the rounds of this run could find: spread of the pairs, rounds for the target, smallest effect."""
    foot = Footnotes()
    rows = []
    names = {point.key: point for point in facts.points}
    for outlook in facts.outlooks:
        point = names[outlook.point]
        marks = (foot.mark(outlook.reason),) if outlook.reason else ()
        numbers = (outlook.spread, outlook.detectable, outlook.rounds_needed)
        reason = outlook.reason or "the question has no answer at this spread"
        cells = (
            Cell(text=facts.label(point)),
            Cell(text=outlook.arm),
            Cell(text=outlook.metric),
            Cell(value=outlook.pairs, notes=marks),
            *(Cell(value=n) if n is not None else Cell(text=ABSENT, notes=(foot.mark(reason),)) for n in numbers),
            Cell(text="yes" if outlook.can_fire else "no"),
        )
        rows.append(
            Row(cells=cells, tags={"arm": outlook.arm, "point": facts.label(point), "workload": point.workload})
        )
    return Table(
        name="outlook",
        title="What the rounds could find",
        caption="From the noise of this run: standard deviation of the paired log ratios, the slowdown that "
        "as many rounds find in 9 of 10 runs, the rounds that bring the interval to 2 % on each side, and whether the "
        "rounds suffice for any verdict in the family.",
        columns=(
            Column(key="point", title="Workload"),
            Column(key="backend", title="Backend"),
            Column(key="metric", title="Metric", kind="code"),
            Column(key="pairs", title="Pairs", kind="integer"),
            Column(key="spread", title="Spread", kind="number", unit="1", shown="%"),
            Column(key="detectable", title="Smallest effect", kind="number", unit="1", shown="%"),
            Column(key="rounds_needed", title="Rounds for 2 %", kind="integer"),
            Column(key="can_fire", title="Suffices"),
        ),
        rows=tuple(rows),
        footnotes=foot.all(),
        place="detail",
        empty="no warm round was finished",
    )


def effect_sentence(facts: Facts) -> str:
    """The smallest effect that the run could find on its headline workload, where the noise could be estimated."""
    headline = {point.key for point in facts.at(facts.run.manifest.headline)}
    found = [
        outlook.detectable
        for outlook in facts.outlooks
        if outlook.point in headline and outlook.metric == "latency_s" and outlook.detectable is not None
        and (facts.control is None or outlook.arm != facts.control.label)
    ]  # fmt: skip
    if not found:
        return ""
    return f"With this noise, as many rounds find a slowdown of {percent(max(found))} in 9 of 10 runs."


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


def _text_row(label: str, arm: str, text: str, same: str, workload: str) -> Row:
    about = {"point": label, "workload": workload, "arm": arm if same else ""}
    return Row(cells=(Cell(text=label), Cell(text=arm), Cell(text=text), Cell(text=same)), tags=about)


def _fact_table(name: str, title: str, caption: str, pairs: list[tuple[str, str]], more: Mapping[str, Any]) -> Table:
    facts = [*pairs, *_flat(more)]
    return Table(
        name=name,
        title=title,
        caption=caption,
        columns=(Column(key="fact", title="Fact"), Column(key="value", title="Value", wide=True)),
        rows=tuple(Row(cells=(Cell(text=fact), Cell(text=value))) for fact, value in facts),
        place="detail",
        empty="nothing was recorded",
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        label = f"{prefix}{name}".replace("_", " ")
        if isinstance(value, Mapping) and set(value) != {"value", "reason"} and value:
            yield from _flat(value, f"{label}, ")
        else:
            yield label, plain(value)
