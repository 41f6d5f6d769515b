"""JSON of pytest-benchmark, for `pytest-benchmark compare` and whatever else reads it: a round is a launch."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from steelyard.render.output import ReportInputs, json_text, save
from steelyard.tables.box_summary import described
from steelyard.tables.records import STATISTIC, CaseRecord, Records, Value


class PytestBenchmark:
    """`pytest-benchmark.json`: a benchmark for each timed metric of each case, in seconds.

    Its statistics are over the medians of the launches, which stand in `data`; the estimate with its interval and
    the verdict are in `extra_info`. One launch alone has no spread and is left out.
    """

    name = "pytest-benchmark"
    draws = False
    kind = "export"

    def write(self, inputs: ReportInputs, directory: Path) -> tuple[Path, ...]:
        """Write `pytest-benchmark.json`."""
        run = inputs.measured(self.name)
        if single := sum(len(value.launches) == 1 for case in run.cases for value in case.timed):
            inputs.remark(f"{self.name}: left out, of one launch only and thus without a spread: {single} metrics")
        document = {
            "machine_info": _machine(run),
            "commit_info": {},
            "benchmarks": [
                entry for case in run.cases for value in case.timed for entry in _benchmark(run, case, value)
            ],
            "datetime": run.created_utc,
            "version": f"steelyard {run.tool_version}",
        }
        return (save(directory / "pytest-benchmark.json", json_text(document)),)


def _machine(run: Records) -> dict[str, Any]:
    """The machine without its name: a stored run does not know it."""
    return {"device": run.device.name, "threads": run.budget.threads, "environment": dict(run.environment)}


def _benchmark(run: Records, case: CaseRecord, value: Value) -> Iterator[dict[str, Any]]:
    if value.estimate is None or len(value.launches) < 2:
        return
    metric = value.metric.removesuffix("_s")
    yield {
        "group": f"{case.point} {metric}",
        "name": f"{case.name}/{metric}",
        "fullname": f"{case.name}/{metric}",
        "params": {str(name): setting for name, setting in case.axes.items()},
        "param": case.arm,
        "extra_info": _extra(run, case, value),
        "options": {"timer": "perf_counter_ns", "warmup": True},
        "stats": _stats(value),
    }


def _extra(run: Records, case: CaseRecord, value: Value) -> dict[str, Any]:
    estimate = value.estimate
    assert estimate is not None
    interval = estimate.interval
    comparison = case.comparison if value.metric == "latency_s" else None
    return {
        "run": run.run_id,
        "case": case.id,
        "statistic": STATISTIC,
        "estimate_s": estimate.value,
        "low_s": None if interval is None else interval.low,
        "high_s": None if interval is None else interval.high,
        "confidence": None if interval is None else interval.confidence,
        "baseline": run.baseline,
        "verdict": None if comparison is None else comparison.verdict,
        "approximate": case.approximate or None,
        "versions": dict(case.versions),
    }


def _stats(value: Value) -> dict[str, Any]:
    data = list(value.launches)
    found = described(data)
    return {
        "min": found.low,
        "max": found.high,
        "mean": found.mean,
        "stddev": found.deviation,
        "rounds": found.count,
        "median": found.median,
        "iqr": found.upper_quartile - found.lower_quartile,
        "q1": found.lower_quartile,
        "q3": found.upper_quartile,
        "iqr_outliers": found.beyond_fence,
        "stddev_outliers": found.beyond_deviation,
        "outliers": f"{found.beyond_deviation};{found.beyond_fence}",
        "ld15iqr": found.low_fence,
        "hd15iqr": found.high_fence,
        "ops": found.count / found.total,
        "total": found.total,
        "data": data,
        "iterations": 1,
    }


REPORT = PytestBenchmark()
