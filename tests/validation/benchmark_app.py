"""OpenVINO's `benchmark_app` on the artifact of `openvino`: its own program, its own options, its own latencies.

    -api sync -hint none -nstreams 1 -nthreads N -pin YES -infer_precision f32
    -api async -nireq 1 (else the same)

With `-api sync` it computes in the calling thread (`infer`), with `-api async` in the plugin's (`start_async`), as ours
does: handing a call over took 10 us of the 84 us of a decode step, and is counted by the request in its own time.
What it prints is rounded to 0.01 ms, which is a tenth of a small model's call, and its unit changes below 1 ms. So its
main function runs here as it is, and the list of latencies from which it takes its median is kept as it goes by; its
own report must then agree to the last digit. With `-hint latency` it refuses the thread count. It imports
OpenVINO, which would report over the network: that is switched off as for our side.
"""

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from steelyard.core.errors import SteelyardError
from tests.validation.by_hand import read_tensors
from tests.validation.child import Served, serve
from tests.validation.tools import Told

_REPORT = "benchmark_report.json"
_MEDIAN = "latency (ms)"
_ROUNDED_MS = 0.006  # it prints two decimals
_APIS = {"sync": ("sync_inference", ()), "async": ("async_inference_only", ("-nireq", "1"))}
"""Its method that calls, and what its command line needs besides."""


def arguments(
    model: Path, inputs: Mapping[str, Path], threads: int, seconds: float, folder: Path, *, api: str = "sync"
) -> list[str]:
    """Its command line. It takes whole seconds, one at least."""
    return [
        *("-m", str(model), "-d", "CPU", "-api", api, *_APIS[api][1], "-hint", "none", "-nstreams", "1"),
        *("-nthreads", str(threads), "-pin", "YES", "-infer_precision", "f32", "-t", str(max(1, round(seconds)))),
        *("-report_type", "no_counters", "-report_folder", str(folder), "-json_stats"),
        *("-i", *(f"{name}:{path}" for name, path in inputs.items())),
    ]


def measure(served: Served, api: str) -> Told:
    """Its latencies in the order of their size. Raises SteelyardError if its report says something else."""
    from openvino.tools.benchmark import benchmark, main

    request, lowered = served.request, served.lowered
    folder = Path(request.scratch)
    artifact = lowered.programs["main"].artifacts["openvino"]
    inputs = {}
    for number, (name, array) in enumerate(read_tensors(lowered.pool[0].inputs).items()):
        inputs[name] = folder / f"input_{number}.npy"
        np.save(inputs[name], array)
    kept: list[float] = []
    turns: list[int] = []
    method, _ = _APIS[api]
    plain = getattr(benchmark.Benchmark, method)

    def keeping(self: Any, *given: Any) -> Any:
        lasted_s = calls = 0
        for seconds in served.turns():
            self.duration_seconds = seconds or self.duration_seconds
            times, turn_s, count = plain(self, *given)
            turns.append(len(kept))
            kept.extend(times)
            lasted_s, calls = lasted_s + turn_s, calls + count
        return sorted(kept), lasted_s, calls

    setattr(benchmark.Benchmark, method, keeping)
    model = Path(artifact.directory) / artifact.entry
    line = arguments(model, inputs, request.budget.threads, served.window_s, folder, api=api)
    sys.argv = ["benchmark_app", *line]
    main.main()
    printed = float(json.loads((folder / _REPORT).read_text())["execution_results"][_MEDIAN])
    insist(kept, printed)
    samples = tuple(round(ms * 1e-3, 10) for ms in kept)
    return Told(samples_s=samples, in_order=False, turns=tuple(turns))


def insist(kept: Sequence[float], printed_ms: float) -> None:
    """Raises SteelyardError unless the latencies, whatever their order, have the median that was printed."""
    if not kept or abs(statistics.median(kept) - printed_ms) > _ROUNDED_MS:
        raise SteelyardError(f"benchmark_app printed a median of {printed_ms} ms, not that of the latencies it took")


if __name__ == "__main__":
    serve(partial(measure, api=sys.argv[4]))
