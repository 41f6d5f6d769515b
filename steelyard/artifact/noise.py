"""How noisy the machine was, judged anew: each segment's grade and contaminated rounds, from the stored readings."""

from collections.abc import Iterator, Sequence

from steelyard import __version__
from steelyard.artifact.finding import Finding
from steelyard.core.result import LaunchRecord
from steelyard.core.run import Noise, Run, Segment, launches_by_segment
from steelyard.guard.contamination import contaminated_rounds, contamination
from steelyard.guard.grades import grade, graded_at_end
from steelyard.tables.format import counted

_DURING = "during/"


def inspect_noise(run: Run) -> Iterator[Finding]:
    """Grades and contaminated rounds against the same readings judged anew; other versions may judge otherwise."""
    by = run.manifest.tool_version
    if by != __version__:
        text = f"grades and contaminated rounds were judged by steelyard {by} and are not judged anew"
        yield Finding(kind="note", where="run", text=text)
        return
    parts = launches_by_segment(run.launches)
    if len(parts) != len(run.segments):
        text = (
            f"grades and contaminated rounds are not judged anew: {counted(len(run.segments), 'segment')}, and "
            f"launches that look like those of {len(parts)}"
        )
        yield Finding(kind="note", where="run", text=text)
        return
    found = [
        finding
        for segment, records in zip(run.segments, parts, strict=True)
        for finding in (*_grade(segment, records), *_contaminated(segment, records))
    ]
    yield from found
    if not found:
        rounds = sum(len(segment.disturbed) for segment in run.segments)
        grades = ", ".join(segment.noise.grade for segment in run.segments)
        text = f"the readings give the grade ({grades}) and the contaminated rounds ({rounds}) that are stored"
        yield Finding(kind="holds", where="run", text=text)


def _grade(segment: Segment, records: Sequence[LaunchRecord]) -> Iterator[Finding]:
    stored = segment.noise
    before = {name: reading for name, reading in stored.readings.items() if not name.startswith(_DURING)}
    letter, evidence = grade(before)
    anew = graded_at_end(Noise(grade=letter, readings=before, evidence=evidence), records)
    if anew.grade != stored.grade:
        told = f": {anew.evidence[0]}" if anew.evidence else ""
        yield _wrong(segment, f"its noise has grade {stored.grade}, and its readings give {anew.grade}{told}")
    for name in sorted({*anew.readings, *stored.readings}):
        if not name.startswith(_DURING):
            continue
        kept, made = (readings.get(name) for readings in (stored.readings, anew.readings))
        values = [None if reading is None else reading.value for reading in (kept, made)]
        if values[0] != values[1]:
            yield _wrong(segment, f"{name} is {values[0]}, and its launches give {values[1]}")


def _contaminated(segment: Segment, records: Sequence[LaunchRecord]) -> Iterator[Finding]:
    anew = {number: told for number, told in contaminated_rounds(records).items() if number in segment.rounds}
    for number in sorted({*anew, *segment.disturbed}):
        if number not in anew and not any(contamination(each.noise) for each in records if each.round == number):
            text = f"round {number} is marked as contaminated, and the readings of its launches tell of nobody"
            yield _wrong(segment, text)
        elif number not in segment.disturbed:
            yield _wrong(
                segment, f"round {number} is not marked as contaminated, and its launches were: {anew[number]}"
            )


def _wrong(segment: Segment, text: str) -> Finding:
    return Finding(kind="wrong", where=f"segment {segment.index}", text=text)
