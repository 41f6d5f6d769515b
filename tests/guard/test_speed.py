"""The speed of the measured CPUs: of a launch, over a segment, and what it does to the grade."""

import pytest

from steelyard.core.metrics import Reading, absent
from steelyard.core.result import LaunchRecord
from steelyard.core.run import Noise
from steelyard.guard import speed
from steelyard.guard.grades import graded_at_end

QUIET = Noise(grade="A", readings={"hiccup_share": Reading(value=0.001, unit="1")}, evidence=())


def hz(value: float) -> Reading:
    return Reading(value=value, unit="Hz", method="a loop")


def launch(round_: int, arm: str, **noise: float) -> LaunchRecord:
    return LaunchRecord(
        launch=f"{round_}/{arm}",
        arm=arm,
        round=round_,
        position=0,
        started_s=0.0,
        ended_s=1.0,
        exit_code=0,
        supervisor_cpu_s=0.0,
        noise={f"{when}/spin_hz": hz(value) for when, value in noise.items()},
    )


def rounds(*speeds: tuple[float, ...]) -> list[LaunchRecord]:
    """Launches in turns with these speeds, a tuple per round."""
    return [
        launch(number, str(arm), during=value)
        for number, members in enumerate(speeds, start=1)
        for arm, value in enumerate(members)
    ]


def test_of_the_readings_around_the_turns_the_median_and_the_lowest_are_kept() -> None:
    found = speed.between_turns([hz(12e6), hz(13e6), absent("Hz", "taken"), hz(9e6)])
    assert {name: reading.value for name, reading in found.items()} == {"spin_hz": 12e6, "spin_hz_low": 9e6}
    assert found["spin_hz"].method == "median of 3 readings before and after its turns; a loop"
    assert speed.between_turns([]) == {}
    assert speed.between_turns([absent("Hz", "taken")])["spin_hz"].reason == "taken"


def test_a_launch_without_turns_is_as_fast_as_just_before_and_after_it() -> None:
    assert speed.speed_hz(launch(1, "a", before=10.0, after=12.0).noise) == 11.0
    assert speed.speed_hz(launch(1, "a", after=12.0).noise) == 12.0
    assert speed.speed_hz(launch(1, "a", before=10.0, after=12.0, during=9.0).noise) == 9.0
    assert speed.speed_hz({"before/spin_hz": absent("Hz", "no spin meter")}) is None


def test_a_slow_clock_that_all_arms_of_a_round_share_is_a_lag_and_no_spread() -> None:
    found = speed.moved(rounds((10.0, 10.0), (8.0, 8.0), (8.0, 8.0)))
    assert found[speed.LAG].value == pytest.approx(0.2)
    assert found[speed.SPREAD].value == 0.0


def test_a_clock_that_moves_within_rounds_is_a_spread() -> None:
    found = speed.moved(rounds((10.0, 8.0), (8.0, 10.0), (10.0, 10.0)))
    assert found[speed.LAG].value == 0.0
    assert found[speed.SPREAD].value == pytest.approx(0.2)


def test_where_nothing_was_read_nothing_is_said() -> None:
    assert speed.moved([launch(1, "a")]) == {}
    assert set(speed.moved(rounds((10.0,), (9.0,)))) == {speed.LAG}
    assert graded_at_end(QUIET, [launch(1, "a")]) == QUIET


@pytest.mark.parametrize(
    ("speeds", "letter", "told"),
    [
        (((10.0, 10.0), (9.9, 9.9), (9.9, 9.9)), "A", ""),
        (
            ((10.0, 10.0), (8.0, 8.0), (8.0, 8.0)),
            "C",
            "C: the clock of the measured CPUs was 20.0% slower in the typical launch than in the fastest; ",
        ),
        (((10.0, 10.0), (1.0, 1.0), (1.0, 1.0)), "D", "D: the clock of the measured CPUs was 90.0% slower"),
        (
            ((10.0, 9.2), (9.2, 10.0), (10.0, 9.2)),
            "C",
            "C: between two launches of a round the clock of the measured CPUs differed by 8.0%, typically; ",
        ),
        (((10.0, 1.0), (1.0, 10.0), (10.0, 1.0)), "D", "D: between two launches of a round"),
    ],
)
def test_the_grade_sees_a_slow_clock_and_one_that_moves(speeds, letter: str, told: str) -> None:
    """And never withholds a verdict for it."""
    found = graded_at_end(QUIET, rounds(*speeds))
    assert found.grade == letter
    assert any(sentence.startswith(told) for sentence in found.evidence) if told else not found.evidence
    assert {"during/clock_lag_share", "during/clock_spread_share"} <= set(found.readings)
