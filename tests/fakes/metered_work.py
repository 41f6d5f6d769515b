"""The smallest work that has tokens, for runs that meter energy; workers of its runner keep their windows short.

A protocol's window lasts 2 s and more, three of them in each launch: tests that launch a dozen take shorter ones.
"""

import dataclasses
from pathlib import Path

from steelyard.core.runner import LaunchContext
from steelyard.core.workload import Point, Selection, Work
from steelyard.engine import metering
from tests.fakes import small_suite
from tests.fakes.numpy_work import NumpyRunner

PATH = "tests.fakes.metered_work:Metered"
SUITE_PATH = "tests.fakes.metered_work:SUITE"
TOKENS = 4


class Metered(NumpyRunner):
    """The numpy runner with short energy windows in its worker."""

    def __init__(self, context: LaunchContext) -> None:
        super().__init__(context)
        metering.LEAST_WINDOW_S = 0.3


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
