"""An external meter's log: a CSV file that a logger appends to while the run lasts.

Its header names `power_w` or `energy_j` (cumulative), and the time in one of two ways: `unix_time_s`, the clock of
this host, or `time_s`, a clock of the meter's own. The second needs a column `marker`: in one row at least it holds
the Unix time of this host at that moment (`date +%s.%N`, sent to the logger). One marker gives the offset; from two
on a straight line is laid through them, so that a clock that runs fast or slow is corrected.
"""

import csv
import itertools
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from steelyard.core.energy import Kind
from steelyard.core.errors import UsageError
from steelyard.guard.energy import Count, Counts, Domain, EnergySource, Fault

WALL = Domain(id="wall", boundary="wall")
_PATIENCE_S = 15.0


class ExternalLog(EnergySource):
    """The log behind the interface of a source. A read only notes the time; `settled` waits for the log to get there.

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
        self._path = path
        self._clock_ns = clock_ns
        self._sleep = sleep
        self._offset_s = unix_s() - clock_ns() / 1e9
        times, _ = read_log(path)
        gaps = sorted(late - early for early, late in itertools.pairwise(times))
        self.update_period_s = gaps[len(gaps) // 2] if gaps else 1.0

    def domains(self) -> tuple[Domain, ...]:
        """What hangs behind the meter."""
        return (WALL,)

    def read(self) -> Counts:
        """The time alone: the log does not reach it yet."""
        fault = Fault(code="off_the_log", detail="the log does not reach this moment")
        return {WALL.id: Count(t_ns=self._clock_ns(), joules=None, fault=fault)}

    def settled(self, reads: Sequence[Counts]) -> Sequence[Counts]:
        """The reads with joules and power as the log has them; waits some seconds for the last of them."""
        moments = [read[WALL.id].t_ns for read in reads]
        last_s = max(moments) / 1e9 + self._offset_s
        waited = 0.0
        try:
            times, joules = read_log(self._path)
            while times[-1] < last_s and waited < _PATIENCE_S:
                self._sleep(0.5)
                waited += 0.5
                times, joules = read_log(self._path)
        except UsageError as error:  # it was readable when the source was opened
            fault = broken(self._path, error)
            return [{WALL.id: Count(t_ns=moment, joules=None, fault=fault)} for moment in moments]
        return [{WALL.id: _count(moment, moment / 1e9 + self._offset_s, times, joules)} for moment in moments]


def broken(path: Path, error: UsageError) -> Fault:
    """Why a log gives no number, as a run stores it: with the name of the file and not where it lies."""
    return Fault(code="garbage", detail=str(error).replace(str(path), path.name))


def read_log(path: Path) -> tuple[list[float], list[float]]:
    """The log as Unix seconds and cumulative joules. Raises UsageError saying what is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
        rows = list(csv.DictReader(text.splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"--meter {path}: cannot be read: {error}") from error
    if len(rows) < 2:
        raise UsageError(f"--meter {path}: holds fewer than two rows; start the logger before the run")
    names = set(rows[0])
    clock = next((name for name in ("unix_time_s", "time_s") if name in names), None)
    value = next((name for name in ("energy_j", "power_w") if name in names), None)
    if clock is None or value is None:
        raise UsageError(f"--meter {path}: the header must name unix_time_s or time_s, and power_w or energy_j")
    if not text.endswith("\n"):
        rows = rows[:-1]  # the logger is writing it
    try:
        times = [float(row[clock]) for row in rows]
        values = [float(row[value]) for row in rows]
        marks = [(float(row[clock]), float(row["marker"])) for row in rows if row.get("marker")]
    except (TypeError, ValueError) as error:
        raise UsageError(f"--meter {path}: a row is not made of numbers: {error}") from error
    if any(late <= early for early, late in itertools.pairwise(times)):
        raise UsageError(f"--meter {path}: its times do not ascend")
    if clock == "time_s":
        if not marks:
            raise UsageError(
                f"--meter {path}: time_s is a clock of the meter's own: put the Unix time into the column marker "
                "of one row at least, or log unix_time_s"
            )
        times = [_aligned(moment, marks) for moment in times]
    return times, values if value == "energy_j" else _integral(times, values)


def _aligned(moment: float, marks: Sequence[tuple[float, float]]) -> float:
    """The Unix time of a moment of the meter's clock: the least-squares line through the markers."""
    mean_own = sum(own for own, _ in marks) / len(marks)
    mean_host = sum(host for _, host in marks) / len(marks)
    square = sum((own - mean_own) ** 2 for own, _ in marks)
    rate = sum((own - mean_own) * (host - mean_host) for own, host in marks) / square if square else 1.0
    return mean_host + rate * (moment - mean_own)


def _integral(times: Sequence[float], watts: Sequence[float]) -> list[float]:
    joules = [0.0]
    for place in range(1, len(times)):
        joules.append(joules[-1] + (watts[place - 1] + watts[place]) / 2 * (times[place] - times[place - 1]))
    return joules


def _count(t_ns: int, at_s: float, times: Sequence[float], joules: Sequence[float]) -> Count:
    """Joules at a moment between two rows, which must lie on both sides of it."""
    place = bisect_right(times, at_s)
    if place == 0 or place == len(times):
        side = "begins after" if place == 0 else "ends before"
        fault = Fault(code="off_the_log", detail=f"the meter's log {side} this window")
        return Count(t_ns=t_ns, joules=None, fault=fault)
    span = times[place] - times[place - 1]
    watts = (joules[place] - joules[place - 1]) / span
    return Count(t_ns=t_ns, joules=joules[place - 1] + watts * (at_s - times[place - 1]), watts=watts)
