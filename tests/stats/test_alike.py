"""What is computed for many samples at once is what each alone would give, to the last bit."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from steelyard.stats import signed_rank
from steelyard.stats.alike import alike
from steelyard.stats.hodges_lehmann import all_paired, one_sample, one_samples, paired

floats = st.floats(-1.0, 1.0, allow_subnormal=False)
tied = st.integers(-3, 3).map(float)
many = st.lists(st.lists(floats, min_size=1, max_size=14) | st.lists(tied, min_size=1, max_size=14), max_size=12)


@given(many, st.integers(1, 40))
def test_every_array_is_a_row_once_and_no_matrix_is_larger_than_asked(samples: list[list[float]], at_once: int) -> None:
    seen = {}
    for places, rows in alike(samples, at_once):
        assert rows.size <= max(at_once, rows.shape[1])
        seen.update(zip(places, rows.tolist(), strict=True))
    assert [seen[place] for place in range(len(samples))] == samples


@given(many)
def test_locations_and_p_values_are_those_of_each_sample(samples: list[list[float]]) -> None:
    assert signed_rank.p_values(samples) == [signed_rank.p_value(values) for values in samples]
    assert one_samples(samples) == tuple(one_sample(values) for values in samples)
    for found, values in zip(all_paired(samples), samples, strict=True):
        assert found.estimate(0.9) == paired(values).estimate(0.9)
        assert found.p_above(0.01) == paired(values).p_above(0.01)


def test_samples_without_values_and_long_ones_have_the_p_values_of_each() -> None:
    rng = np.random.default_rng(5)
    samples = [[], rng.normal(size=300), rng.normal(size=signed_rank.EXACT_UP_TO), rng.normal(size=300)]
    assert signed_rank.p_values(samples) == [signed_rank.p_value(values) for values in samples]


def test_spreads_and_means_of_rows_are_those_of_each_row() -> None:
    rng = np.random.default_rng(6)
    for size in (2, 7, 8, 9, 16, 130, 1000):
        rows = np.exp(rng.normal(size=(300, size)))
        assert rows.std(axis=-1, ddof=1).tolist() == [float(np.std(tuple(row.tolist()), ddof=1)) for row in rows]
        assert rows.mean(axis=1).tolist() == [float(row.mean()) for row in rows]
        assert np.log(rows).tolist() == [np.log(row).tolist() for row in rows]
