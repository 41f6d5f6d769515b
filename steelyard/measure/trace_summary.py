"""A recording in numbers per call: the own time of every kernel, and how long a call took."""

import numpy as np

from steelyard.core.trace import KernelTime, Recording, TraceSummary
from steelyard.measure.own_time import own_times


def summarise(recording: Recording) -> TraceSummary:
    """Raises ValueError for a recording without a call."""
    calls = np.asarray(recording.calls, np.float64).reshape(-1, 2)
    if not len(calls):
        raise ValueError("a recording without calls")
    lasted = calls[:, 1] - calls[:, 0]
    low, high = np.quantile(lasted, [0.25, 0.75])
    chosen = (lasted >= low) & (lasted <= high)
    if not chosen.any():  # of two calls neither lies in the middle
        chosen[:] = True
    found = own_times(recording)
    counted = (found.call >= 0) & chosen[np.maximum(found.call, 0)]
    kernel = np.asarray(recording.kernel, np.int64)[counted]
    number = int(chosen.sum())
    seconds = np.bincount(kernel, weights=found.own_ns[counted], minlength=len(recording.kernels)) * 1e-9 / number
    times = np.bincount(kernel, minlength=len(recording.kernels)) / number
    return TraceSummary(
        call_s=float(lasted[chosen].mean()) * 1e-9,
        calls=number,
        kernels=tuple(
            KernelTime(kernel=each, seconds=float(own_s), times=float(count))
            for each, own_s, count in zip(recording.kernels, seconds, times, strict=True)
            if count
        ),
        outside=int((found.call < 0).sum()),
        overlaps=found.overlaps,
        resolution_s=recording.resolution_ns * 1e-9,
        averaged=recording.averaged,
        dropped=recording.dropped,
        remarks=recording.remarks,
    )
