"""The axis `streams`, which every workload of single calls has: the work of a call is that of all its requests."""

import pytest
from steelyard.suites.llm import SUITE as LLM
from steelyard.suites.smoke import SUITE as SMOKE

from steelyard.core.errors import UsageError
from steelyard.core.workload import Selection
from steelyard.lowering.points import points_of
from steelyard.measure.driver import driver_of


def selection(*workloads: str, **axes: str) -> Selection:
    given = {name: tuple(text.split(",")) for name, text in axes.items()}
    return Selection(device_kind="cpu", workloads=workloads, axes=given)


def test_a_configuration_becomes_one_of_each_number_with_the_work_of_all_requests():
    (plain,) = points_of(SMOKE, selection("convolutions"))
    one, four = points_of(SMOKE, selection("convolutions", streams="1,4"))
    assert [point.streams for point in (plain, one, four)] == [1, 1, 4]
    assert four.axes == {**plain.axes, "streams": 4}
    assert (four.work.items, four.work.flop) == (4 * plain.work.items, 4 * plain.work.flop)
    assert four.work.weight_bytes == plain.work.weight_bytes
    assert driver_of(four).runs(four) == {"main": 4}
    assert four.programs == plain.programs
    assert len({plain.key, one.key, four.key}) == 3


@pytest.mark.parametrize("text", ["0", "two", "-1", "1.5"])
def test_what_is_no_number_of_requests_is_refused(text):
    with pytest.raises(UsageError, match="no whole number from 1 on"):
        points_of(SMOKE, selection("convolutions", streams=text))


def test_calls_that_are_made_one_after_the_other_have_no_streams():
    with pytest.raises(UsageError, match="leave it out with --exclude generate"):
        points_of(LLM, selection(streams="2"))


def test_the_axes_of_a_suite_are_still_its_own():
    with pytest.raises(UsageError, match="banana"):
        points_of(LLM, selection("prefill", streams="2", banana="1"))
    (point,) = points_of(LLM, selection("prefill", streams="2", batch="4"))
    assert (point.axes["batch"], point.axes["streams"]) == (4, 2)
