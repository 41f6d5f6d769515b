"""The run in sentences: the summary, and paragraphs on method, hardware and threats with the run's own values."""

import math
from collections.abc import Sequence

from steelyard.core.backend import Budget
from steelyard.core.comparison import Comparison
from steelyard.core.run import protocol
from steelyard.core.targets import EXPERIMENTAL, unseen
from steelyard.tables import aa_words, passes, provenance
from steelyard.tables.ended import IN_A_REPORT
from steelyard.tables.facts import Facts
from steelyard.tables.format import TIMES, counted, decimals, duration, fixed, level, percent, plain, size
from steelyard.tables.going_on import how_to_go_on
from steelyard.tables.table import About, Paragraph, Reference
from steelyard.tables.threats import threats


def headline(facts: Facts) -> tuple[str, ...]:
    """What the headline workload says, what is still open, what ran, what a reader must beware of: a sentence each."""
    return tuple(filter(None, (what_it_says(facts), how_to_go_on(facts), _what_ran(facts), _beware(facts))))


def _what_ran(facts: Facts) -> str:
    manifest = facts.run.manifest
    warm = {number for segment in facts.run.segments for number in segment.rounds if number != 0}
    how = f"{counted(len(warm), 'warm round')} of fresh processes in random balanced order"
    if facts.run.untimed:
        how = "one fresh process of each with empty caches, of which nothing was timed"
    return (
        f"Suite {manifest.suite} (version {manifest.suite_version}) on {provenance.device(facts)}: "
        f"{counted(len(facts.arms), 'backend')}, {counted(len(facts.points), 'configuration')}, {how}."
    )


def what_it_says(facts: Facts) -> str:
    """Who is faster than the baseline on the headline workload, how sure; of an untimed run who was right how often."""
    manifest = facts.run.manifest
    if facts.run.untimed:
        return " ".join(passes.sentences(facts))
    points = facts.at(manifest.headline)
    if not points:
        return f"The headline workload {manifest.headline} was not part of this run."
    point = points[0]
    baseline = facts.arms[0]
    base = facts.estimate(baseline, point, "latency_s")
    if base is None or not facts.outcome(baseline, point).speed:
        remark = facts.outcome(baseline, point).remark or "no warm round was completed"
        return f"{facts.label(point)}: the baseline {baseline.label} gave no time ({remark})."
    shown = [comparison for arm in facts.arms[1:] if (comparison := _shown(facts, arm.label, point.key))]
    claims = [_claim(comparison) for comparison in sorted(shown, key=_fastest_first)]
    first = f"On {facts.label(point)} the baseline {baseline.label} took {duration(base.value)} a call"
    if claims:
        return f"{first}; {'; '.join(claims)}."
    lost = [f"{arm.label}: {facts.outcome(arm, point).remark}" for arm in facts.arms[1:] if not arm.control]
    why = f" ({'; '.join(lost)})" if lost else ""
    return f"{first}; nothing could be compared with it{why}."


def _shown(facts: Facts, label: str, point: str) -> Comparison | None:
    arm = next(arm for arm in facts.arms if arm.label == label)
    place = next(item for item in facts.points if item.key == point)
    return facts.comparison(arm, place, "latency_s") if facts.outcome(arm, place).speed else None


def _fastest_first(comparison: Comparison) -> float:
    return math.inf if comparison.ratio is None else comparison.ratio.value


def _claim(comparison: Comparison) -> str:
    times = comparison.speedup
    who = f"{comparison.candidate} (approximate)" if comparison.approximate else comparison.candidate
    if times is None:
        return f"{who} is {comparison.verdict} ({comparison.reason})"
    places = decimals(times.value, None if times.interval is None else (times.interval.low, times.interval.high))
    ratio = f"{fixed(times.value, places)}{TIMES}"
    if times.interval is not None:
        low, high = fixed(times.interval.low, places), fixed(times.interval.high, places)
        ratio += f" ({level(times.interval)} interval {low} to {high})"
    if comparison.verdict in ("faster", "slower"):
        return f"{who} is {comparison.verdict}, speed-up {ratio}"
    if comparison.verdict == "equivalent":
        return f"{who} is equivalent, speed-up {ratio}"
    return f"{who}: {comparison.verdict}, speed-up {ratio}"


def _beware(facts: Facts) -> str:
    parts = []
    grades = sorted({segment.noise.grade for segment in facts.run.segments})
    if grades:
        parts.append(f"noise grade of the machine {', '.join(grades)}")
    withheld = sum(item.verdict == "withheld" for item in facts.comparisons if item.factor != "control")
    if withheld:
        parts.append(f"{counted(withheld, 'verdict')} withheld because the machine was too noisy")
    if told := provenance.left_out(facts):
        parts.append(f"left out: {told}")
    bad = [
        f"{arm.label} {outcome.status.replace('_', ' ')} on {facts.label(point)}"
        for point in facts.points
        for arm in facts.arms
        if (outcome := facts.outcome(arm, point)).status != "ok"
    ]
    if bad:
        more = f" and {len(bad) - 4} more" if len(bad) > 4 else ""
        parts.append(f"not ok: {', '.join(bad[:4])}{more}")
    doubtful = [
        f"{arm.label} on {facts.label(point)}"
        for point in facts.points
        for arm in facts.arms
        if facts.outcome(arm, point).speed and facts.efficiency(arm, point).suspicious
    ]
    if doubtful:
        more = f" and {len(doubtful) - 4} more" if len(doubtful) > 4 else ""
        parts.append(f"suspicious, above a ceiling of the machine: {', '.join(doubtful[:4])}{more}")
    approximate = [
        f"{arm.label} on {facts.label(point)}"
        for point in facts.points
        for arm in facts.arms
        if facts.outcome(arm, point).approximate
    ]
    if approximate:
        more = f" and {len(approximate) - 4} more" if len(approximate) > 4 else ""
        parts.append(f"approximate, which is no equal work: {', '.join(approximate[:4])}{more}")
    left = [entry.backend for entry in facts.run.manifest.left_out if not entry.point]
    if left:
        parts.append(f"left out: {', '.join(left)}")
    if not bad and not approximate:
        parts.append("every backend that ran was correct on every workload")
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."


def paragraphs(facts: Facts, references: Sequence[Reference]) -> tuple[Paragraph, ...]:
    """Methodology, hardware and threats to validity in whole sentences; the first cites `references`."""
    named = _named(facts)
    keys = {about: tuple(entry.key for entry in references if entry.about == about) for about in named}
    return (
        Paragraph(
            name="methodology",
            title="Methodology",
            sentences=(*named.values(), *_methodology(facts)),
            cited={number: keys[about] for number, about in enumerate(named) if keys[about]},
        ),
        Paragraph(name="hardware", title="Hardware and software", sentences=_hardware(facts)),
        threats(facts),
    )


def _capped(budget: Budget) -> str:
    if budget.memory_cap_bytes is None:
        return ""
    cap = size(budget.memory_cap_bytes)
    return f"; each case had launches of its own with at most {cap} of memory, kept by {budget.memory_cap_by}"


def _named(facts: Facts) -> dict[About, str]:
    """A sentence each on the tool, the backends and, where the points name any, the models."""
    manifest = facts.run.manifest
    models = dict.fromkeys(str(point.axes["model"]) for point in facts.points if "model" in point.axes)
    told: dict[About, str] = {
        "tool": f"Measured with steelyard {manifest.tool_version}, suite {manifest.suite} version "
        f"{manifest.suite_version}.",
        "runtime": _were("backend", [arm.label for arm in facts.arms]),
    }
    return told | {"model": _were("model", list(models))} if models else told


def _were(noun: str, names: Sequence[str]) -> str:
    """`The model was a.`, `The models were a, b.`"""
    return f"The {noun} was {names[0]}." if len(names) == 1 else f"The {noun}s were {', '.join(names)}."


def _turns(facts: Facts) -> tuple[str, ...]:
    """That the launches of a round took turns, and in how many groups."""
    how = protocol(facts.run.launches)
    if "in turns" not in how:
        return ()
    among = (
        f", each with its own launch of {facts.run.manifest.baseline}; launches are paired within a group"
        if "groups" in how
        else ""
    )
    return (f"The timed windows of a round's launches ran {how}{among}, one launch at a time, the others stopped.",)


def _methodology(facts: Facts) -> tuple[str, ...]:
    manifest = facts.run.manifest
    budget = manifest.budget
    warm = {number for segment in facts.run.segments for number in segment.rounds if number != 0}
    ended = dict.fromkeys(IN_A_REPORT.get(segment.ended, segment.ended) for segment in facts.run.segments)
    origins = sorted({p.weights.origin for point in facts.points for p in point.programs.values()})
    control = "; the baseline was launched a second time in each round as a control arm" if facts.control else ""
    checked = sum(r.correctness.calls_checked for r in facts.run.results if r.correctness is not None)
    primary = [item for item in facts.comparisons if item.family == "primary" and item.factor != "control"]
    floors = [item.floor for item in primary if item.floor is not None]
    sentences = [
        f"All backends ran the same computation with the same weights ({', '.join(origins)}) and the same input bytes, "
        f"with {counted(budget.threads, 'thread')}, tuning {budget.tuning}, precision {budget.precision} and "
        f"{budget.shapes} shapes; copies lie {budget.copies} the timed call{_capped(budget)}.",
        f"In each of {counted(len(warm), 'round')} every backend was launched once as a fresh process, in random "
        f"balanced order{control}; a further round with empty compile caches gave the cold compile times.",
        *_turns(facts),
        f"Measuring ended {' and '.join(ended) or 'before a segment was finished'}.",
        "Each sample is one call on the host's monotonic clock with inputs bound beforehand and every output complete; "
        "leading samples judged to be warm-up were left out of the medians and are kept in the data.",
        "A launch gives one number, the median of its steady samples; backends are compared by the Hodges-Lehmann "
        f"estimate of the paired log-ratios of the launches of a round with the exact signed-rank interval against "
        f"{manifest.baseline}.",
        f"The primary family is the latency of {manifest.headline}, one comparison per backend, adjusted by Holm's "
        "method; all other comparisons are exploratory and adjusted by that of Benjamini and Hochberg.",
        f"Outputs of {counted(checked, 'timed call')} in all, unknown to the backends beforehand, were checked against "
        "an fp64 reference.",
        *(
            f"Relative errors up to a tolerance of {text}, pass; what needed it is marked approximate and never called "
            "the fastest."
            for text in provenance.stated(facts)
        ),
    ]
    if told := provenance.left_out(facts):
        sentences.append(f"The times of {told} count nowhere and are kept in the data.")
    if floors:
        sentences.append(f"The noise floor of {manifest.headline}, from the control arm, is {percent(max(floors))}.")
    sentences += [text for text in (_effect(facts), *aa_words.sentences(facts)) if text]
    return tuple(sentences)


def _hardware(facts: Facts) -> tuple[str, ...]:
    manifest = facts.run.manifest
    versions = "; ".join(f"{label}: {text}" for label, text in facts.versions.items())
    known = [
        f"{name.replace('_', ' ')} {plain(value)}"
        for name, value in manifest.environment.items()
        if isinstance(value, str | int | float) and not isinstance(value, bool)
    ]
    sentences = [
        f"The device was {provenance.device(facts)}.",
        *_experimental(facts),
        f"Runtimes: {versions or 'none ran'}.",
    ]
    if known:
        sentences.append(f"Environment: {'; '.join(known)}.")
    return tuple(sentences)


def _experimental(facts: Facts) -> tuple[str, ...]:
    """The sentence that names the backends which no published run has shown to work on such a device."""
    kind = facts.run.manifest.device.kind
    told = unseen([arm.backend for arm in facts.arms], kind)
    if not told:
        return ()
    label = EXPERIMENTAL[:1].upper() + EXPERIMENTAL[1:]
    return (
        f"{label}: no published run has shown {', '.join(told)} on a device of the kind {kind}; read what the proof "
        "tells before the times.",
    )


def _effect(facts: Facts) -> str:
    """The minimum detectable effect on the headline workload, where the noise could be estimated."""
    headline = {point.key for point in facts.at(facts.run.manifest.headline)}
    found = [
        effect.detectable
        for effect in facts.detectable_effects
        if effect.point in headline and effect.metric == "latency_s" and effect.detectable is not None
        and (facts.control is None or effect.arm != facts.control.label)
    ]  # fmt: skip
    if not found:
        return ""
    return (
        f"The minimum detectable effect is {percent(max(found))}: with this noise, as many rounds find such a "
        "slowdown in 9 of 10 runs."
    )
