"""Contaminated rounds and the grade at the end on disk: written by a run, found after a crash, absent in old files."""

import dataclasses
import json

import pytest

from steelyard.core.metrics import Reading
from steelyard.core.run import Noise, Run
from steelyard.store import create_run, open_run, resume
from steelyard.store.codec import from_plain
from tests.fakes.runs import llm_points, synthetic_run
from tests.store.test_store_round_trip import append

CALM = Noise(grade="A", readings={"hiccup_share": Reading(value=0.001, unit="1")})


def busy(run: Run, rounds: tuple[int, ...]) -> Run:
    """The run with a background load in every launch of these rounds, and the guard's readings in all others."""

    def read(record):
        share = 0.5 if record.round in rounds else 0.01
        noise = {
            "during/measured_cpus": Reading(value=2.0, unit="1"),
            "during/watched_s": Reading(value=2.0, unit="s"),
            "during/foreign_cpu_share": Reading(value=share, unit="1"),
        }
        return dataclasses.replace(record, noise=noise)

    return dataclasses.replace(run, launches=tuple(read(record) for record in run.launches))


@pytest.fixture
def run() -> Run:
    return synthetic_run(backends=("eager", "xla"), rounds=3, points=llm_points(("decode",)))


def test_the_marks_come_back_by_round(tmp_path, run):
    marks = {2: "xla: other processes used 0.97 of 2 CPUs while it ran", 0: "cold"}
    with create_run(tmp_path, run.manifest) as writer:
        append(writer, run, (0, 1, 2, 3), noise=CALM)
        writer.finish(ended="rounds", rounds=(0, 1, 2, 3), disturbed=marks)
    (segment,) = open_run(writer.path).segments
    assert segment.disturbed == marks


def test_a_killed_run_is_judged_by_the_readings_of_its_launches(tmp_path, run):
    noisy = busy(run, (3,))
    with create_run(tmp_path, run.manifest) as writer:
        append(writer, noisy, (0, 1, 2, 3), noise=CALM)
    (segment,) = open_run(writer.path).segments
    assert (segment.ended, segment.noise.grade, list(segment.disturbed)) == ("recovered", "A", [3])
    with resume(writer.path):
        pass  # which publishes it
    assert open_run(writer.path).segments == (segment,)


def test_a_killed_run_beside_a_lasting_load_is_graded_by_it(tmp_path, run):
    with create_run(tmp_path, run.manifest) as writer:
        append(writer, busy(run, (1, 2, 3)), (0, 1, 2, 3), noise=CALM)
    (segment,) = open_run(writer.path).segments
    assert segment.noise.grade == "F"
    assert "in the typical launch" in segment.noise.evidence[0]


def test_segments_stored_before_there_were_marks_are_read(tmp_path, run):
    from steelyard.core.run import Segment

    with create_run(tmp_path, run.manifest) as writer:
        append(writer, run, (0, 1), noise=CALM)
        writer.finish(ended="rounds", rounds=(0, 1))
    document = json.loads((writer.path / "segment-000" / "segment.json").read_text())["segment"]
    assert document.pop("disturbed") == {}
    assert from_plain(document, Segment, "here").disturbed == {}
