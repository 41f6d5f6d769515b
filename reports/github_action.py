"""Custom JSON of github-action-benchmark, which knows one direction a file: one for what should fall, one for what
should rise (`customSmallerIsBetter`, `customBiggerIsBetter`)."""

from pathlib import Path

from steelyard.core.metrics import Direction
from steelyard.render.output import ReportInputs, json_text, save
from steelyard.tables.format import level
from steelyard.tables.records import CaseRecord, Value

FILES: tuple[tuple[Direction, str], ...] = (("lower", "smaller"), ("higher", "bigger"))


class GithubAction:
    """`github-action-benchmark/smaller.json` and `bigger.json`: an entry for each metric of each case, in base units.

    `range` is the interval, `extra` what stands behind the number.
    """

    name = "github-action"
    draws = False
    kind = "export"

    def write(self, inputs: ReportInputs, directory: Path) -> tuple[Path, ...]:
        """Write both files."""
        run = inputs.measured(self.name)
        folder = directory / "github-action-benchmark"
        return tuple(
            save(folder / f"{file}.json", json_text(_entries(run.cases, direction))) for direction, file in FILES
        )


def _entries(cases: tuple[CaseRecord, ...], direction: Direction) -> list[dict[str, str | float]]:
    return [
        _entry(case, value)
        for case in cases
        for value in case.values
        if value.estimate is not None and value.direction == direction
    ]


def _entry(case: CaseRecord, value: Value) -> dict[str, str | float]:
    estimate = value.estimate
    assert estimate is not None
    entry: dict[str, str | float] = {
        "name": f"{case.name}: {value.metric}",
        "unit": value.unit,
        "value": estimate.value,
    }
    if estimate.interval is not None:
        low, high = estimate.interval.low, estimate.interval.high
        entry["range"] = f"{low:.6g} to {high:.6g}, {level(estimate.interval)}"
    lines = [f"launches: {estimate.n}", f"case: {case.id}"]
    if case.comparison is not None and value.metric == "latency_s":
        lines.append(f"against {case.comparison.baseline}: {case.comparison.verdict}")
    if case.approximate:
        lines.append(case.approximate)
    return entry | {"extra": "\n".join(lines)}


REPORT = GithubAction()
