"""Records of the PyTorch OSS benchmark database (schema v3): https://github.com/pytorch/pytorch/wiki under the title
PyTorch OSS benchmark infra. Its upload action adds the commit, the job and the runner."""

from pathlib import Path
from typing import Any

from steelyard.render.output import ReportInputs, json_text, save
from steelyard.tables.records import STATISTIC, CaseRecord, Records, Value


class PytorchOss:
    """`pytorch-oss/benchmarks.json`: a record for each metric of each case, in base units.

    `benchmark_values` are the medians of the launches where there are such, otherwise the one estimate; everything
    in `extra_info` is text, as the database has it.
    """

    name = "pytorch-oss"
    draws = False
    kind = "export"

    def write(self, inputs: ReportInputs, directory: Path) -> tuple[Path, ...]:
        """Write the list of records, in a folder that holds nothing else, as the upload action reads a folder."""
        run = inputs.measured(self.name)
        found = [_record(run, case, value) for case in run.cases for value in case.values if value.estimate is not None]
        return (save(directory / "pytorch-oss" / "benchmarks.json", json_text(found)),)


def _record(run: Records, case: CaseRecord, value: Value) -> dict[str, Any]:
    return {
        "benchmark": {
            "name": f"steelyard {case.suite}",
            "mode": "inference",
            "dtype": case.dtype,
            "extra_info": {
                "case": case.name,
                "case_id": case.id,
                "run": run.run_id,
                "tool_version": run.tool_version,
                "suite_version": str(run.suite_version),
                "device": run.device.kind,
                "arch": run.device.name,
                "threads": str(run.budget.threads),
                "tuning": run.budget.tuning,
                "precision": run.budget.precision,
                "scenario": case.scenario,
                "noise_grade": " ".join(run.grades),
            },
        },
        "model": {
            "name": str(case.axes.get("model", case.workload)),
            "type": case.workload,
            "backend": case.arm,
            "origins": [case.weights],
            "extra_info": {str(name): str(setting) for name, setting in case.axes.items()},
        },
        "dependencies": {name: {"version": version} for name, version in sorted(case.versions.items())},
        "metric": {"name": value.metric, "benchmark_values": _values(value), "extra_info": _about(case, value)},
    }


def _values(value: Value) -> list[float]:
    assert value.estimate is not None
    return list(value.launches) or [value.estimate.value]


def _about(case: CaseRecord, value: Value) -> dict[str, str]:
    estimate = value.estimate
    assert estimate is not None
    about = {
        "unit": value.unit,
        "direction": f"{value.direction} is better",
        "estimate": repr(estimate.value),
        "statistic": STATISTIC if value.launches else "Hodges-Lehmann estimate over the launches",
        "launches": str(estimate.n),
    }
    if estimate.interval is not None:
        interval = estimate.interval
        about |= {"low": repr(interval.low), "high": repr(interval.high), "confidence": repr(interval.confidence)}
    if case.comparison is not None and value.metric == "latency_s":
        about |= {"verdict": case.comparison.verdict, "baseline": case.comparison.baseline}
    if case.approximate:
        about["approximate"] = case.approximate
    return about


REPORT = PytorchOss()
