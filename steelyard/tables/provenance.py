"""What a report says of its numbers: n and levels in each table; device, estimator, versions, tuning and execution
modes, which all tables share, once at its top, and below a table that may stand alone in one line."""

from collections.abc import Iterable, Mapping, Sequence

from steelyard.analysis.left_out import left_out as left_out_of
from steelyard.analysis.left_out import stolen
from steelyard.core.case import Arm
from steelyard.core.comparison import Comparison, Estimate, Interval
from steelyard.core.run import Run, Segment, protocol
from steelyard.core.workload import Point
from steelyard.tables.facts import Facts
from steelyard.tables.format import counted, level, percent, plain
from steelyard.tables.table import Footnotes

CEILINGS_COMMAND = "bench hardware ceilings"
_ESTIMATOR = "Hodges-Lehmann estimate over the medians of the launches"


def device(facts: Facts) -> str:
    """The device, threads and dtype in one clause."""
    manifest = facts.run.manifest
    threads = counted(manifest.budget.threads, "thread")
    dtypes = sorted({str(p.dtype) for point in facts.points for p in point.programs.values()})
    return f"{manifest.device.name} ({manifest.device.id}), {threads}, {', '.join(dtypes)}"


def sizes(estimates: Iterable[Estimate | None]) -> str:
    """The count of launches behind the estimates: `n = 8 launches` or `n = 6 to 8 launches`."""
    counts = [estimate.n for estimate in estimates if estimate is not None and estimate.n > 0]
    if not counts:
        return "no launch gave a number"
    few, many = min(counts), max(counts)
    return f"n = {counted(many, 'launch', 'launches')}" if few == many else f"n = {few} to {many} launches"


def levels(intervals: Iterable[Interval | None]) -> str:
    """The levels of intervals: `95 % intervals`, or all of them where they differ, or that there are none."""
    found = sorted({interval.confidence for interval in intervals if interval is not None})
    if not found:
        return "no intervals (too few launches)"
    texts = [level(Interval(low=0, high=0, confidence=value)) for value in found]
    return f"{' and '.join([', '.join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)} intervals"


def caption(facts: Facts, points: Sequence[Point], what: str, estimates: Sequence[Estimate | None]) -> str:
    """A caption: what it is, the constant axes, n and level of the intervals."""
    return f"{what} {_axes(facts, points)}{_counts(estimates)}."


def basis(estimates: Sequence[Estimate | None]) -> str:
    """The clause on n, statistic and interval, for what stands alone."""
    interval = levels(None if estimate is None else estimate.interval for estimate in estimates)
    return f"{sizes(estimates)} (fresh processes) per backend; {_ESTIMATOR}, {interval}"


def _counts(estimates: Sequence[Estimate | None]) -> str:
    """The same without what all tables of a report share."""
    interval = levels(None if estimate is None else estimate.interval for estimate in estimates)
    return f"{sizes(estimates)} per backend, {interval}"


def software(facts: Facts) -> str:
    """The sentence that ends the caption of a figure: driver, versions, tool and run."""
    manifest = facts.run.manifest
    return (
        f"{_driver(facts)}; {_versions(facts)}; steelyard {manifest.tool_version}, run {manifest.run_id}"
        f"{''.join(f'; tolerance {text}' for text in stated(facts))}."
    )


def stated(facts: Facts) -> tuple[str, ...]:
    """Every tolerance that was stated, and by whom, each once."""
    return tuple(
        dict.fromkeys(filter(None, (facts.stated(arm, point) for point in facts.points for arm in facts.arms)))
    )


def remarks(facts: Facts, arm: Arm, point: Point, foot: Footnotes) -> tuple[str, ...]:
    """The marks of a time: how its launches ended where that was not plain ok, and a tolerance that was stated."""
    outcome, tolerance = facts.outcome(arm, point), facts.stated(arm, point)
    told = (f"{arm.label}: {outcome.remark}" if outcome.remark else "", f"tolerance {tolerance}" if tolerance else "")
    return tuple(foot.mark(text) for text in told if text)


def shared(facts: Facts) -> tuple[str, ...]:
    """The conditions that all tables of a report share, a sentence each."""
    used = {arm.label: text for arm in facts.arms if (text := execution_mode(facts, arm.label))}
    modes = "; ".join(f"{label}: {text}" for label, text in used.items())
    lines = (
        f"Device: {device(facts)}.",
        f"Estimator: {_ESTIMATOR}; a launch is a fresh process.",
        f"Versions: {_versions(facts)}.",
        f"Tuning: {facts.run.manifest.budget.tuning} (exact options in the tuning table).",
        f"Execution modes: {modes or 'none recorded'}.",
    )
    return (*lines, f"Left out: {told}.") if (told := left_out(facts)) else lines


def conditions(facts: Facts, *, estimates: bool = True) -> str:
    """The same in one line, for a table that stands alone; `estimates` is whether its numbers are such."""
    parts = [f"On {device(facts)}", *([_ESTIMATOR] if estimates else []), _versions(facts)]
    parts.append(f"tuning {facts.run.manifest.budget.tuning}")
    parts += [f"left out: {told}"] if (told := left_out(facts)) else []
    return f"{'; '.join(parts)}."


def _versions(facts: Facts) -> str:
    return "; ".join(f"{label}: {text}" for label, text in facts.versions.items()) or "no backend ran"


def left_out(facts: Facts) -> str:
    """Whose times count nowhere: of rounds that others contaminated, and of launches that lost time to the host; empty
    where all count."""
    found = []
    for numbers, where in zip(_contaminated(facts), ("", " for some configurations"), strict=True):
        if numbers:
            who = f"contaminated by other programs on the machine{where}"
            evidence = f"{', '.join(map(str, numbers))}; evidence in the table of segments"
            found.append(f"{counted(len(numbers), 'round')} {who} ({evidence})")
    names = {name for each in left_out_of(facts.run).values() for name in each.launches}
    lost: dict[str, list[str]] = {}
    for name, each in stolen(facts.run).items():
        if name in names:
            lost.setdefault(each.arm, []).append(f"{each.round}: {each.told}")
    for arm, told in lost.items():
        found.append(f"of {arm} {counted(len(told), 'launch', 'launches')} (round {'; '.join(told)})")
    return "; ".join(found)


def _contaminated(facts: Facts) -> tuple[Sequence[int], Sequence[int]]:
    """The contaminated rounds that are left out for all configurations, and those that are for some."""
    aside = [set(rounds) for rounds in facts.contaminated.values()]
    anywhere, everywhere = set().union(*aside), set.intersection(*aside) if aside else set()
    return sorted(everywhere), sorted(anywhere - everywhere)


def execution_mode(facts: Facts, label: str) -> str:
    """How a backend was used, over all points: `kv_cache=in place, weights=constants`."""
    found = facts.execution_modes.get(label)
    return plain({name: " or ".join(values) for name, values in found.items()}) if found else ""


def family(facts: Facts, comparisons: Sequence[Comparison]) -> str:
    """Which family of hypotheses the verdicts belong to, and the rule that gave them."""
    if not comparisons:
        return ""
    primary = comparisons[0].family == "primary"
    kind = "the primary family of this run (Holm)" if primary else "the exploratory family (Benjamini-Hochberg)"
    floors = [item.floor for item in comparisons if item.floor is not None]
    floor = f"noise floor {percent(max(floors))}" if floors else "no noise floor, as "
    floor += "" if floors else ("the control arm has too few rounds" if facts.control else "there was no control arm")
    margin = percent(comparisons[0].margin)
    return (
        f"Verdicts are against {comparisons[0].baseline} and belong to {kind}; faster or slower: the whole interval "
        f"lies beyond the larger of {margin} and the noise floor; equivalent: it lies within {margin}; {floor}. Where "
        "the family asks for a wider interval than the one that is printed, a footnote names its level."
    )


def _driver(facts: Facts) -> str:
    """The driver of the device, as the environment tells it; a CPU has none but the kernel."""
    manifest = facts.run.manifest
    others = manifest.environment.get("accelerators")
    known = others if isinstance(others, Mapping) else {}
    boards = manifest.environment.get("gpus") if manifest.device.kind == "cuda" else known.get(manifest.device.kind)
    if manifest.device.kind == "cpu" or not isinstance(boards, list | tuple):
        return f"Kernel {plain(manifest.environment.get('kernel'))}"
    told = [board.get("driver") for board in boards if isinstance(board, Mapping)]
    driver = told[manifest.device.index] if manifest.device.index < len(told) else None
    return f"Driver {plain(driver)}"


def _axes(facts: Facts, points: Sequence[Point]) -> str:
    constant = facts.constant(points) if points else ""
    return f"{constant}. " if constant else ""


def no_ceiling(facts: Facts) -> str:
    """Why nothing measured of this device is there to hold results against."""
    ceilings = facts.run.manifest.ceilings
    if ceilings is not None and ceilings.grade == "F":
        return "the ceilings were measured on a machine too noisy for them (grade F)"
    return f"no ceiling is known for this device: {CEILINGS_COMMAND}, before a run, measures them"


def launches_of_a_round(run: Run, segment: Segment) -> str:
    """Whether the launches of a segment's warm rounds took turns, and in how many groups; and why, where not all did
    with each other."""
    warm = {number for number in segment.rounds if number > 0}
    # The launches tell: of a segment whose writer was killed `turns` says nothing.
    how = protocol([each for each in run.launches if each.round in warm])
    how = how or ("in turns" if segment.turns == "on" else "one after the other")
    why = segment.groups if segment.turns == "on" else segment.turns
    return f"{how}: {why}" if why else how
