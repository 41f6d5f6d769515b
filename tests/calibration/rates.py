"""Counts as print: rates in percent with Clopper-Pearson intervals, and Markdown tables."""

from collections.abc import Iterable, Sequence

from steelyard.stats.quantile import clopper_pearson


def percent(share: float) -> str:
    """0.0312 as `3.1`; what would round to 0.0 or 100.0 without being it keeps the sign of that."""
    text = f"{100 * share:.1f}"
    if text == "0.0" and share > 0:
        return "<0.1"
    return ">99.9" if text == "100.0" and share < 1 else text


def rate(count: int, of: int) -> str:
    """`3.1 [2.6, 3.7]`: a share in percent with its 95 % Clopper-Pearson interval; `none` where nothing was tried."""
    if of == 0:
        return "none"
    interval = clopper_pearson(count, of)
    return f"{percent(count / of)} [{percent(interval.low)}, {percent(interval.high)}]"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], numeric_from: int = 1) -> list[str]:
    """A Markdown table; columns from `numeric_from` on are set flush right."""
    marks = ["---" if index < numeric_from else "---:" for index in range(len(columns))]
    return [_row(columns), _row(marks), *(_row(row) for row in rows), ""]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
