"""A real backend with or without a meter that is read meanwhile: whether reading it disturbs what is timed.

`tests.calibration.sampled:Sampled[every=0.05,of=onnxruntime]` is `onnxruntime` in whose process a thread reads the
device's meter every 0.05 s, as it does in an energy window; with `every=0` no thread runs. In a run of the second as
baseline and the first as candidate the verdict on latency is the answer. The timed window of an ordinary run has no
such thread at all; this asks what energy windows themselves suffer.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from steelyard.core.backend import BackendSpec
from steelyard.core.errors import UsageError
from steelyard.core.runner import LaunchContext
from steelyard.guard.energy_source import Absent, EnergySource
from steelyard.guard.meters import meter_for
from steelyard.guard.rapl import Rapl
from steelyard.guard.sampler import Sampler
from tests.validation.wrapped import Wrapped

PATH = "tests.calibration.sampled:Sampled"


class Sampled(Wrapped):
    """The backend `of`, with a thread that reads a meter every so many seconds."""

    accepts: ClassVar[Mapping[str, str]] = {
        **Wrapped.accepts,
        "every": "seconds between two reads of the meter; 0 reads none",
    }

    def __init__(self, context: LaunchContext) -> None:
        super().__init__(context)
        self.every_s = _seconds(context.backend)

    @classmethod
    def wrapped(cls, backend: BackendSpec) -> BackendSpec:
        """See `Wrapped`. Raises UsageError for a time that is none, too."""
        _seconds(backend)
        return super().wrapped(backend)

    def start(self) -> None:
        """See `Runner`. The thread ends with the process."""
        super().start()
        if self.every_s > 0:
            device = self.context.device
            source = meter_for(device.kind, device.index)
            if isinstance(source, Absent):
                source = _file(self.context.scratch)
            Sampler(source, self.every_s).__enter__()


def _file(scratch: Path) -> EnergySource:
    """A zone of ordinary files: read at the price of a meter, on machines that have none."""
    zone = scratch / "powercap/intel-rapl:0"
    zone.mkdir(parents=True, exist_ok=True)
    for name, content in {"name": "package-0", "energy_uj": "1", "max_energy_range_uj": "262143328850"}.items():
        (zone / name).write_text(content + "\n")
    return Rapl(zone.parent)


def _seconds(backend: BackendSpec) -> float:
    text = backend.options.get("every", "")
    try:
        every = float(text)
    except ValueError:
        every = -1.0
    if not 0 <= every < float("inf"):
        raise UsageError(f"backend '{backend.text}': every={text or 'nothing'} is no time; give e.g. every=0.05")
    return every
