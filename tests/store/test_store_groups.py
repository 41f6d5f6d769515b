"""A run in groups on disk: it comes back equal, SQL sees the groups, and a killed one knows its whole rounds."""

import pytest

from steelyard.core.run import Run
from steelyard.store import create_run, open_run, query, segments
from tests.fakes.groups import WHY, in_groups
from tests.fakes.runs import llm_points, synthetic_run
from tests.store.test_store_round_trip import append


@pytest.fixture
def run() -> Run:
    plain = synthetic_run(backends=("eager", "xla"), rounds=2, points=llm_points(("decode",)))
    return in_groups(plain, ("xla",), ("eager (control)",))


def test_groups_come_back(tmp_path, run):
    with create_run(tmp_path, run.manifest) as writer:
        append(writer, run, (0, 1, 2))
        writer.finish(ended="rounds", rounds=(0, 1, 2), turns="on", groups=WHY)
    stored = open_run(writer.path)
    assert (stored.segments[0].turns, stored.segments[0].groups) == ("on", WHY)
    assert stored.launches == run.launches
    assert sorted(result.place for result in stored.results) == sorted(result.place for result in run.results)
    asked = "select arm, count(*) from {} where round > 0 and group_index = 1 group by arm order by arm"
    for view in ("launches", "results"):
        assert query(tmp_path, asked.format(view)).rows == (("eager", 2), ("eager (control)", 2))


def test_a_round_is_whole_only_with_the_launch_of_the_baseline_in_each_group(run):
    results = [result for number in (0, 1, 2) for result in run.results if result.round == number]
    assert segments.whole_rounds(results) == [0, 1, 2]
    torn = [result for result in results if (result.arm, result.place) != ("eager", (2, 1))]
    assert segments.whole_rounds(torn) == [0, 1]
    assert segments.whole_rounds([result for result in results if result.round < 2]) == [0], "the next one would tell"
