"""The section on what our path costs against each runtime's native way; the stage is `vendor`."""

from steelyard.core.path_tax import PathTax, TaxRow
from tests.calibration.rates import percent, table

FILE = "path_tax.json"


def section(data: PathTax) -> list[str]:
    """The Markdown lines; without a heading."""
    measured = [row for row in data.rows if row.verdict != "not measured"]
    reasons = [f"- {row.runtime}, {row.workload}: {row.reason}" for row in data.rows if row.reason]
    idioms = [
        f"- {runtime}: ours {_kept(ours)}; native {_kept(native)}"
        for runtime, ours, native in dict.fromkeys((row.runtime, *_caches(row)) for row in measured)
    ]
    return [
        f"A Llama by each runtime's own means beside the program that our path makes: same weights, inputs and checks, "
        f"launches in turn. {data.machine}, {data.threads} {'thread' if data.threads == 1 else 'threads'}, windows of "
        f"{data.window_s:g} s, {data.created_utc[:10]}. *Ratio* is ours / native with its 95 % interval, paired by "
        f"round; *equivalent*: the interval lies within {percent(data.margin)} %.",
        "",
        *(line for note in data.notes for line in (note, "")),
        *table(
            ("runtime", "workload", "verdict", "ratio", "ours [us]", "native [us]", "rounds"),
            [_cells(row) for row in measured],
            numeric_from=3,
        ),
        *(["How the cache is kept:", "", *idioms, ""] if idioms else []),
        *reasons,
        *([""] if reasons else []),
    ]


def _cells(row: TaxRow) -> tuple[str, ...]:
    ratio = ""
    if row.ratio is not None:
        interval = row.ratio.interval
        ratio = f"{row.ratio.value:.3f}" + ("" if interval is None else f" [{interval.low:.3f}, {interval.high:.3f}]")
    times = ("" if seconds is None else f"{seconds * 1e6:.1f}" for seconds in (row.ours_s, row.native_s))
    return (row.runtime, row.workload, row.verdict, ratio, *times, str(row.rounds))


def _caches(row: TaxRow) -> tuple[str, str]:
    """How each side keeps its cache; a prefill that only makes one says so, and its decode step says the rest."""
    return tuple((idiom or {}).get("kv_cache", "") for idiom in (row.idiom, row.native_idiom))  # type: ignore[return-value]


def _kept(text: str) -> str:
    return f"*{text}*" if text else "nothing"
