"""A tool of a vendor that takes a known time, crashes, or says nothing: `python -m tests.fakes.vendor_tool`.

What it does stands in the environment variable XDG_VENDOR_TOOL (a worker's environment keeps that name): seconds, or a
word.
"""

import os
import sys

from tests.validation.child import Served, serve
from tests.validation.tools import Told

CALLS = 12
"""Calls of a turn."""


def measure(served: Served) -> Told:
    """Samples that rise and fall by a thousandth."""
    asked = os.environ["XDG_VENDOR_TOOL"]
    if asked == "crash":
        sys.exit("the tool has no licence")
    if not served.request.steady:
        return Told(samples_s=())
    assert os.sched_getaffinity(0) == set(served.request.budget.cpus)
    turns = []
    for number, _ in enumerate(served.turns()):
        turns.append(number * CALLS)
    calls = CALLS * len(turns)
    return Told(
        samples_s=tuple(float(asked) * (1 + 0.001 * (index % 3 - 1)) for index in range(calls)), turns=tuple(turns)
    )


if __name__ == "__main__":
    serve(measure)
