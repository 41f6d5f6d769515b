"""A round in groups: a candidate is compared with the baseline's launch of its own group, and with no other."""

from dataclasses import replace

import pytest

from steelyard.analysis import compare_run, launch_medians, summaries
from steelyard.analysis.energy_comparisons import joules
from steelyard.analysis.factor import find_factor
from steelyard.analysis.overall import overall
from steelyard.analysis.pairs import other_pairs
from steelyard.analysis.sides import sides_of
from steelyard.analysis.within import pair
from steelyard.core.errors import UsageError
from steelyard.core.metrics import Reading
from steelyard.core.result import Place
from steelyard.core.run import Run, protocol
from tests.analysis.test_turns import in_turns
from tests.fakes.groups import in_groups
from tests.fakes.runs import llm_points, synthetic_run

ARMS = ("eager", "inductor", "xla", "onnxruntime")
CONTROL = "eager (control)"
ROUNDS = 8


@pytest.fixture(scope="module")
def run() -> Run:
    return synthetic_run(backends=ARMS, rounds=ROUNDS, points=llm_points(("decode", "generate")))


@pytest.fixture(scope="module")
def grouped(run: Run) -> Run:
    return in_groups(run, ("inductor",), ("xla", "onnxruntime", CONTROL))


def test_a_pair_is_made_within_a_group(run: Run, grouped: Run) -> None:
    """Between the groups the machine became twice as slow: a pair across them would be off by a factor of two."""
    before, after = (
        {(each.point, each.metric, each.candidate): each for each in compare_run(found)} for found in (run, grouped)
    )
    assert before.keys() == after.keys()
    for key, found in after.items():
        expected = before[key]
        assert (found.verdict, found.reason) == (expected.verdict, expected.reason)
        assert found.ratio is not None
        assert expected.ratio is not None
        assert found.ratio.n == expected.ratio.n == ROUNDS
        assert found.ratio.value == pytest.approx(expected.ratio.value)
        assert found.floor == pytest.approx(expected.floor), "the control arm's pair is one of a group as well"
    assert [each.ratio for each in overall(grouped)] == pytest.approx([each.ratio for each in overall(run)])


def test_backends_of_different_groups_are_not_paired(run: Run, grouped: Run) -> None:
    found = {(each.baseline, each.candidate): each for each in other_pairs(grouped) if each.metric == "latency_s"}
    alike = {(each.baseline, each.candidate): each for each in other_pairs(run) if each.metric == "latency_s"}
    together = found["xla", "onnxruntime"].ratio
    assert together is not None
    assert together.value == pytest.approx(alike["xla", "onnxruntime"].ratio.value)
    for pairing in (("inductor", "xla"), ("inductor", "onnxruntime")):
        assert found[pairing].ratio is None
        assert found[pairing].verdict == "inconclusive"
        assert "ran in different groups" in found[pairing].reason


def test_every_launch_of_the_baseline_counts_for_its_own_numbers(grouped: Run) -> None:
    key = grouped.manifest.cases[0].point.key
    medians = launch_medians(grouped)
    assert sorted(medians["eager", key, "latency_s"]) == [
        Place(number, group) for number in range(1, ROUNDS + 1) for group in (0, 1)
    ]
    assert sorted(medians["xla", key, "latency_s"]) == [Place(number, 1) for number in range(1, ROUNDS + 1)]
    steady = {
        (each.arm, each.metric): each for each in summaries(grouped) if each.point == key and each.state == "steady"
    }
    assert steady["eager", "latency_s"].launches == 2 * ROUNDS
    assert steady["xla", "latency_s"].launches == ROUNDS


def test_energy_is_paired_within_a_group_too(grouped: Run) -> None:
    metered = replace(
        grouped,
        results=tuple(
            replace(result, energy=Reading(value=1.0 + result.group, unit="J", method="RAPL"))
            for result in grouped.results
        ),
    )
    sides = sides_of(metered)
    found = joules(sides.side(sides.baseline, next(iter(sides.points))))
    assert [found[Place(3, group)] for group in (0, 1)] == [1.0, 2.0]


def test_a_contaminated_round_is_set_aside_with_all_of_its_groups(grouped: Run) -> None:
    (segment,) = grouped.segments
    marked = replace(grouped, segments=(replace(segment, disturbed={3: "xla: a background load"}),))
    sides = sides_of(marked)
    for arm in sides.arms:
        assert all(
            launch.place.round != 3 for launch in sides.side(arm, next(iter(sides.points))).launched("latency_s")
        )


def test_the_number_of_groups_is_part_of_what_runs_have_to_share(run: Run, grouped: Run) -> None:
    assert protocol(grouped.launches) == "in turns in 2 groups"
    assert protocol(run.launches) == "one after the other"
    with pytest.raises(UsageError, match="launches of a round: in turns -> in turns in 2 groups"):
        find_factor([in_turns(run)], [grouped])


def test_a_pair_has_one_launch_of_each_side_in_a_round(grouped: Run) -> None:
    sides = sides_of(grouped)
    key = next(iter(sides.points))
    for arm in sides.arms[1:]:
        found = pair(sides.side(sides.baseline, key), sides.side(arm, key), "latency_s")
        assert found.rounds == tuple(range(1, ROUNDS + 1))
        assert len({place.group for place in found.places}) == 1
