"""Bencher metric format (https://bencher.dev/docs/reference/bencher-metric-format), for its adapter `json`."""

from pathlib import Path
from typing import Any

from steelyard.render.output import ReportInputs, json_text, save
from steelyard.tables.records import THROUGHPUT, CaseRecord, Value

NANOSECONDS = 1e9
LONGEST_NAME = 1024
"""Characters of a benchmark's name; Bencher refuses more."""


class Bencher:
    """`bencher.json`: a benchmark for each case, a measure for each of its metrics, with the ends of the interval.

    `latency` is in nanoseconds and `throughput` in items per second, as Bencher's own measures of these names
    are; every other measure has our name and base unit.
    """

    name = "bencher"
    draws = False
    kind = "export"

    def write(self, inputs: ReportInputs, directory: Path) -> tuple[Path, ...]:
        """Write `bencher.json`."""
        run = inputs.measured(self.name)
        entries = {_name(case): measures for case in run.cases if (measures := _measures(case))}
        return (save(directory / "bencher.json", json_text(entries)),)


def _name(case: CaseRecord) -> str:
    return case.name if len(case.name) <= LONGEST_NAME else case.id


def _measures(case: CaseRecord) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for value in case.values:
        if value.estimate is not None:
            name, factor = _measure(value)
            found[name] = _metric(value, factor)
    return found


def _measure(value: Value) -> tuple[str, float]:
    """The measure's name, and what a value in the base unit is multiplied by."""
    if value.metric == "latency_s":
        return "latency", NANOSECONDS
    if value.metric == THROUGHPUT:
        return THROUGHPUT, 1.0
    return value.metric.replace("/", " "), 1.0


def _metric(value: Value, factor: float) -> dict[str, float]:
    estimate = value.estimate
    assert estimate is not None
    found = {"value": estimate.value * factor}
    if estimate.interval is not None:
        found |= {"lower_value": estimate.interval.low * factor, "upper_value": estimate.interval.high * factor}
    return found


REPORT = Bencher()
