"""Where levels of a series move: what counts, what does not, and what changed there."""

from dataclasses import replace

import numpy as np
import pytest

from steelyard.history.changes import ENOUGH, told
from steelyard.history.table import history_table, sentences
from tests.history.nights import SERIES, nights


def steady(count, seed=0, noise=0.005):
    return np.exp(noise * np.random.default_rng(seed).standard_normal(count)) * 0.1


def test_a_flat_series_is_one_level():
    (found,) = told(nights(steady(40)))
    assert [len(level.nights) for level in found.levels] == [40]
    assert found.noise == pytest.approx(0.005, rel=0.35)
    assert not list(found.changes)


def test_a_step_is_a_change_with_its_ratio_and_its_runs():
    values = steady(30)
    values[20:] *= 1.1
    (found,) = told(nights(values))
    (change,) = found.changes
    assert change.matters
    assert change.word == "slower"
    assert change.after.since.run == "r0020"
    low, high = change.interval
    assert low < 1.1 < high
    (text,) = sentences([found])
    assert text.startswith("xla, decode batch=1, latency_s: slower since 2026-01-21, 1.1")
    assert "no version that is known changed; last before: r0019, first after: r0020" in text


def test_a_new_version_begins_a_level_whether_or_not_the_time_moved():
    stacks = [{"jax": "0.10.2", "kernel": "6.1"}] * 12 + [{"jax": "0.11.0", "kernel": "6.1"}] * 12
    (same,) = told(nights(steady(24), stacks))
    (change,) = same.changes
    assert change.versions == {"jax": ("0.10.2", "0.11.0")}
    assert not change.matters
    values = steady(24)
    values[12:] *= 0.8
    (faster,) = told(nights(values, stacks))
    (change,) = faster.changes
    assert (change.word, change.matters) == ("faster", True)
    assert "jax 0.10.2 -> 0.11.0" in next(sentences([faster]))


def test_a_change_counts_from_the_third_night_on():
    stacks = [{"jax": "1"}] * 12 + [{"jax": "2"}] * 3
    values = steady(15)
    values[12:] *= 1.2
    for count, matters in ((13, False), (14, False), (15, True)):
        (found,) = told(nights(values[:count], stacks[:count]))
        assert [change.matters for change in found.changes] == [matters]


def test_what_a_version_may_have_brought_is_measured_again_before_it_is_certain():
    stacks = [{"jax": "1"}] * 12 + [{"jax": "2"}] * 3
    values = steady(15, noise=0.02, seed=3)
    values[12:] *= 1.035
    (found,) = told(nights(values, stacks))
    (change,) = found.changes
    assert change.ratio > 1.02
    assert (change.matters, change.worth_repeating) == (False, True)
    (same,) = told(nights(values, [{"jax": "1"}] * 15))
    assert not any(change.worth_repeating for change in same.changes), "there is nothing to measure again"


def test_a_version_of_one_night_hides_nothing():
    """20 nights, one on another version, 20 on a third: the third is held against the first."""
    stacks = [{"torch": "2.8"}] * 20 + [{"torch": "2.9"}] * 2 + [{"torch": "2.9", "kernel": "7"}] * 20
    values = steady(42)
    values[20:] *= 1.5
    (found,) = told(nights(values, stacks))
    last = list(found.changes)[-1]
    assert last.matters
    assert last.ratio == pytest.approx(1.5, rel=0.01)
    assert last.versions == {"torch": ("2.8", "2.9"), "kernel": ("none", "7")}


def test_a_lucky_night_moves_nothing():
    values = steady(40)
    values[25] *= 0.3
    (found,) = told(nights(values))
    assert not list(found.changes)


def test_what_counts_for_nothing_is_kept_with_its_reason():
    every = list(nights(steady(12)))
    every[3] = replace(every[3], value=None, reason="xla: crashed in 3 of 3 launches: signal 9")
    every[7] = replace(every[7], value=9.0, reason="too noisy: grade F")
    (found,) = told(every)
    assert len(found.left_out) == 2
    assert [len(level.nights) for level in found.levels] == [10]
    table = history_table([found])
    assert "2 nights count for nothing, the last: too noisy: grade F" in [note.text for note in table.footnotes]


def test_of_few_nights_nothing_is_said_but_their_level():
    (found,) = told(nights(steady(ENOUGH - 1)))
    assert found.levels
    assert found.noise is None
    assert f"levels are looked for from {ENOUGH} on" in found.reason
    (row,) = history_table([found]).rows
    assert row.cells[4].value == pytest.approx(0.1, rel=0.02)


def test_series_are_kept_apart():
    other = replace(SERIES, machine="another")
    found = told([*nights(steady(10)), *nights(steady(10) * 3, series=other)])
    assert [each.series.machine for each in found] == ["m", "another"]
    assert not any(list(each.changes) for each in found)


def test_no_night_at_all():
    assert told([]) == ()
    assert history_table([]).empty
