"""An external meter behind the interface of a source: its log is read when it covers what was asked."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from steelyard.core.energy import Kind
from steelyard.core.errors import UsageError
from steelyard.guard.energy_source import EnergySource
from steelyard.guard.live_log import reaching
from steelyard.guard.meter_readings import Code, Count, Counts, Domain, Fault
from steelyard.guard.power_log import read_log

WALL = Domain(id="wall", boundary="wall")


class ExternalLog(EnergySource):
    """A read only notes the time; `settled` waits for the log to get there.

    `clock_ns` is the clock of all sources, `unix_s` the host's clock of the day, read together once.
    """

    name: ClassVar[str] = "external"
    kind: ClassVar[Kind] = "external"

    def __init__(
        self,
        path: Path,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        unix_s: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(clock_ns)
        self._path = path
        self._sleep = sleep
        self._offset_s = unix_s() - clock_ns() / 1e9
        self.update_period_s = read_log(path).period_s

    def domains(self) -> tuple[Domain, ...]:
        """What hangs behind the meter."""
        return (WALL,)

    def _read(self) -> Counts:
        """The time alone: the log does not reach it yet."""
        fault = Fault(code="off_the_log", detail="the log does not reach this moment")
        return {WALL.id: Count(t_ns=self._clock_ns(), joules=None, fault=fault)}

    def _settled(self, reads: Sequence[Counts]) -> Sequence[Counts]:
        """The reads with joules and power as the log has them; waits some seconds for the last of them."""
        moments = [read[WALL.id].t_ns for read in reads]
        try:
            log = reaching(self._path, max(moments) / 1e9 + self._offset_s, self._sleep)
        except UsageError as error:  # it was readable when the source was opened
            fault = broken(self._path, error)
            return [{WALL.id: Count(t_ns=moment, joules=None, fault=fault)} for moment in moments]
        return [{WALL.id: log.count(moment, moment / 1e9 + self._offset_s)} for moment in moments]


def broken(path: Path, error: UsageError, code: Code = "garbage") -> Fault:
    """Why a log gives no number, as a run stores it: with the name of the file and not where it lies."""
    return Fault(code=code, detail=str(error).replace(str(path), path.name))
