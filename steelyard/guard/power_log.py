"""The file that an external meter's logger appends to, as times and joules. Rows that are no numbers are told.

Its header names `power_w` or `energy_j` (cumulative), and the time in one of two ways: `unix_time_s`, the clock of
this host, or `time_s`, a clock of the meter's own. The second needs a column `marker`: in one row at least it holds
the Unix time of this host at that moment (`date +%s.%N`, sent to the logger). One marker gives the offset; from two
on a straight line is laid through them, so that a clock that runs fast or slow is corrected. Columns are parted by
commas, or by semicolons or tabs: then numbers may have a decimal comma.
"""

import csv
import itertools
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from steelyard.core.errors import UsageError
from steelyard.core.foreign import text_of
from steelyard.guard.gate import power
from steelyard.guard.meter_readings import Count, Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """Unix seconds, and joules since the first row. `faults` is how often the meter had lost its thread by each row,
    and `why` has the reason of each time: rows that are no numbers are left out, a counter that fell begins anew."""

    times_s: tuple[float, ...]
    joules: tuple[float, ...]
    faults: tuple[int, ...]
    why: tuple[Fault, ...]

    @property
    def period_s(self) -> float:
        """The median distance of two rows."""
        gaps = sorted(late - early for early, late in itertools.pairwise(self.times_s))
        return gaps[len(gaps) // 2]

    def count(self, t_ns: int, at_s: float) -> Count:
        """What the meter showed at a moment: there must be a row on both sides of it, and none lost between them."""
        place = bisect_right(self.times_s, at_s)
        if place in (0, len(self.times_s)):
            side = "begins after" if place == 0 else "ends before"
            fault = Fault(code="off_the_log", detail=f"the meter's log {side} this window")
            return Count(t_ns=t_ns, joules=None, fault=fault)
        before, faults = place - 1, self.faults[place]
        latest = self.why[faults - 1] if faults else None
        if faults != self.faults[before]:
            return Count(t_ns=t_ns, joules=None, faults=faults, fault=latest)
        span = self.times_s[place] - self.times_s[before]
        watts = (self.joules[place] - self.joules[before]) / span
        joules = self.joules[before] + watts * (at_s - self.times_s[before])
        return Count(t_ns=t_ns, joules=joules, watts=watts, faults=faults, fault=latest)


def read_log(path: Path) -> Log:
    """The log as far as it is written. Raises UsageError saying what is wrong with it."""
    try:
        text = text_of(path.read_bytes())
        separator = next((mark for mark in ";\t" if mark in text.partition("\n")[0]), ",")
        table = list(csv.reader(text.splitlines(), delimiter=separator, skipinitialspace=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"--meter {path}: cannot be read: {error}") from error
    names = [name.strip() for name in table[0]] if table else []
    if len(table) < 3:
        raise UsageError(f"--meter {path}: holds fewer than two rows; start the logger before the run")
    clock = next((name for name in ("unix_time_s", "time_s") if name in names), None)
    value = next((name for name in ("energy_j", "power_w") if name in names), None)
    if clock is None or value is None:
        raise UsageError(
            f"--meter {path}: the header must name unix_time_s or time_s, and power_w or energy_j; "
            f"it is {separator.join(names)[:100]!r}"
        )
    if not text.endswith("\n"):
        table = table[:-1]  # the logger is writing it
    rows: list[_Row] = []
    why: list[Fault] = []
    for number, cells in enumerate(table[1:], start=2):
        try:
            row = _row(_named(names, cells), clock, value, comma=separator != ",")
        except ValueError as error:
            why.append(Fault(code="garbage", detail=f"row {number} of the log: {error}"))
            continue
        if value == "energy_j" and rows and row.value < rows[-1].value:
            told = f"row {number} of the log: energy_j fell from {rows[-1].value:g} to {row.value:g}"
            why.append(Fault(code="counter_reset", detail=told))
        rows.append(replace(row, faults=len(why)))
    if len(rows) < 2:
        raise UsageError(f"--meter {path}: fewer than two rows are made of numbers: {why[0].detail}")
    times = [row.own_s for row in rows]
    if clock == "time_s":
        times = _aligned(times, [(row.own_s, row.host_s) for row in rows if row.host_s is not None])
        if not times:
            raise UsageError(
                f"--meter {path}: time_s is a clock of the meter's own: put the Unix time into the column marker "
                "of one row at least, or log unix_time_s"
            )
    if any(late <= early for early, late in itertools.pairwise(times)):
        raise UsageError(f"--meter {path}: its times do not ascend")
    steps = _energy if value == "energy_j" else _integral
    joules = itertools.accumulate(steps(times, [row.value for row in rows]), initial=0.0)
    return Log(times_s=tuple(times), joules=tuple(joules), faults=tuple(row.faults for row in rows), why=tuple(why))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One row: the time of its own clock, power or energy, the host's time where it has a marker; faults before it."""

    own_s: float
    value: float
    host_s: float | None
    faults: int = 0


def _named(names: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    """The cells of a row by the names of the header. Raises ValueError where they are not as many."""
    if len(cells) > len(names):
        told = "numbers with a decimal comma need semicolons between the columns"
        raise ValueError(f"{len(cells)} values for {len(names)} names: {told}")
    return dict(zip(names, [*cells, *[""] * (len(names) - len(cells))], strict=True))


def _row(cells: Mapping[str, str], clock: str, value: str, *, comma: bool) -> _Row:
    """The numbers of a row. Raises ValueError saying which is none."""
    found = {name: _number(name, cells[name], comma=comma) for name in (clock, value)}
    marker = cells.get("marker", "").strip()
    if value == "power_w" and isinstance(fault := power(found[value]), Fault):
        raise ValueError(fault.detail)
    return _Row(
        own_s=found[clock],
        value=found[value],
        host_s=_number("marker", marker, comma=comma) if marker else None,
    )


def _number(name: str, text: str, *, comma: bool) -> float:
    try:
        number = float(text.replace(",", ".") if comma else text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{name} is {text[:20]!r}, which is no number")
    return number


def _aligned(times: Sequence[float], marks: Sequence[tuple[float, float]]) -> list[float]:
    """The Unix times of moments of the meter's clock: by the least-squares line through the markers; none without."""
    if not marks:
        return []
    mean_own = sum(own for own, _ in marks) / len(marks)
    mean_host = sum(host for _, host in marks) / len(marks)
    square = sum((own - mean_own) ** 2 for own, _ in marks)
    rate = sum((own - mean_own) * (host - mean_host) for own, host in marks) / square if square else 1.0
    return [mean_host + rate * (moment - mean_own) for moment in times]


def _energy(times: Sequence[float], joules: Sequence[float]) -> list[float]:
    """What was added from row to row; nothing where the counter fell."""
    return [max(0.0, after - before) for before, after in itertools.pairwise(joules)]


def _integral(times: Sequence[float], watts: Sequence[float]) -> list[float]:
    """The same of power, by the trapezoidal rule."""
    ends = zip(itertools.pairwise(times), itertools.pairwise(watts), strict=True)
    return [(before + after) / 2 * (end - begin) for (begin, end), (before, after) in ends]
