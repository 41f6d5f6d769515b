"""Memory of a launch by phase, each number apart: host, children, the runtime's allocator, the driver's view."""

from collections.abc import Mapping

from steelyard.core.backend import Device
from steelyard.core.errors import unknown_name
from steelyard.core.metrics import METRICS, Reading
from steelyard.core.result import Stage
from steelyard.core.runner import Runner
from steelyard.guard.device_memory import DeviceMemory, device_memory
from steelyard.measure.process_memory import HostMemory


class LaunchMemory:
    """Reads what there is at the ends of each phase, outside its time. `runner` is None until it has started."""

    def __init__(self, device: Device) -> None:
        self.runner: Runner | None = None
        self._device: DeviceMemory = device_memory(device.kind, device.index)

    def begin(self) -> HostMemory:
        """A phase begins: every peak starts anew where that is possible."""
        if self.runner is not None:
            self.runner.reset_peaks()
        self._device.begin()
        return HostMemory()

    def end(self, stage: Stage, host: HostMemory) -> dict[str, Reading]:
        """The readings of the phase that ends, by `metric/stage`."""
        found: dict[str, Reading] = host.readings()  # first: the other readings need memory themselves
        if self.runner is not None:
            found |= known(self.runner.peaks())
        found |= self._device.readings()
        return {f"{metric}/{stage}": reading for metric, reading in found.items()}


def known(told: Mapping[str, Reading]) -> Mapping[str, Reading]:
    """What a runner tells of memory. Raises UsageError for a name that no report has a row for."""
    for name in told:
        if name not in METRICS or METRICS[name].unit != "B":
            bytes_ = [metric.name for metric in METRICS.values() if metric.unit == "B"]
            raise unknown_name("quantity of memory told by the runner", name, bytes_)
    return told


def larger(earlier: Mapping[str, Reading], later: Mapping[str, Reading]) -> dict[str, Reading]:
    """One reading for each key of a phase that happened more than once in a case: the larger, where any is known."""
    merged = dict(earlier)
    for key, reading in later.items():
        held = merged.get(key)
        if held is None or (reading.value is not None and (held.value is None or reading.value > held.value)):
            merged[key] = reading
    return merged
