"""A bare loop written by hand, in a process of its own."""

import statistics

from steelyard.engine.protocol import LaunchRequest
from steelyard.measure.correctness import Checker
from steelyard.selftest.by_hand import ByHand, insist
from steelyard.selftest.child import lowered_of, pool_of, serve, window_s
from steelyard.selftest.tools import Told

_FEW = 5
_FEWEST, _MOST = 10, 5_000


def measure(request: LaunchRequest) -> Told:
    """The times of as many calls as fit into the window. Raises SteelyardError if the loop gives wrong answers."""
    lowered = lowered_of(request)
    inputs, references = pool_of(lowered)
    loop = ByHand(request.backend.runner, request.budget.threads, lowered, inputs)
    checker = Checker(lowered, references, inputs)
    loop.check(0, checker)
    call_ns = statistics.median(loop.block(_FEW))
    calls = min(_MOST, max(_FEWEST, round(window_s(request) * 1e9 / call_ns)))
    samples = loop.block(calls)
    loop.check(len(inputs) - 1, checker)
    insist(checker, f"the bare loop of {request.backend.runner}")
    return Told(samples_s=tuple(round(ns * 1e-9, 10) for ns in samples))


if __name__ == "__main__":
    serve(measure)
