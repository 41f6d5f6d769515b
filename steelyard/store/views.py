"""Every stored run as four tables in long format, for SQL: samples, results, launches, runs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steelyard.core.case import Case
from steelyard.core.errors import StoreError
from steelyard.core.metrics import Reading
from steelyard.core.result import LaunchRecord, Result
from steelyard.core.run import Manifest
from steelyard.store import samples, segments
from steelyard.store.catalog import copies, runs_once
from steelyard.store.reader import read_manifest

_PHASES = ("import_s", "load_s", "compile_s", "first_run_s", "second_run_s")
_TEXTS, _NUMBERS = "map of text", "map of double"

COLUMNS: Mapping[str, Mapping[str, str]] = {
    "samples": {
        **dict.fromkeys(("run_id", "segment", *samples.KEYS), "text"),
        **dict.fromkeys(("segment", "round", "index"), "integer"),
        **dict.fromkeys(("start_s", "value"), "double"),
    },
    "results": {
        **dict.fromkeys(("run_id", "segment", "launch", "case_id", "arm", "round", "group_index", "position"), "text"),
        **dict.fromkeys(("segment", "round", "group_index", "position"), "integer"),
        **dict.fromkeys(("backend", "workload", "point"), "text"),
        "axes": _TEXTS,
        **dict.fromkeys(("status", "stage", "reason", "approximate"), "text"),
        "first_in_launch": "boolean",
        **dict.fromkeys(_PHASES, "double"),
        "memory": _NUMBERS,
        "energy_j": "double",
    },
    "launches": {
        **dict.fromkeys(("run_id", "segment", "launch", "arm", "round", "group_index", "position"), "text"),
        **dict.fromkeys(("segment", "round", "group_index", "position"), "integer"),
        **dict.fromkeys(("started_s", "ended_s"), "double"),
        "exit_code": "integer",
        **dict.fromkeys(("supervisor_cpu_s", "ran_s", "stopped_s", "handover_s"), "double"),
        "noise": _NUMBERS,
    },
    "runs": {
        **dict.fromkeys(("run_id", "created_utc", "tool_version", "suite", "headline", "device", "baseline"), "text"),
        "threads": "integer",
        **dict.fromkeys(("tuning", "precision"), "text"),
        "segments": "integer",
    },
}
"""Each view's columns with their types. What is not known is NULL; maps hold what is known only."""


@dataclass(frozen=True, slots=True)
class Views:
    """Arrow tables by name (`samples` a dataset that is read when it is scanned), and what had to be left out."""

    tables: dict[str, Any]
    left_out: list[str] = field(default_factory=list)


def views(root: Path, wanted: Collection[str]) -> Views:
    """The views named by `wanted` over all published segments under `root`.

    Every file that is used is held against its hash. A run or segment that cannot be read is left out, and why.
    """
    left_out = list(copies(root).values())
    files: list[tuple[Path, str, int]] = []
    rows: dict[str, list[Sequence[Any]]] = {name: [] for name in COLUMNS}
    needs_documents = bool({"results", "launches"} & set(wanted))
    for path in runs_once(root):
        try:
            manifest = read_manifest(path)
            published = [index for index, whole in segments.found(path).items() if whole]
        except (StoreError, OSError) as error:
            left_out.append(str(error))
            continue
        rows["runs"].append(_run(manifest, len(published)))
        if set(wanted) <= {"runs"}:
            continue
        cases = {case.id: case for case in manifest.cases}
        for index in published:
            try:
                if needs_documents:
                    data = segments.read_published(path, index)
                else:
                    segments.check_files(path, index)
            except StoreError as error:
                left_out.append(str(error))
                continue
            place = (manifest.run_id, index)
            if "samples" in wanted and _is_text(path):
                files.append((segments.directory(path, index) / samples.NAME, *place))
            elif "samples" in wanted:
                left_out.append(f"{path}: the path is no text, so that DuckDB cannot be told where the samples lie")
            if "results" in wanted:
                rows["results"] += [(*place, *_result(result, cases.get(result.case_id))) for result in data.results]
            if "launches" in wanted:
                rows["launches"] += [(*place, *_launch(record)) for record in data.launches]
    tables = {name: _dataset(files) if name == "samples" else table_of(name, rows[name]) for name in COLUMNS}
    return Views(tables=tables, left_out=left_out)


def _is_text(path: Path) -> bool:
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        return False
    return True


def _result(result: Result, case: Case | None) -> tuple[Any, ...]:
    """A result's columns after the run's; a result of no planned case has no workload."""
    return (
        result.launch,
        result.case_id,
        result.arm,
        result.round,
        result.group,
        result.position,
        *((None,) * 4 if case is None else _described(case)),
        result.status,
        result.stage,
        result.reason,
        result.approximate or None,
        result.first_in_launch,
        *(result.phases.get(phase) for phase in _PHASES),
        _known(result.memory),
        None if result.energy is None else result.energy.value,
    )


def _described(case: Case) -> tuple[Any, ...]:
    axes = [(name, str(value)) for name, value in case.point.axes.items()]
    return case.backend.text, case.point.workload, case.point.title, axes


def _launch(record: LaunchRecord) -> tuple[Any, ...]:
    return (
        record.launch,
        record.arm,
        record.round,
        record.group,
        record.position,
        record.started_s,
        record.ended_s,
        record.exit_code,
        record.supervisor_cpu_s,
        record.ran_s,
        record.stopped_s,
        record.handover_s,
        _known(record.noise),
    )


def _run(manifest: Manifest, published: int) -> tuple[Any, ...]:
    return (
        manifest.run_id,
        manifest.created_utc,
        manifest.tool_version,
        manifest.suite,
        manifest.headline,
        manifest.device.name,
        manifest.baseline,
        manifest.budget.threads,
        manifest.budget.tuning,
        manifest.budget.precision,
        published,
    )


def _known(readings: Mapping[str, Reading]) -> list[tuple[str, float]]:
    return [(name, float(reading.value)) for name, reading in readings.items() if reading.value is not None]


def table_of(name: str, rows: Sequence[Sequence[Any]]) -> Any:
    """The Arrow table of a view from its rows."""
    import pyarrow as pa

    kinds = COLUMNS[name]
    columns = zip(*rows, strict=True) if rows else [()] * len(kinds)
    arrays = [pa.array(list(column), _type(kind)) for column, kind in zip(columns, kinds.values(), strict=True)]
    return pa.table(arrays, names=list(kinds))


def _dataset(files: Sequence[tuple[Path, str, int]]) -> Any:
    """The Parquet files as one table; the run and segment of each file are columns that cost nothing."""
    import pyarrow as pa
    import pyarrow.dataset as ds
    from pyarrow.fs import LocalFileSystem

    schema = pa.schema([(name, _type(kind)) for name, kind in COLUMNS["samples"].items()])
    if not files:
        return table_of("samples", ())
    return ds.FileSystemDataset.from_paths(
        [str(path.absolute()) for path, _, _ in files],
        schema=schema,
        format=ds.ParquetFileFormat(),
        filesystem=LocalFileSystem(),
        partitions=[(ds.field("run_id") == run) & (ds.field("segment") == index) for _, run, index in files],
    )


def _type(kind: str) -> Any:
    import pyarrow as pa

    types = {"text": pa.string(), "integer": pa.int32(), "double": pa.float64(), "boolean": pa.bool_()}
    types |= {_TEXTS: pa.map_(pa.string(), pa.string()), _NUMBERS: pa.map_(pa.string(), pa.float64())}
    return types[kind]
