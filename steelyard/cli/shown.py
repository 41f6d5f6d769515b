"""A run as the lines of `bench show`: a table with bars for each point and metric, what failed below it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from steelyard.cli.bars import BarLayout, BarLine, Block, wrapped
from steelyard.cli.terminal import Style, Terminal, folded

if TYPE_CHECKING:
    from steelyard.core.case import Arm
    from steelyard.core.comparison import Comparison, Estimate
    from steelyard.core.workload import Point
    from steelyard.store import StoredRun
    from steelyard.tables.facts import Facts
    from steelyard.tables.outcome import Outcome

_STYLES: Mapping[str, Style] = {
    "faster": "good",
    "slower": "bad",
    "equivalent": "same",
    "inconclusive": "doubt",
    "withheld": "doubt",
    "incomparable": "doubt",
    "baseline": "dim",
}
_GRADES: Mapping[str, Style] = {"A": "good", "B": "good", "C": "doubt", "D": "doubt", "F": "bad"}


def lines_of(stored: "StoredRun", facts: "Facts", terminal: Terminal) -> Iterator[str]:
    """Everything that `bench show` prints, line by line."""
    yield from _head(stored, facts, terminal)
    blocks = [block for point in facts.points for block in _blocks(facts, point)]
    blocks += _mean(facts)
    layout = BarLayout.of(blocks, terminal)
    for block in blocks:
        yield ""
        yield from layout.table(block)
    yield from _left_out(facts, terminal)
    yield ""
    baseline = facts.run.manifest.baseline
    shade = terminal.bar(1, 2, 2, 2)[-1]
    yield from wrapped(
        f"speed-up: over {baseline}, above 1 is faster; bars: shorter is faster, {shade} up to the end of the "
        "interval; every interval is of 95 %, and where a verdict rests on a wider one its remark says so",
        terminal,
        style="dim",
    )


def with_interval(estimate: "Estimate | None", unit: str = "") -> str:
    """`0.419 [0.410, 0.425]`; a time in seconds is scaled to `unit`."""
    value, interval = split(estimate, unit)
    return f"{value} {interval}" if interval else value


def split(estimate: "Estimate | None", unit: str = "") -> tuple[str, str]:
    """A number and its interval in brackets, which is empty where there is none."""
    from steelyard.tables.format import ABSENT, decimals, factor, fixed

    if estimate is None:
        return ABSENT, ""
    scale = factor("s", unit) if unit else 1.0
    value = estimate.value * scale
    if estimate.interval is None:
        return fixed(value, decimals(value)), ""
    low, high = estimate.interval.low * scale, estimate.interval.high * scale
    places = decimals(value, (low, high))
    return fixed(value, places), f"[{fixed(low, places)}, {fixed(high, places)}]"


def _head(stored: "StoredRun", facts: "Facts", terminal: Terminal) -> Iterator[str]:
    from steelyard.tables.aa_words import sentences
    from steelyard.tables.format import counted
    from steelyard.tables.going_on import how_to_go_on
    from steelyard.tables.provenance import launches_of_a_round

    manifest = facts.run.manifest
    budget = manifest.budget
    for line in folded(terminal.shown(manifest.run_id), terminal.width):
        yield terminal.paint(line, "bold")
    yield from wrapped(
        f"suite {manifest.suite} on {manifest.device.name}, {counted(budget.threads, 'thread')}, "
        f"tuning {budget.tuning}, {manifest.created_utc}",
        terminal,
    )
    for note in stored.notes:
        yield from wrapped(f"note: {note}", terminal, style="doubt")
    for segment in facts.run.segments:
        grade = segment.noise.grade
        told = f"segment {segment.index}: ended by {segment.ended}; machine noise: grade {grade}"
        yield from wrapped(told, terminal, style=_GRADES[grade])
        if segment.turns:
            yield from wrapped(f"launches of a round: {launches_of_a_round(facts.run, segment)}", terminal, indent="  ")
        for sentence in segment.noise.evidence:
            yield from wrapped(sentence, terminal, indent="  ")
        for number, why in segment.disturbed.items():
            yield from wrapped(
                f"round {number} was contaminated{_outcome(facts, number)}: {why}", terminal, indent="  "
            )
    for sentence in sentences(facts):
        yield from wrapped(sentence, terminal, style="dim")
    if told := how_to_go_on(facts):
        yield from wrapped(told, terminal, style="doubt")


def _outcome(facts: "Facts", number: int) -> str:
    """What became of a contaminated round's times."""
    if number == 0:
        return ""
    aside = [number in rounds for rounds in facts.contaminated.values()]
    if all(aside):
        return ", and its times are left out"
    if any(aside):
        return f", and its times for {sum(aside)} of {len(aside)} configurations are left out"
    return ", as most were: its times are shown, and no verdict is given on them"


def _blocks(facts: "Facts", point: "Point") -> Iterator[Block]:
    from steelyard.measure.driver import LATENCY, metrics_of

    arms = (*facts.arms, *([facts.control] if facts.control else []))
    outcomes = {arm.label: facts.outcome(arm, point) for arm in arms}
    medians = {
        metric: {arm.label: facts.median(arm, point, metric) if outcomes[arm.label].speed else None for arm in arms}
        for metric in metrics_of(point)
    }
    taken = [metric for metric in medians if any(found is not None for found in medians[metric].values())]
    for metric in taken or [LATENCY]:
        estimates = medians[metric]
        unit = _unit([estimate.value for estimate in estimates.values() if estimate is not None])
        lines: list[BarLine] = []
        remarks: list[tuple[str, str, Style]] = []
        for arm in arms:
            outcome, estimate = outcomes[arm.label], estimates[arm.label]
            comparison = facts.comparison(arm, point, metric)
            verdict = _verdict(facts, arm, comparison)
            doubt = facts.efficiency(arm, point).suspicious if outcome.speed else ""
            lines.append(_line(arm, estimate, comparison, unit, verdict, outcome, bool(doubt)))
            if outcome.remark:
                remarks.append((arm.label, outcome.remark, "doubt" if outcome.status == "ok" else "bad"))
            if doubt and metric == LATENCY:
                remarks.append((arm.label, f"suspicious: {doubt}", "doubt"))
            if comparison is not None and outcome.speed:
                told = [text for text in comparison.remarks if text != f"{arm.label}: {outcome.approximate}"]
                style: Style = "dim" if comparison.decided else "doubt"
                remarks += [(arm.label, f"{comparison.verdict}: {text}", style) for text in told]
        for stated in dict.fromkeys(facts.stated(arm, point) for arm in arms):
            if stated:
                remarks.append(("tolerance", stated, "dim"))
        points = facts.at(point.workload)
        yield Block(
            title=f"{facts.label(point)}: {metric.removesuffix('_s')} [{unit}]",
            under=facts.constant(points) if (point, metric) == (points[0], LATENCY) else "",
            heads=("median", "speed-up"),
            lines=tuple(lines),
            remarks=_together(remarks),
        )


def _line(
    arm: "Arm",
    estimate: "Estimate | None",
    comparison: "Comparison | None",
    unit: str,
    verdict: str,
    outcome: "Outcome",
    doubtful: bool,
) -> BarLine:
    value, interval = split(estimate, unit)
    times = None if comparison is None else comparison.speedup
    speedup, speedup_interval = ("", "") if times is None else split(times)
    word = verdict if outcome.speed else outcome.status.replace("_", " ")
    style: Style = _STYLES.get(verdict, "") if outcome.speed else "bad"
    if outcome.speed and outcome.approximate:
        word, style = f"{word} ≈", "doubt"
    if outcome.speed and outcome.status != "ok":
        word += " !"  # some launches failed; the remark says how many
    if doubtful:  # above a ceiling; the remark says by how much
        word, style = f"{word} ?", "doubt"
    end = 0.0 if estimate is None else estimate.interval.high if estimate.interval else estimate.value
    return BarLine(
        name=arm.label,
        value=value,
        interval=interval,
        speedup=speedup,
        speedup_interval=speedup_interval,
        word=word,
        style=style,
        dim=arm.control,
        length=0.0 if estimate is None else estimate.value,
        end=end,
    )


def _mean(facts: "Facts") -> Iterator[Block]:
    """The geometric mean over the points that all backends completed, where the run has several points."""
    from steelyard.tables.overall import approximations, left_out

    if not facts.overall:
        return
    points = max(len(item.points) for item in facts.overall)
    lines = []
    for item in facts.overall:
        speedup, interval = split(item.ratio and item.ratio.inverse)
        lines.append(BarLine(name=item.arm, speedup=speedup, speedup_interval=interval))
    apart = {title: reason for item in facts.overall for title, reason in item.left_out.items()}
    reasons = [item.reason or (item.ratio.reason if item.ratio else "") for item in facts.overall]
    remarks = [*dict.fromkeys(filter(None, reasons)), *(f"without {titles}: {why}" for titles, why in left_out(apart))]
    remarks += dict.fromkeys(told for item in facts.overall for told in approximations(facts, item.approximate))
    over = f"all {points} configurations" if points else "all configurations"
    yield Block(
        title=f"{over}: geometric mean of the speed-ups" if points else f"no mean over {over}",
        heads=("", "speed-up"),
        lines=tuple(lines),
        remarks=tuple((remark, "") for remark in remarks),
    )


def _left_out(facts: "Facts", terminal: Terminal) -> Iterator[str]:
    if not facts.run.manifest.left_out:
        return
    yield ""
    yield terminal.paint("left out", "bold")
    for entry in facts.run.manifest.left_out:
        where = f" on {entry.point}" if entry.point else ""
        yield from wrapped(f"{entry.backend}{where}: {entry.reason}", terminal, indent="  ")


def _together(remarks: Sequence[tuple[str, str, Style]]) -> tuple[tuple[str, Style], ...]:
    """One remark for all arms of which the same is said, what failed first."""
    arms: dict[tuple[str, Style], list[str]] = {}
    for label, told, style in sorted(remarks, key=lambda remark: remark[2] != "bad"):
        arms.setdefault((told, style), []).append(label)
    return tuple((f"{', '.join(labels)}: {told}", style) for (told, style), labels in arms.items())


def _unit(times_s: Sequence[float]) -> str:
    """The unit in which the shortest of these times is at least one."""
    shortest = min(times_s, default=1e-3)
    return "s" if shortest >= 1 else "ms" if shortest >= 1e-3 else "µs"


def _verdict(facts: "Facts", arm: "Arm", comparison: "Comparison | None") -> str:
    if arm.label == facts.run.manifest.baseline:
        return "baseline"
    return comparison.verdict if comparison is not None else ""
