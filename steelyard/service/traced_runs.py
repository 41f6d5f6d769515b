"""Traced runs: what is asked of them, and their recordings as files for viewers."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from steelyard.core.folders import TRACES
from steelyard.core.run import Run
from steelyard.engine.plan import Request
from steelyard.tracing import flames, perfetto, speedscope
from steelyard.tracing.traced import recordings

PERFETTO, FLAMES, PICTURE = "all.perfetto-trace", "flames.speedscope.json", "flames.svg"


def traced_request(request: Request, launches: int) -> Request:
    """The request for launches that are traced, so many of each backend."""
    return replace(request, scenario="traced", rounds=launches, quick=False, time_s=None, turns=False)


def viewed(run: Run, path: Path) -> Iterator[str]:
    """Write the recordings of a run stored at `path` for Perfetto, speedscope and any browser, and tell where they are.
    Raises StoreError for a recording that is not there, or is not the one that its launch wrote."""
    tracks = list(recordings(run, path))
    if tracks:
        folder = path / TRACES
        yield f"perfetto: {perfetto.write(folder / PERFETTO, tracks)} (open it at https://ui.perfetto.dev)"
        yield f"flames: {speedscope.write(folder / FLAMES, tracks)} (open it at https://www.speedscope.app)"
        yield f"flames: {flames.write(folder / PICTURE, tracks)}"
