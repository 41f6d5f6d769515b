"""Benchmarks that other tools measured, as tables beside a run's own: `imported: unpaired`, and without a verdict.

Read are the JSON files of pytest-benchmark (`--benchmark-json`) and of Google Benchmark (`--benchmark_format=json`).
Their numbers stand as the file gives them; only repetitions that a file does not sum up are summed up here.
"""

import json
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from steelyard.core.errors import UsageError
from steelyard.core.foreign import text_of
from steelyard.tables.format import ABSENT
from steelyard.tables.slug import slug
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table

LARGEST_BYTES = 64 << 20
_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
_SHOWN = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 0.0))
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """One benchmark of a file; seconds. `value` None has a `reason`; `spread` None means that the file gives none."""

    name: str
    value_s: float | None
    statistic: str = ""
    spread_s: float | None = None
    spread: str = ""
    n: int | None = None
    reason: str = ""


class _PytestStats(msgspec.Struct):
    median: float
    rounds: int
    iqr: float | None = None


class _PytestEntry(msgspec.Struct):
    name: str
    stats: _PytestStats
    fullname: str = ""


class _PytestFile(msgspec.Struct):
    benchmarks: list[_PytestEntry]


class _GoogleEntry(msgspec.Struct):
    name: str
    run_name: str = ""
    run_type: Literal["iteration", "aggregate"] = "iteration"
    aggregate_name: str = ""
    aggregate_unit: str = "time"
    iterations: int | None = None
    real_time: float | None = None
    time_unit: Literal["ns", "us", "ms", "s"] = "ns"
    error_occurred: bool = False
    error_message: str = ""
    skipped: bool = False
    skip_message: str = ""

    @property
    def seconds(self) -> float | None:
        return None if self.real_time is None else self.real_time * _SECONDS[self.time_unit]


class _GoogleFile(msgspec.Struct):
    benchmarks: list[_GoogleEntry]


def imported_tables(files: Iterable[Path]) -> tuple[Table, ...]:
    """A table for each file, in their order.

    Raises UsageError for a file that cannot be read, is of neither form, or holds a time that is none.
    """
    tables: list[Table] = []
    for path in files:
        name, number = f"imported-{slug(path.stem)}", 1
        while any(table.name == name for table in tables):
            number += 1
            name = f"imported-{slug(path.stem)}-{number}"
        tables.append(_table(name, path.name, *read_benchmarks(path)))
    return tuple(tables)


def read_benchmarks(path: Path) -> tuple[str, tuple[Imported, ...]]:
    """The tool that wrote a file, and its benchmarks in order. Raises UsageError as `imported_tables` does."""
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise UsageError(f"{path}: larger than {LARGEST_BYTES >> 20} MiB; import files of benchmark results")
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    document = _decoded(data, path)
    if "context" in document and "benchmarks" in document:
        tool, found = "Google Benchmark", _google(_read(document, _GoogleFile, path).benchmarks)
    elif "machine_info" in document and "benchmarks" in document:
        tool, found = "pytest-benchmark", _pytest(_read(document, _PytestFile, path).benchmarks)
    else:
        raise UsageError(
            f"{path}: neither the JSON of pytest-benchmark (--benchmark-json=FILE) nor that of Google Benchmark "
            "(--benchmark_out=FILE --benchmark_out_format=json)"
        )
    for item in found:
        for name, seconds in ((item.statistic, item.value_s), (item.spread, item.spread_s)):
            if seconds is not None and not (math.isfinite(seconds) and seconds >= 0):
                raise UsageError(f"{path}: the benchmark {item.name!r} has a time of {seconds:g} s ({name})")
    return tool, tuple(found)


def _decoded(data: bytes, path: Path) -> dict[str, Any]:
    """The document as Python's own reader takes it, which knows the NaN and Infinity that tools write."""
    try:
        document = json.loads(text_of(data))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not a file of benchmark results: {error}") from error
    if not isinstance(document, dict):
        raise UsageError(f"{path}: not a file of benchmark results: it holds no object")
    return document


def _read(document: dict[str, Any], kind: type[T], path: Path) -> T:
    """The fields that are read; what else the document holds does not matter."""
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise UsageError(f"{path}: not a file of benchmark results: {error}") from error


def _pytest(entries: Sequence[_PytestEntry]) -> list[Imported]:
    return [
        Imported(
            name=entry.fullname or entry.name,
            value_s=entry.stats.median,
            statistic="median of the rounds",
            spread_s=entry.stats.iqr,
            spread="interquartile range",
            n=entry.stats.rounds,
        )
        for entry in entries
    ]


def _google(entries: Sequence[_GoogleEntry]) -> list[Imported]:
    """One for each benchmark: repetitions and aggregates of it together."""
    found: dict[str, list[_GoogleEntry]] = {}
    for entry in entries:
        found.setdefault(entry.run_name or entry.name, []).append(entry)
    return [_benchmark(name, members) for name, members in found.items()]


def _benchmark(name: str, members: Sequence[_GoogleEntry]) -> Imported:
    wrong = next((entry for entry in members if entry.error_occurred or entry.skipped), None)
    if wrong is not None:
        what = "error" if wrong.error_occurred else "skipped"
        return Imported(
            name=name, value_s=None, reason=f"{what}: {wrong.error_message or wrong.skip_message or 'no message'}"
        )
    single = [entry for entry in members if entry.run_type == "iteration" and entry.seconds is not None]
    sums = {
        entry.aggregate_name: entry
        for entry in members
        if entry.run_type == "aggregate" and entry.aggregate_unit == "time" and entry.seconds is not None
    }
    for statistic in ("median", "mean"):
        if statistic in sums:
            deviation = sums.get("stddev")
            return Imported(
                name=name,
                value_s=sums[statistic].seconds,
                statistic=f"{statistic} of the repetitions",
                spread_s=None if deviation is None else deviation.seconds,
                spread="standard deviation",
                n=sums[statistic].iterations,  # of an aggregate: how many repetitions it is over
            )
    if len(single) > 1:
        times = [seconds for entry in single if (seconds := entry.seconds) is not None]
        return Imported(
            name=name,
            value_s=statistics.median(times),
            statistic="median of the repetitions, taken here",
            spread_s=statistics.stdev(times),
            spread="standard deviation, taken here",
            n=len(times),
        )
    if single:
        return Imported(
            name=name, value_s=single[0].seconds, statistic="mean of the iterations", n=single[0].iterations
        )
    return Imported(name=name, value_s=None, reason="the file gives no time of it")


def _table(name: str, file: str, tool: str, found: Sequence[Imported]) -> Table:
    smallest = min((item.value_s for item in found if item.value_s), default=1.0)
    shown = next(unit for unit, least in _SHOWN if smallest >= least)
    foot = Footnotes()
    return Table(
        name=name,
        title=f"Imported: unpaired ({file})",
        caption=f"Benchmarks of {tool} from the file {file}, real time, as the file gives them. Imported: unpaired. "
        "They were measured apart from the rounds of this run, perhaps elsewhere, are compared with nothing and "
        "carry no verdict.",
        columns=(
            Column(key="benchmark", title="Benchmark", wide=True),
            Column(key="time_s", title="Time", kind="number", unit="s", shown=shown),
            Column(key="statistic", title="Which", wide=True),
            Column(key="spread_s", title="Spread", kind="number", unit="s", shown=shown),
            Column(key="spread", title="Which spread", wide=True),
            Column(key="n", title="n", kind="integer"),
            Column(key="file", title="File", wide=True),
        ),
        rows=tuple(_row(item, file, foot) for item in found),
        footnotes=foot.all(),
        empty=f"{file} holds no benchmark",
    )


def _row(item: Imported, file: str, foot: Footnotes) -> Row:
    why = (foot.mark(f"{item.name}: {item.reason}"),) if item.reason else ()
    return Row(
        cells=(
            Cell(text=item.name),
            Cell(text=ABSENT, notes=why) if item.value_s is None else Cell(value=item.value_s),
            Cell(text=item.statistic),
            Cell(text=ABSENT) if item.spread_s is None else Cell(value=item.spread_s),
            Cell(text="" if item.spread_s is None else item.spread),
            Cell(text=ABSENT) if item.n is None else Cell(value=item.n),
            Cell(text=file),
        )
    )
