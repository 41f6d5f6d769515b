"""Groups of arms that share the baseline: what holds of every packing, and that none needs fewer groups."""

from collections.abc import Iterator, Sequence

from hypothesis import given
from hypothesis import strategies as st

from steelyard.engine.groups import groups_of

amounts = st.integers(0, 40)


@st.composite
def rounds(draw, most: int = 7) -> tuple[dict[str, tuple[int, ...]], tuple[int, ...]]:
    """What the baseline and some others need, and the room, in one or two kinds of memory; each fits beside it."""
    kinds = draw(st.integers(1, 2))
    needed = {f"arm{n}": tuple(draw(amounts) for _ in range(kinds)) for n in range(draw(st.integers(2, most)))}
    room = tuple(
        needed["arm0"][kind] + max(need[kind] for arm, need in needed.items() if arm != "arm0") + draw(amounts)
        for kind in range(kinds)
    )
    return needed, room


def fits(needed: dict[str, tuple[int, ...]], room: Sequence[int], group: Sequence[str]) -> bool:
    return all(sum(needed[arm][kind] for arm in group) <= have for kind, have in enumerate(room))


def partitions(arms: Sequence[str]) -> Iterator[list[list[str]]]:
    """Every way to divide the arms into groups."""
    if not arms:
        yield []
        return
    for rest in partitions(arms[1:]):
        yield [[arms[0]], *rest]
        for place, group in enumerate(rest):
            yield [*rest[:place], [arms[0], *group], *rest[place + 1 :]]


@given(rounds())
def test_every_arm_is_in_one_group_the_baseline_in_all_and_none_is_above_the_room(given_round) -> None:
    needed, room = given_round
    found = groups_of(needed, "arm0", room)
    assert found is not None
    assert sorted(arm for group in found for arm in group[1:]) == sorted(set(needed) - {"arm0"})
    assert all(group[0] == "arm0" and len(group) > 1 for group in found)
    assert all(fits(needed, room, group) for group in found)
    assert groups_of(needed, "arm0", room) == found, "the same needs give the same groups"


@given(rounds(most=6))
def test_no_fewer_groups_would_do_and_of_so_many_none_has_a_smaller_largest(given_round) -> None:
    needed, room = given_round
    found = groups_of(needed, "arm0", room)
    assert found is not None
    possible = [
        each
        for each in partitions(sorted(set(needed) - {"arm0"}))
        if all(fits(needed, room, ["arm0", *group]) for group in each)
    ]
    best = min((len(each), max(map(len, each))) for each in possible)
    assert (len(found), max(map(len, found)) - 1) == best


def test_what_does_not_fit_beside_the_baseline_has_no_groups() -> None:
    assert groups_of({"eager": (4,), "xla": (5,), "openvino": (7,)}, "eager", (10,)) is None
    assert groups_of({"eager": (4, 2), "xla": (5, 9), "openvino": (6, 1)}, "eager", (10, 10)) is None
    assert groups_of({"eager": (11,), "xla": (0,)}, "eager", (10,)) is None


def test_taking_the_largest_first_is_not_enough() -> None:
    """Two of four and four of three: largest first to where it fits makes three groups of what two hold."""
    needed = {"eager": (0,), "a": (4,), "b": (4,), "c": (3,), "d": (3,), "e": (3,), "f": (3,)}
    assert groups_of(needed, "eager", (10,)) == (("eager", "a", "c", "e"), ("eager", "b", "d", "f"))


def test_many_arms_of_unlike_needs_are_grouped_in_a_bounded_number_of_steps() -> None:
    needed = {"eager": (0.0,), **{f"arm{n}": (1000.0 + 37 * n % 101,) for n in range(30)}}
    found = groups_of(needed, "eager", (2 * 1101.0,))
    assert found is not None
    assert 15 <= len(found) <= 30
