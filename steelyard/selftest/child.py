"""What the processes of the vendors' tools share: they read a launch's request and write what they were told.

    python -m steelyard.selftest.MODULE REQUEST TOLD [ARGUMENT]

A request holds one case; the process has a worker's environment, and its CPUs before it starts.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from steelyard import wire
from steelyard.core.lowered import LoweredPoint
from steelyard.engine.protocol import LaunchRequest
from steelyard.measure.telemetry import without_telemetry
from steelyard.selftest.by_hand import Arrays, read_tensors
from steelyard.selftest.tools import Told


def serve(measure: Callable[[LaunchRequest], Told]) -> None:
    """The main function of such a process."""
    without_telemetry()
    asked, told = Path(sys.argv[1]), Path(sys.argv[2])  # before a tool is given arguments of its own
    told.write_bytes(wire.encode(measure(wire.read(asked, LaunchRequest))))


def lowered_of(request: LaunchRequest) -> LoweredPoint:
    """The point of the request's one case."""
    (case,) = request.cases
    return case.lowered


def window_s(request: LaunchRequest) -> float:
    """How long to measure; a cold launch only fills the compile caches."""
    (case,) = request.cases
    return case.pace.seconds if request.steady else 0.0


def pool_of(lowered: LoweredPoint) -> tuple[list[Arrays], list[Arrays]]:
    """Inputs and references of all input sets."""
    return (
        [read_tensors(entry.inputs) for entry in lowered.pool],
        [read_tensors(entry.reference) for entry in lowered.pool],
    )
