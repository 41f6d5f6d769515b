"""The section on native-path overhead: our path against each runtime's native way; the stage is `vendor`."""

from collections.abc import Mapping

from tests.calibration.rates import percent, table
from tests.validation.native_overhead_rows import NativeOverhead, OverheadRow

FILE = "native_overhead.json"


def section(data: NativeOverhead) -> list[str]:
    """The Markdown lines; without a heading."""
    measured = [row for row in data.rows if row.verdict != "not measured"]
    reasons = [f"- {row.runtime}, {row.workload}: {row.reason}" for row in data.rows if row.reason]
    return [
        "A Llama by each runtime's own means beside the program that our path makes: same weights, inputs and "
        f"checks, launches {data.protocol}. {data.machine}, {data.threads} "
        f"{'thread' if data.threads == 1 else 'threads'}, windows of {data.window_s:g} s, {data.created_utc[:10]}. "
        "*Ratio* is ours / native with its 95 % interval, paired by round, so that it is not the quotient of the "
        f"medians in *ours* and *native*; *equivalent*: the interval lies within {percent(data.margin)} %.",
        "",
        *(line for note in data.notes for line in (note, "")),
        *table(
            ("runtime", "workload", "cache, ours", "native", "verdict", "ratio", "ours [us]", "native [us]", "rounds"),
            [_cells(row) for row in measured],
            numeric_from=5,
        ),
        *reasons,
        *([""] if reasons else []),
    ]


def _cells(row: OverheadRow) -> tuple[str, ...]:
    ratio = ""
    if row.ratio is not None:
        interval = row.ratio.interval
        ratio = f"{row.ratio.value:.3f}" + ("" if interval is None else f" [{interval.low:.3f}, {interval.high:.3f}]")
    times = ("" if seconds is None else f"{seconds * 1e6:.1f}" for seconds in (row.ours_s, row.native_s))
    return (row.runtime, row.workload, *_caches(row), row.verdict, ratio, *times, str(row.rounds))


def _caches(row: OverheadRow) -> tuple[str, str]:
    """How ours and the native program keep the cache; a prefill that hands it over says so, a decode the rest."""
    return _cache(row.idiom, row.workload), _cache(row.native_idiom, row.workload)


def _cache(mode: Mapping[str, str] | None, workload: str) -> str:
    """A program of both halves of an answer may keep it differently in each."""
    half = workload.partition(",")[0]
    return (mode or {}).get(f"kv_cache ({half})") or (mode or {}).get("kv_cache", "")
