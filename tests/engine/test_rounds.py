"""The order of arms is balanced and random; every case gets to run first."""

import itertools
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from steelyard.engine.rounds import balanced_orders, rotated, turn_lengths


@given(st.integers(1, 9), st.integers(0, 2**32))
def test_each_block_gives_each_arm_each_position_once(count: int, seed: int) -> None:
    orders = list(itertools.islice(balanced_orders(range(count), seed), 2 * count))
    for block in (orders[:count], orders[count:]):
        for order in block:
            assert sorted(order) == list(range(count))
        places = Counter((position, arm) for order in block for position, arm in enumerate(order))
        assert set(places.values()) == {1}


def test_orders_differ_between_seeds_and_repeat_with_one() -> None:
    def first(seed: int) -> list[tuple[int, ...]]:
        return list(itertools.islice(balanced_orders(range(6), seed), 6))

    assert first(1) == first(1)
    assert len({tuple(first(seed)) for seed in range(20)}) == 20


@given(st.integers(2, 9), st.integers(0, 2**32))
def test_of_every_two_turns_one_is_a_piece_and_either_comes_first_equally_often(piece: int, seed: int) -> None:
    lengths = turn_lengths(piece, seed)
    pairs = list(zip(lengths[::2], lengths[1::2], strict=True))
    assert Counter(pairs) == {(1, piece): len(pairs) / 2, (piece, 1): len(pairs) / 2}
    assert turn_lengths(1, seed) == (1,)


@given(st.lists(st.integers(), unique=True, min_size=1, max_size=7), st.integers(0, 50))
def test_rotation_keeps_all_and_moves_the_first(cases: list[int], by: int) -> None:
    turned = rotated(cases, by)
    assert sorted(turned) == sorted(cases)
    assert turned[0] == cases[by % len(cases)]
