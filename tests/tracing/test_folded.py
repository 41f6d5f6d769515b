"""Repetitions are written once, and nothing is lost."""

from hypothesis import given
from hypothesis import strategies as st

from steelyard.tracing.folded import folded

WORDS = st.lists(st.sampled_from("abc"), max_size=40)


@given(WORDS)
def test_the_parts_are_the_sequence(items):
    found = [item for part in folded(items) for item in items[part.begin : part.begin + part.length] * part.times]
    assert found == items


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=20), st.integers(2, 5))
def test_repeated_layers_hide_all_but_one_at_least(layer, times):
    items = ["x", *[*layer, "."] * times, "y"]
    hidden = (times - 1) * (len(layer) + 1)
    assert sum(part.length for part in folded(items)) <= len(items) - (hidden if hidden >= 6 else 0)


def test_the_longest_repetition_is_found_behind_a_shorter_one():
    parts = [(part.begin, part.length, part.times) for part in folded("aabcdbcdbcdbcdx")]
    assert parts == [(0, 2, 1), (2, 3, 4), (14, 1, 1)]


def test_a_repetition_begins_where_that_costs_least():
    parts = [(part.begin, part.length, part.times) for part in folded("xabcabcabcay", [0, 1, 0, *[1] * 9])]
    assert parts == [(0, 2, 1), (2, 3, 3), (11, 1, 1)]
