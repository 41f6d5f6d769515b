"""The smallest work that has tokens, for runs that meter energy; workers of its runner keep their windows short.

A protocol's window lasts 2 s and more, three of them in each launch: tests that launch a dozen take shorter ones.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from steelyard.core.backend import Availability, BackendSpec, Device
from steelyard.core.runner import LaunchContext
from steelyard.core.workload import Point, Selection, Work
from steelyard.engine import metering
from tests.fakes import small_suite
from tests.fakes.numpy_work import NumpyRunner
from tests.validation.wrapped import Wrapped

PATH = "tests.fakes.metered_work:Metered"
SUITE_PATH = "tests.fakes.metered_work:SUITE"
REAL_PATH = "tests.fakes.metered_work:OnTheHost"
TOKENS = 4
WINDOW_S = 0.1
"""The least window; 50 periods of the meter may ask for more."""
_HOST = Device(kind="cpu", index=0, name="the host", memory_bytes=None)
KINDS = ("cpu", "cuda", "rocm", "xpu")


class Metered(NumpyRunner):
    """The numpy runner with short energy windows in its worker, whatever device it is told to use."""

    kinds = KINDS

    def __init__(self, context: LaunchContext) -> None:
        super().__init__(context)
        metering.LEAST_WINDOW_S = WINDOW_S


class OnTheHost(Wrapped):
    """A real backend with short energy windows that computes on the host, whatever device the run is told to use: the
    meter and the driver of that device are stand-ins."""

    kinds = KINDS

    def __init__(self, context: LaunchContext) -> None:
        super().__init__(dataclasses.replace(context, device=_HOST))
        metering.LEAST_WINDOW_S = WINDOW_S

    @classmethod
    def availability(cls, backend: BackendSpec, device_kind: str) -> Availability:
        return super().availability(backend, _HOST.kind)

    @classmethod
    def environment(cls, context: LaunchContext) -> Mapping[str, str]:
        return super().environment(dataclasses.replace(context, device=_HOST))


def _points(selection: Selection) -> tuple[Point, ...]:
    (point,) = small_suite.points(dataclasses.replace(selection, workloads=("wide",)))
    return (dataclasses.replace(point, work=Work(flop=512, weight_bytes=256, items=TOKENS, unit="tokens")),)


SUITE = dataclasses.replace(small_suite.SUITE, name="tokens", points=_points)


def write_zone(root: Path, joules: float) -> None:
    """A powercap tree of one package whose counter shows so much; whole at every moment."""
    zone = root / "sys/class/powercap/intel-rapl:0"
    if not zone.is_dir():
        zone.mkdir(parents=True)
        (zone / "name").write_text("package-0\n")
        (zone / "max_energy_range_uj").write_text("262143328850\n")
    fresh = zone / "fresh"
    fresh.write_text(f"{round(joules * 1e6) % 262143328850}\n")
    fresh.replace(zone / "energy_uj")
