"""Threats to validity: what a reader may not conclude from this run, a sentence each, and only where it holds."""

import re
from collections.abc import Mapping, Sequence

from steelyard.core.aa_counts import BESIDE
from steelyard.core.run import LeftOut, protocol
from steelyard.guard.grades import SCALES, letter_of
from steelyard.guard.speed import LAG, SPREAD
from steelyard.tables import provenance
from steelyard.tables.aa_words import differences
from steelyard.tables.facts import Facts
from steelyard.tables.format import counted, percent, without_code
from steelyard.tables.table import Paragraph

MOST = 8
"""Cases that a sentence names; of more it gives the number."""


def threats(facts: Facts) -> Paragraph:
    """The paragraph, to be pasted as it is."""
    sentences = (
        *_machine(facts),
        *_noise(facts),
        *_launches(facts),
        *_turns(facts),
        *_work(facts),
        _tuning(facts),
        *_cold(facts),
        *_energy(facts),
        *_missing(facts),
        *_errors(facts),
    )
    return Paragraph(name="threats", title="Threats to validity", sentences=sentences)


def _machine(facts: Facts) -> tuple[str, ...]:
    """One machine, and whether it is virtual, as far as the environment tells."""
    found = facts.run.manifest.environment.get("virtualisation")
    virtual = found.get("hypervisor") if isinstance(found, Mapping) else None
    one = f"All numbers come from one machine ({facts.run.manifest.device.name}) and say nothing of other hardware."
    if virtual is True:
        return (one, "It is a virtual machine, so that its host may share caches, memory and clock with other guests.")
    if virtual is False:
        return (one,)
    return (one, "Whether it is a virtual machine is not known.")


def _noise(facts: Facts) -> tuple[str, ...]:
    """What the machine did to the numbers: a grade worse than B, verdicts withheld, rounds contaminated, no floor."""
    grades = sorted({segment.noise.grade for segment in facts.run.segments} - {"A", "B"})
    evidence = dict.fromkeys(
        _finding(text)
        for segment in facts.run.segments
        if segment.noise.grade in grades
        for text in segment.noise.evidence
        if not text.startswith(("A: ", "B: "))
    )
    told = f": {'; '.join(evidence)}" if evidence else ""
    withheld = sum(item.verdict == "withheld" for item in facts.comparisons if item.factor != "control")
    sentences = []
    if grades:
        sentences.append(f"The machine was noisy (noise grade {', '.join(grades)}, where A is the best){told}.")
    if withheld:
        sentences.append(f"{_sentence_count(withheld, 'verdict')} withheld because the machine was too noisy.")
    if told := provenance.left_out(facts):
        sentences.append(f"Left out of all times: {told}.")
    if moved := _clock(facts):
        sentences.append(f"The clock of the measured CPUs moved: {moved}; no number is corrected for it.")
    if facts.control is None:
        sentences.append("There was no control arm, so that no noise floor of the verdicts is known.")
    return tuple(sentences)


def _clock(facts: Facts) -> str:
    """By how much the clock moved where that is below grade A, in the segment where it was most."""
    told = []
    for name, says in _MOVED:
        readings = (segment.noise.readings.get(f"during/{name}") for segment in facts.run.segments)
        most = max((reading.value for reading in readings if reading and reading.value is not None), default=0.0)
        if letter_of(most, SCALES[name].bounds) != "A":
            told.append(says.format(percent(most)))
    return " and ".join(told)


_MOVED = (
    (LAG, "the typical launch was {} slower than the fastest, which all backends of a round share"),
    (SPREAD, "two launches of one round differed by {}, which is in the ratio of the two"),
)


def _finding(evidence: str) -> str:
    """Of `C: what was found; what to do about it` only what was found."""
    return re.sub(r"^[A-F]: ", "", evidence).partition("; ")[0]


def _launches(facts: Facts) -> tuple[str, ...]:
    """How many launches stand behind the times, and what may be concluded from them."""
    medians = [facts.median(arm, point, "latency_s") for point in facts.points for arm in facts.arms]
    if not any(medians):
        return ("No launch gave a time, so that the run allows no conclusion on speed.",)
    sessions = counted(len(facts.run.segments), "session")
    return (
        f"Estimates rest on {provenance.sizes(medians).removeprefix('n = ')} of each backend in {sessions}: verdicts "
        "generalise to further launches of these versions on this machine in this state, and not to other versions or "
        "machines.",
    )


def _turns(facts: Facts) -> tuple[str, ...]:
    """Rounds whose launches could not all take turns with each other, although that was asked for."""
    found = facts.run.segments
    sentences = []
    if any(segment.groups for segment in found):
        sentences.append(
            f"Memory did not hold all launches of a round at once: they ran {protocol(facts.run.launches)}, each with "
            f"its own launch of {facts.run.manifest.baseline}, with which its backends are compared; backends of "
            "different groups are never paired with each other."
        )
    asked = facts.run.manifest.settings
    if apart := [segment.turns for segment in found if asked and asked.turns and segment.turns not in ("", "on")]:
        sentences.append(
            f"Launches of a round ran one after the other ({'; '.join(dict.fromkeys(apart))}), so that what the "
            "machine did from one to the next is in their ratio."
        )
    return tuple(sentences)


def _work(facts: Facts) -> tuple[str, ...]:
    """Weights that nobody published, static shapes, the batch sizes."""
    weights = [(point, program.weights) for point in facts.points for program in point.programs.values()]
    seeded = sorted(
        {str(point.axes.get("model", point.workload)) for point, used in weights if used.origin == "seeded"}
    )
    batches = sorted({str(point.axes["batch"]) for point in facts.points if "batch" in point.axes}, key=_number)
    sentences = []
    if seeded:
        sentences.append(
            f"The weights of {_listed(seeded)} are seeded random numbers and not published ones: times that depend on "
            "values may differ, and the quality of answers says nothing."
        )
    if facts.run.manifest.budget.shapes == "static":
        sentences.append("All shapes were static; programs compiled for changing shapes may rank otherwise.")
    if len(batches) == 1:
        sentences.append(f"Only the batch size {batches[0]} was measured.")
    return tuple(sentences)


def _tuning(facts: Facts) -> str:
    """The tuning that was used, and that it is not the only one."""
    tuning = facts.run.manifest.budget.tuning
    threads = counted(facts.run.manifest.budget.threads, "thread")
    return (
        f"Each backend ran with its options of the tuning {tuning} and with {threads}; other options or thread counts "
        "may change the order."
    )


def _cold(facts: Facts) -> tuple[str, ...]:
    """Cold start-up phases that come from a single launch."""
    found = [facts.phase(arm, point, "compile_s", "cold") for point in facts.points for arm in facts.arms]
    counts = {estimate.n for estimate in found if estimate is not None}
    if counts != {1}:
        return ()
    return ("Cold compile times come from one launch of each backend (n = 1) and have no interval.",)


def _energy(facts: Facts) -> tuple[str, ...]:
    """That no energy was measured, with the reason."""
    # The cold round has no timed window, so that it tells nothing of the meter.
    readings = [result.energy for result in facts.run.results if result.energy is not None and result.round > 0]
    if any(reading.value is not None for reading in readings):
        return ()
    reasons = sorted({without_code(reading.reason) for reading in readings}) or ["no launch read a meter"]
    return (f"Energy was not measured ({'; '.join(reasons)}), so that nothing is known of efficiency.",)


def _missing(facts: Facts) -> tuple[str, ...]:
    """Backends and cases that were left out, and cases that ended otherwise than ok."""
    left = facts.run.manifest.left_out
    bad = [
        f"{arm.label} on {facts.label(point)} ({outcome.status.replace('_', ' ')})"
        for point in facts.points
        for arm in facts.arms
        if (outcome := facts.outcome(arm, point)).status != "ok"
    ]
    sentences = []
    if left:
        sentences.append(f"Left out were {_listed([_left(facts, entry) for entry in left])}.")
    if bad:
        sentences.append(
            f"Not every launch ended ok: {_listed(bad)}; what is said of speed covers only what ran and was correct."
        )
    return tuple(sentences)


def _left(facts: Facts, entry: LeftOut) -> str:
    places = {name: facts.label(point) for point in facts.points for name in (point.key, point.title)}
    where = f" on {places.get(entry.point, entry.point)}" if entry.point else ""
    return f"{entry.backend}{where} ({entry.reason})"


def _errors(facts: Facts) -> tuple[str, ...]:
    """How often verdicts are wrong, as far as it was measured, and what the families do to the intervals."""
    manifest, sentences = facts.run.manifest, []
    asked = [item for item in facts.comparisons if item.factor != "control"]
    families = {item.family for item in asked}
    if any(sum(item.family == name for item in asked) > 1 for name in families):
        sentences.append(
            "The intervals that are printed hold each by itself; the verdicts are adjusted for their family; who picks "
            "out one comparison afterwards, or joins several runs, needs other intervals."
        )
    if "exploratory" in families:
        sentences.append("Exploratory verdicts are leads: a share of up to 5 % of them is expected to be false.")
    counts = manifest.calibration
    if counts is None:
        return (*sentences, "How often verdicts are wrong on this machine is not known: it was not measured.")
    found = counts.all.rates["guarded_false_alarms"]
    beside = BESIDE[counts.condition] + (f" (launches {counts.protocol})" if counts.protocol else "")
    sentences.append(
        f"Verdicts can be wrong: of {counted(found.of, 'comparison')} of a program with itself on this machine{beside},"
        f" {found.count} gave a false verdict."
    )
    if differences(counts, manifest.environment.get("packages", {})):
        sentences.append("That rate was counted with other versions of the software.")
    return tuple(sentences)


def _sentence_count(count: int, noun: str) -> str:
    """`1 verdict was`, `3 verdicts were`."""
    return f"{counted(count, noun)} {'was' if count == 1 else 'were'}"


def _listed(items: Sequence[str]) -> str:
    """The first items by name, of the others the number."""
    more = f" and {len(items) - MOST} more" if len(items) > MOST else ""
    return f"{', '.join(items[:MOST])}{more}"


def _number(text: str) -> tuple[int, str]:
    """Numbers by value, whatever else after its length."""
    return (int(text), "") if text.isdecimal() else (len(text), text)
