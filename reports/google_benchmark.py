"""JSON of Google Benchmark, as its `--benchmark_format=json` writes it: a repetition is a launch.

CPU time is not measured, and no entry pretends that it was: `cpu_time` is left out. Readers of `real_time` take the
file; `compare.py` of that project wants both times and passes over entries that lack one.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from steelyard.render.output import ReportInputs, json_text, save
from steelyard.tables.records import CaseRecord, Records, Value

AGGREGATE = "hodges_lehmann"
NANOSECONDS = 1e9


class GoogleBenchmark:
    """`google-benchmark.json`: for each timed metric of each case its launches as repetitions, and their estimate as
    an aggregate with the ends of the interval as counters; all times in nanoseconds."""

    name = "google-benchmark"
    draws = False
    kind = "export"

    def write(self, inputs: ReportInputs, directory: Path) -> tuple[Path, ...]:
        """Write `google-benchmark.json`."""
        run = inputs.measured(self.name)
        found = []
        for family, case in enumerate(run.cases):
            for number, value in enumerate(case.timed):
                found += list(_entries(run, case, value, family, number))
        document = {"context": _context(run), "benchmarks": found}
        return (save(directory / "google-benchmark.json", json_text(document)),)


def _context(run: Records) -> dict[str, str]:
    return {
        "date": run.created_utc,
        "executable": f"steelyard {run.tool_version}",
        "run": run.run_id,
        "device": run.device.name,
        "tuning": run.budget.tuning,
        "precision": run.budget.precision,
        "noise_grade": " ".join(run.grades),
        "cpu_time": "not measured",
    }


def _entries(run: Records, case: CaseRecord, value: Value, family: int, number: int) -> Iterator[dict[str, Any]]:
    estimate = value.estimate
    if estimate is None:
        return
    name = f"{case.name}/{value.metric.removesuffix('_s')}"
    label = f"{case.arm} ({case.approximate})" if case.approximate else case.arm
    common = {
        "family_index": family,
        "per_family_instance_index": number,
        "run_name": name,
        "repetitions": len(value.launches),
        "threads": run.budget.threads,
        "time_unit": "ns",
    }
    for repetition, seconds in enumerate(value.launches):
        yield {
            "name": name,
            **common,
            "run_type": "iteration",
            "repetition_index": repetition,
            "iterations": 1,
            "real_time": seconds * NANOSECONDS,
            "label": label,
        }
    counters = {}
    if estimate.interval is not None:
        counters = {
            "low": estimate.interval.low * NANOSECONDS,
            "high": estimate.interval.high * NANOSECONDS,
            "confidence": estimate.interval.confidence,
        }
    yield {
        "name": f"{name}_{AGGREGATE}",
        **common,
        "run_type": "aggregate",
        "aggregate_name": AGGREGATE,
        "aggregate_unit": "time",
        "iterations": estimate.n,
        "real_time": estimate.value * NANOSECONDS,
        "label": label,
        **counters,
    }


REPORT = GoogleBenchmark()
