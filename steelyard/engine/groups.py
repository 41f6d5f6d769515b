"""Groups of arms that memory holds at one time, each with the baseline: as few as there can be."""

import math
from collections.abc import Mapping, Sequence

_STEPS = 200_000
"""So often an arm is tried in a group before a number of groups is given up: ten arms beside the baseline, in whatever
way they are grouped, take fewer."""

Amounts = Sequence[float]
"""So much of each kind of memory (host, device), in bytes."""


def groups_of(needed: Mapping[str, Amounts], baseline: str, room: Amounts) -> tuple[tuple[str, ...], ...] | None:
    """Every other arm in one group, the baseline first in each; None where one does not fit beside the baseline.

    As few groups as possible, since each costs a launch of the baseline in every round; of that number those whose
    largest has the fewest arms. The same needs give the same groups. `needed` is by arm, in the plan's order, and the
    groups are in that order, too.
    """
    left = [have - used for have, used in zip(room, needed[baseline], strict=True)]
    rest = sorted((arm for arm in needed if arm != baseline), key=lambda arm: _share(needed[arm], left), reverse=True)
    sizes = [needed[arm] for arm in rest]
    if min(left) < 0 or any(not _fits(size, left) for size in sizes):
        return None
    fewest = max(math.ceil(_share([sum(kind) for kind in zip(*sizes, strict=True)], left)), 1)
    for count in range(min(fewest, len(rest)), len(rest) + 1):
        found = _packed(sizes, left, count, len(rest))
        if found is None:
            continue
        for most in range(math.ceil(len(rest) / count), max(map(len, found))):
            if (balanced := _packed(sizes, left, count, most)) is not None:
                found = balanced
                break
        arms = list(needed)
        members = sorted(sorted(arms.index(rest[place]) for place in group) for group in found)
        return tuple((baseline, *(arms[number] for number in group)) for group in members)
    raise AssertionError("as many groups as arms hold one each")


def _packed(sizes: Sequence[Amounts], left: Amounts, count: int, most: int) -> list[list[int]] | None:
    """The places of `sizes` in `count` groups with at most so many members and so much memory each; None where there
    is no such way. Each in turn goes to the smallest group that holds it, and back where that leads nowhere."""
    groups: list[list[int]] = [[] for _ in range(count)]
    used: list[Amounts] = [[0.0] * len(left) for _ in range(count)]
    steps = _STEPS

    def placed(place: int) -> bool:
        nonlocal steps
        if place == len(sizes):
            return True
        before: list[Amounts] = []
        for number in sorted(range(count), key=lambda number: len(groups[number])):
            group, amounts = groups[number], used[number]
            if amounts in before or len(group) == most:
                continue  # as good as one that was tried
            before.append(amounts)
            steps -= 1
            if steps < 0:
                return False
            total = [one + other for one, other in zip(amounts, sizes[place], strict=True)]
            if not _fits(total, left):
                continue
            group.append(place)
            used[number] = total
            if placed(place + 1):
                return True
            group.pop()
            used[number] = amounts
        return False

    return groups if placed(0) else None


def _fits(amounts: Amounts, left: Amounts) -> bool:
    return all(amount <= have for amount, have in zip(amounts, left, strict=True))


def _share(amounts: Amounts, left: Amounts) -> float:
    """The largest share of what is left of any kind of memory."""
    return max(amount / have if have > 0 else 0.0 for amount, have in zip(amounts, left, strict=True))
