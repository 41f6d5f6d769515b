"""CSV and configuration of Apache Otava, which finds change points in the history of a metric.

Its unit is a series with a value in every row, so that each case has a file of its own: a row a run, a column a timed
metric. A case that gave no number in a run has no row for it.
"""

from collections.abc import Sequence
from pathlib import Path

from steelyard.render.drawing import Value as Field
from steelyard.render.drawing import csv_text
from steelyard.render.output import ReportInputs, json_text, save
from steelyard.tables.records import CaseRecord, Records
from steelyard.tables.slug import slug

TIME, ATTRIBUTES = "time", ("run", "versions")
_SMALLER_IS_BETTER = -1


class Otava:
    """`otava/otava.yaml` and `otava/TEST.csv` for each case, times in seconds, runs in the order of time.

    A test is named by suite, workload and backend and the beginning of the case's id; the case's readable name is a
    comment in the configuration. Of one run it is a history of length one: name several runs.
    """

    name = "otava"
    draws = False
    kind = "export"

    def write(self, inputs: ReportInputs, directory: Path) -> tuple[Path, ...]:
        """Write the configuration and a file a case."""
        folder = directory / self.name
        files, tests, names = [], {}, []
        rows = 0
        for history in _histories(inputs.records):
            case = history[-1][1]
            metrics = [value.metric for value in case.timed]
            lines = [_row(run, entry, metrics) for run, entry in history if _complete(entry, metrics)]
            rows += len(lines)
            if not lines:
                continue
            test = f"{slug(case.suite)}-{slug(case.workload)}-{slug(case.arm)}-{case.id[:8]}"
            files.append(save(folder / f"{test}.csv", csv_text((TIME, *ATTRIBUTES, *metrics), lines)))
            names.append(f"# {test}: {' '.join(case.name.split())}\n")
            tests[test] = {
                "type": "csv",
                "file": f"{test}.csv",
                "time_column": TIME,
                "attributes": list(ATTRIBUTES),
                "metrics": {
                    metric: {"direction": _SMALLER_IS_BETTER, "scale": 1, "column": metric} for metric in metrics
                },
            }
        possible = sum(len(run.cases) for run in inputs.records)
        if rows < possible:
            inputs.remark(f"{self.name}: left out, without a number: {possible - rows} of {possible} rows")
        head = "# Run otava in this folder: OTAVA_CONFIG=otava.yaml otava analyze TEST\n"
        # JSON is YAML, and quotes what needs quoting.
        return (save(folder / "otava.yaml", head + "".join(names) + json_text({"tests": tests})), *files)


def _histories(runs: Sequence[Records]) -> list[list[tuple[Records, CaseRecord]]]:
    """Each case with the runs that have it, in the order of time."""
    found: dict[str, list[tuple[Records, CaseRecord]]] = {}
    for run in sorted(runs, key=lambda run: (run.created_utc, run.run_id)):
        for case in run.cases:
            found.setdefault(case.name, []).append((run, case))
    return list(found.values())


def _complete(case: CaseRecord, metrics: Sequence[str]) -> bool:
    return all((value := case.value(metric)) is not None and value.estimate is not None for metric in metrics)


def _row(run: Records, case: CaseRecord, metrics: Sequence[str]) -> list[Field]:
    versions = " ".join(f"{name}={version}" for name, version in sorted(case.versions.items()))
    values = [case.value(metric) for metric in metrics]
    return [
        run.created_utc,
        run.run_id,
        versions,
        *(value.estimate.value for value in values if value is not None and value.estimate is not None),
    ]


REPORT = Otava()
