"""Single calls in time order: what stands around them."""

import dataclasses

from steelyard.tables.calls import samples
from steelyard.tables.facts import gather
from tests.fakes.runs import llm_points, synthetic_run


def test_where_a_run_was_resumed_is_known_by_the_first_warm_round_of_the_later_segment():
    run = synthetic_run(
        backends=("eager", "xla"), rounds=4, points=llm_points(("decode",)), headline="decode",
        segments=((0, 1, 2), (3, 4)),
    )  # fmt: skip
    first, later = run.segments
    resumed = dataclasses.replace(later, rounds=(0, *later.rounds))  # each segment has a cold round of its own
    timeline = samples(gather(dataclasses.replace(run, segments=(first, resumed)))).timeline
    assert timeline is not None
    assert timeline.resumed == {3}
    only_cold = dataclasses.replace(later, rounds=(0,))
    timeline = samples(gather(dataclasses.replace(run, segments=(first, only_cold)))).timeline
    assert timeline is not None
    assert timeline.resumed == frozenset()
