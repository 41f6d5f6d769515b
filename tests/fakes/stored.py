"""Synthetic runs on disk, and what a forger does to them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from steelyard.core.hashing import file_sha256
from steelyard.core.metrics import Reading
from steelyard.core.result import Measurement
from steelyard.core.run import Run
from steelyard.measure.digest import sealed
from steelyard.measure.steady import judge
from steelyard.store import create_run

QUIET = Reading(value=0.001, unit="1", method="made up")


def honest(run: Run, *, seal: bool = True) -> Run:
    """The run as workers would have measured it: cuts judged from the samples; with their digests unless it is old."""

    def measured(entry: Measurement) -> Measurement:
        found = judge(entry.samples)
        entry = replace(entry, cut=found.cut, steady=found.steady)
        return sealed(entry) if seal else entry

    results = tuple(replace(result, measurements=tuple(map(measured, result.measurements))) for result in run.results)
    return replace(run, results=results)


def store(run: Run, root: Path, *, seal: bool = True) -> Path:
    """Store a run as `bench run` does, in one segment."""
    run = honest(run, seal=seal)
    (segment,) = run.segments
    with create_run(root, run.manifest) as writer:
        writer.begin_segment(started_utc=segment.started_utc, noise=segment.noise)
        for record in run.launches:
            writer.launch(record)
        for result in run.results:
            writer.result(result)
        writer.finish(ended=segment.ended, rounds=segment.rounds, supervisor=segment.supervisor)
    return root / run.manifest.run_id


def change_sample(run: Path, change: Callable[[float], float], metric: str = "latency_s", row: int = 5) -> None:
    """Change the `row`-th sample of a metric in the Parquet file; its hash no longer fits."""
    path = run / "segment-000" / "samples.parquet"
    table = pq.read_table(path)
    index = [i for i, name in enumerate(table["metric"].to_pylist()) if name == metric][row]
    values = table["value"].to_pylist()
    values[index] = change(values[index])
    place = table.schema.get_field_index("value")
    pq.write_table(table.set_column(place, table.schema.field(place), pa.array(values)), path, compression="zstd")


def change_result(run: Path, change: Callable[[dict[str, Any]], None], line: int = 0) -> None:
    """Change a line of results.jsonl."""
    path = run / "segment-000" / "results.jsonl"
    lines = path.read_text().splitlines()
    value = json.loads(lines[line])
    change(value)
    lines[line] = json.dumps(value)
    path.write_text("\n".join(lines) + "\n")


def mend_hashes(run: Path) -> None:
    """Write the hashes that the files have now into segment.json."""
    path = run / "segment-000" / "segment.json"
    document = json.loads(path.read_text())
    document["files"] = {name: file_sha256(path.parent / name) for name in document["files"]}
    document["manifest_sha256"] = file_sha256(run / "manifest.json")
    path.write_text(json.dumps(document))


def more_rounds(run: Run, rounds: int, effect: Mapping[str, float]) -> Run:
    """A quiet run of the same plan made from round 1 of a measured one: each arm takes its effect times as long as the
    baseline took in that round, whatever it took itself."""
    rng = np.random.default_rng(0)
    base = {
        (run.case(result.case_id).point.key, entry.metric): float(np.median(np.asarray(entry.samples)))
        for result in run.results
        if result.round == 1 and result.arm == run.manifest.baseline
        for entry in result.measurements
    }
    numbers = range(1, rounds + 1)
    launches = [
        replace(record, launch=f"{record.launch}/{number}", round=number, noise={})
        for number in numbers
        for record in run.launches
        if record.round == 1
    ]
    results = []
    for number in numbers:
        for result in (result for result in run.results if result.round == 1):
            scale = effect.get(result.arm, 1.0) * float(np.exp(rng.normal(0, 0.002)))
            point = run.case(result.case_id).point.key
            entries = tuple(_lasting(entry, base[point, entry.metric] * scale) for entry in result.measurements)
            launch = f"{result.launch}/{number}"
            results.append(replace(result, launch=launch, round=number, measurements=entries))
    (segment,) = run.segments
    noise = replace(segment.noise, grade="A", evidence=(), readings={"hiccup_share": QUIET})
    segment = replace(segment, rounds=tuple(numbers), noise=noise, ended="rounds", disturbed={})
    manifest = replace(run.manifest, run_id=f"{run.manifest.run_id}-{'-'.join(map(str, effect.values()))}")
    return replace(run, manifest=manifest, segments=(segment,), launches=tuple(launches), results=tuple(results))


def _lasting(entry: Measurement, value: float) -> Measurement:
    samples = np.full(40, value)
    return replace(entry, samples=tuple(samples.tolist()), starts_s=tuple((np.cumsum(samples) - samples).tolist()))
