"""A bare loop written by hand, in a process of its own."""

import statistics

from steelyard.measure.correctness import Checker
from tests.validation.by_hand import ByHand, insist
from tests.validation.child import Served, pool_of, serve
from tests.validation.tools import Told

_FEW = 5
_FEWEST, _MOST = 10, 5_000


def measure(served: Served) -> Told:
    """The times of as many calls as fit into the window. Raises SteelyardError if the loop gives wrong answers."""
    request, lowered = served.request, served.lowered
    inputs, references = pool_of(lowered)
    loop = ByHand(request.backend.runner, request.budget.threads, lowered, inputs)
    checker = Checker(lowered, references, inputs)
    loop.check(0, checker)
    call_ns = statistics.median(loop.block(_FEW))
    samples: list[int] = []
    turns: list[int] = []
    for seconds in served.turns():
        share = min(1.0, seconds / served.window_s) if served.window_s else 1.0
        calls = min(_MOST * share, max(_FEWEST * share, seconds * 1e9 / call_ns))
        turns.append(len(samples))
        samples += loop.block(max(1, round(calls)))
    loop.check(len(inputs) - 1, checker)
    insist(checker, f"the bare loop of {request.backend.runner}")
    return Told(samples_s=tuple(round(ns * 1e-9, 10) for ns in samples), turns=tuple(turns))


if __name__ == "__main__":
    serve(measure)
