"""A tool of a vendor that takes a known time, crashes, or says nothing: `python -m tests.fakes.vendor_tool`.

What it does stands in the environment variable XDG_VENDOR_TOOL (a worker's environment keeps that name): seconds, or a
word.
"""

import os
import sys

from steelyard.engine.protocol import LaunchRequest
from steelyard.selftest.child import serve
from steelyard.selftest.tools import Told


def measure(request: LaunchRequest) -> Told:
    """Samples that rise and fall by a thousandth."""
    asked = os.environ["XDG_VENDOR_TOOL"]
    if asked == "crash":
        sys.exit("the tool has no licence")
    if not request.steady:
        return Told(samples_s=())
    assert os.sched_getaffinity(0) == set(request.budget.cpus)
    return Told(samples_s=tuple(float(asked) * (1 + 0.001 * (index % 3 - 1)) for index in range(60)))


if __name__ == "__main__":
    serve(measure)
