"""What a case says of its accelerator beside the host's time: cold calls, and the device's own clock in calls apart."""

from collections.abc import Callable, Sequence

from steelyard.core.backend import Device
from steelyard.core.errors import Unsupported
from steelyard.core.result import Measurement
from steelyard.core.runner import Binding, Runner
from steelyard.measure import clock
from steelyard.measure.digest import sealed
from steelyard.measure.l2 import CudaFlush
from steelyard.measure.loop import Call, quiet_collector
from steelyard.measure.steady import judge

SECONDS, LEAST, MOST = 0.5, 10, 200
"""How long the device's clock is read: at least this long and so many calls, at most so many."""


def flush_of(runner: Runner, device: Device) -> Callable[[], None]:
    """What flushes the device's L2 cache. Raises Unsupported with the reason where nothing can."""
    if device.kind == "cpu":
        raise Unsupported("--l2 is for accelerators: a CPU's caches are not flushed")
    return CudaFlush(device.index) if device.kind == "cuda" else runner.flush()


def device_time(
    calls: Sequence[Call], flush: Callable[[], None] | None = None, *, seconds: float = SECONDS
) -> tuple[Measurement | None, str]:
    """Calls made once more, timed by the device's own clock; or the reason why there is no such time.

    A metric of its own, never merged with the host's: it lacks the launch and the wait, which a caller pays.
    """
    bindings = [call for call in calls if isinstance(call, Binding)]
    if not bindings or len(bindings) < len(calls):
        return None, "the host chooses each token of an answer: its time is no single piece of the device's"
    samples: list[float] = []
    starts: list[float] = []
    begin = clock.CLOCK()
    with quiet_collector():
        while len(samples) < MOST:
            start = clock.CLOCK()
            if len(samples) >= LEAST and start - begin >= seconds * 1e9:
                break
            binding = bindings[len(samples) % len(bindings)]
            try:
                samples.append(binding.device_seconds())
            except Unsupported as error:
                return None, str(error)
            starts.append((start - begin) * 1e-9)
            binding.settle()
            if flush is not None:
                flush()
    cut, steady = judge(samples)
    found = Measurement(
        metric="device_s",
        layer="device",
        samples=tuple(samples),
        starts_s=tuple(starts),
        cut=cut,
        steady=steady,
        stop="calls" if len(samples) == MOST else "time",
    )
    return sealed(found), ""
