"""The noise of a stored run judged anew: grades and contaminated rounds follow from the readings, or it is told."""

from dataclasses import replace

import pytest

from steelyard.artifact.noise import inspect_noise
from steelyard.core.metrics import Reading
from steelyard.core.run import Run
from steelyard.guard.contamination import contaminated_rounds
from steelyard.guard.grades import grade, graded_at_end
from tests.fakes.runs import llm_points, synthetic_run

ROUNDS = 4


def reading(value: float) -> Reading:
    return Reading(value=value, unit="1", method="/proc/stat")


def measured(contaminated: frozenset[int] = frozenset({2}), share: float = 0.6, hiccups: float = 0.002) -> Run:
    """A run as its supervisor would have left it: in these rounds a background load had so much of the CPUs."""
    run = synthetic_run(backends=("eager",), points=llm_points(("decode",)), headline="decode", rounds=ROUNDS)
    launches = tuple(
        replace(
            record,
            noise={
                "during/measured_cpus": reading(2.0),
                "during/watched_s": reading(5.0),
                "during/foreign_cpu_share": reading(share if record.round in contaminated else 0.01),
            },
        )
        for record in run.launches
    )
    readings = {"hiccup_share": reading(hiccups)}
    letter, evidence = grade(readings)
    (segment,) = run.segments
    noise = graded_at_end(replace(segment.noise, grade=letter, readings=readings, evidence=evidence), launches)
    segment = replace(segment, noise=noise, disturbed=contaminated_rounds(launches))
    return replace(run, launches=launches, segments=(segment,))


def findings(run: Run) -> list[tuple[str, str]]:
    return [(finding.kind, finding.text) for finding in inspect_noise(run)]


def with_segment(run: Run, **changes: object) -> Run:
    return replace(run, segments=(replace(run.segments[0], **changes),))


@pytest.mark.parametrize("share", [0.15, 0.6])
def test_what_the_supervisor_left_is_borne_out(share):
    run = measured(share=share)
    assert set(run.segments[0].disturbed) == {2}
    assert [kind for kind, _ in findings(run)] == ["holds"]


def test_a_mark_that_is_taken_away_or_added_is_told():
    run = measured()
    ((kind, text),) = findings(with_segment(run, disturbed={}))
    assert kind == "wrong"
    assert text.startswith("round 2 is not marked as contaminated, and its launches were: eager")
    ((kind, text),) = findings(with_segment(run, disturbed={**run.segments[0].disturbed, 3: "a background load"}))
    assert (kind, text) == (
        "wrong", "round 3 is marked as contaminated, and the readings of its launches tell of nobody"
    )  # fmt: skip


def test_a_better_grade_and_a_changed_reading_are_told():
    run = measured(hiccups=0.05)
    noise = run.segments[0].noise
    assert noise.grade == "C"
    ((kind, text),) = findings(with_segment(run, noise=replace(noise, grade="A")))
    assert kind == "wrong"
    assert "its noise has grade A, and its readings give C: C: a spinning process lost 5.0%" in text
    changed = {**noise.readings, "during/foreign_cpu_share": reading(0.0)}
    ((kind, text),) = findings(with_segment(run, noise=replace(noise, readings=changed)))
    assert (kind, text) == ("wrong", "during/foreign_cpu_share is 0.0, and its launches give 0.01")


def test_each_segment_is_judged_by_its_own_launches():
    first, second = measured(), measured(frozenset({3}))
    later = tuple(replace(record, round=record.round + ROUNDS if record.round else 0) for record in second.launches)
    (segment,) = second.segments
    appended = replace(
        segment,
        index=1,
        rounds=tuple(number + ROUNDS if number else 0 for number in segment.rounds),
        disturbed={number + ROUNDS: text for number, text in segment.disturbed.items()},
    )
    run = replace(first, launches=(*first.launches, *later), segments=(*first.segments, appended))
    assert [kind for kind, _ in findings(run)] == ["holds"]
    assert "(A, A)" in findings(run)[0][1]


def test_another_version_may_judge_otherwise():
    run = measured()
    run = replace(run, manifest=replace(run.manifest, tool_version="0.0.1"))
    ((kind, text),) = findings(with_segment(run, disturbed={}))
    assert kind == "note"
    assert "are not judged anew" in text
