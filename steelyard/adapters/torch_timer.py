"""A device's own time of a call, by events of PyTorch in its queue."""

from typing import Any


class EventTimer:
    """A pair of events in the queue, around a call; `api` has them: torch.cuda, torch.xpu, torch.mps.event."""

    def __init__(self, api: Any) -> None:
        self._begin, self._end = api.Event(enable_timing=True), api.Event(enable_timing=True)

    def start(self) -> None:
        """Before the call."""
        self._begin.record()

    def stop(self) -> float:
        """After the call, which may still run: waits for it. Seconds between the two events on the device's clock."""
        self._end.record()
        self._end.synchronize()
        return float(self._begin.elapsed_time(self._end)) * 1e-3
