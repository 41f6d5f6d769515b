"""What makes the difference, in words: the classes that it lies in, and nothing where a profiler blurs it."""

from dataclasses import replace

import pytest

from steelyard.tracing.telling import difference, from_the_baseline
from tests.tracing.test_difference import facts, traced

EAGER = traced([facts({"matmul": 0.5, "copy": 0.4}, call=1.0)])
OTHER = traced([facts({"matmul": 0.45, "copy": 0.05}, call=0.5)], arm="xla")
NAMES = ("on eager", "on xla")


def test_the_class_that_the_difference_lies_in_is_named_with_its_part_of_either_call():
    told = difference(EAGER, OTHER, NAMES)
    assert told.startswith("A call takes 2.00 times as long on eager as on xla, 500 ms more: 350")
    assert "350 ms more in copies and layout (40 % of a call on eager, 10 % on xla) and " in told
    assert told.endswith("ms more with nothing recorded (10 % of a call on eager, 0 % on xla)")
    assert difference(OTHER, EAGER, NAMES[::-1]) == told, "whichever is given first"


def test_what_grew_less_than_a_tenth_or_shrank_is_not_named():
    slow = traced([facts({"matmul": 0.9, "copy": 0.04, "call": 0.06}, call=1.0)])
    fast = traced([facts({"matmul": 0.4, "copy": 0.1}, call=0.5)], arm="xla")
    told = difference(slow, fast, NAMES)
    assert "more: 500 ms more in matmul (90 % of a call on eager, 80 % on xla)" in told
    assert "copies" not in told


@pytest.mark.parametrize("overhead", [1.2, 0.8])
def test_nothing_is_said_where_a_profiler_changes_how_long_calls_take(overhead: float):
    blurred = traced([replace(each, overhead_ratio=overhead) for each in OTHER.facts], arm="xla")
    assert difference(EAGER, blurred, NAMES) == ""
    assert difference(blurred, EAGER, NAMES) == ""
    assert list(from_the_baseline([EAGER, blurred], "eager")) == []


def test_nothing_is_said_of_calls_that_are_alike_or_failed():
    near = traced([facts({"matmul": 0.5, "copy": 0.42}, call=1.05)], arm="xla")
    assert difference(EAGER, near, NAMES) == ""
    failed = replace(OTHER, facts=(), status="crashed", reason="killed")
    assert list(from_the_baseline([EAGER, failed], "eager")) == []


def test_each_backend_is_held_against_the_baseline():
    (told,) = from_the_baseline([OTHER, EAGER], "eager")
    assert told.startswith(f"{EAGER.case.point.title}: a call takes 2.00 times as long on eager")
    assert told.endswith(".")
    assert list(from_the_baseline([OTHER], "eager")) == []
