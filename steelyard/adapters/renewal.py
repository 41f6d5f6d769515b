"""A program compiled anew under what is bound to it, so that a profiler starts without earlier calls."""

from collections.abc import Callable, Iterable

from steelyard.adapters.bound import BoundBinding

WARM_UP_RUNS = 3


def renew(bindings: Iterable[BoundBinding], compile_again: Callable[[], None]) -> int:
    """Compile again, wire each open binding to the new program at the places it has, and warm it up; how many runs
    that took. Inputs and state are afterwards what they were. The old program is let go first: weights are large.
    """
    open_ = [binding for binding in bindings if binding.request is not None]
    for binding in open_:
        binding.unwire()
    compile_again()
    for binding in open_:
        binding.rewire()
        binding.warm_up(WARM_UP_RUNS)
    return WARM_UP_RUNS * len(open_)


def distinct(name: str, detail: str, taken: set[str]) -> str:
    """The name, with the detail or else a number behind it where it is taken; it is taken afterwards."""
    found, count = name, 1
    while found in taken:
        found = f"{name} ({detail})" if count == 1 and detail else f"{name} ({count})"
        count += 1
    taken.add(found)
    return found
