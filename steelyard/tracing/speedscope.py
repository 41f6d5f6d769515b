"""Recordings as flame graphs for https://www.speedscope.app: a profile for each thread of each backend (JSON)."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from steelyard.core.trace import Recording
from steelyard.tracing.edges import edges

_SCHEMA = "https://www.speedscope.app/file-format-schema.json"


def write(path: Path, tracks: Sequence[tuple[str, Recording]]) -> Path:
    """Write the recordings under their names. Times are nanoseconds from the first event of each."""
    frames: dict[str, int] = {}
    profiles: list[dict[str, Any]] = []
    for name, recording in tracks:
        if not len(recording.start_ns):
            continue
        first = float(np.min(recording.start_ns))
        places = [frames.setdefault(kernel.name, len(frames)) for kernel in recording.kernels]
        for thread, found in groupby(edges(recording), key=lambda edge: edge.thread):
            events = [
                {"type": "O" if edge.opens else "C", "frame": places[edge.kernel], "at": edge.at_ns - first}
                for edge in found
            ]
            profiles.append(
                {
                    "type": "evented",
                    "name": f"{name}, thread {thread}",
                    "unit": "nanoseconds",
                    "startValue": events[0]["at"],
                    "endValue": events[-1]["at"],
                    "events": events,
                }
            )
    document = {
        "$schema": _SCHEMA,
        "exporter": "steelyard",
        "shared": {"frames": [{"name": name} for name in frames]},
        "profiles": profiles,
    }
    path.write_bytes(msgspec.json.encode(document))
    return path
