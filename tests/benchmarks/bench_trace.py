"""What a recording of so many events costs: own times and sums, the file, and the trace for Perfetto."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard.core.trace import Kernel, Recording
from steelyard.measure import trace_file
from steelyard.measure.trace_summary import summarise
from steelyard.tracing import perfetto

SIZES = (10_000, 100_000, 1_000_000)
_CALL_NS, _EVENTS_A_CALL = 1e6, 1000


def recording(events: int) -> Recording:
    """Calls of a thousand events each, every second one inside of the one before."""
    place = np.arange(events)
    inner = place % 2
    call, within = place // _EVENTS_A_CALL, place % _EVENTS_A_CALL // 2
    start = call * _CALL_NS + within * 1900.0 + inner * 300.0
    calls = np.arange(events // _EVENTS_A_CALL) * _CALL_NS
    return Recording(
        kernels=tuple(Kernel(name=f"kernel_{number}", kind="MatMul") for number in range(200)),
        kernel=place % 200,
        start_ns=start,
        duration_ns=np.where(inner, 900.0, 1700.0),
        thread=np.zeros(events, np.int64),
        calls=tuple((begin, begin + 0.96 * _CALL_NS) for begin in calls.tolist()),
        resolution_ns=1.0,
    )


@pytest.mark.parametrize("events", SIZES)
def bench_summary(benchmark: Any, events: int) -> None:
    """Own times and sums of all events."""
    found = benchmark.pedantic(summarise, args=(recording(events),), rounds=3)
    assert found.overlaps == 0


@pytest.mark.parametrize("events", SIZES)
def bench_file(benchmark: Any, tmp_path: Path, events: int) -> None:
    """A recording written and read."""
    made = recording(events)

    def there_and_back() -> Recording:
        return trace_file.read(tmp_path / "made.npz", trace_file.write(tmp_path / "made.npz", made))

    assert len(benchmark.pedantic(there_and_back, rounds=3).kernel) == events


@pytest.mark.parametrize("events", SIZES)
def bench_perfetto(benchmark: Any, tmp_path: Path, events: int) -> None:
    """A trace for Perfetto of all events."""
    made = recording(events)
    path = benchmark.pedantic(perfetto.write, args=(tmp_path / "made", [("a", made)]), rounds=2)
    assert path.stat().st_size > 20 * events
