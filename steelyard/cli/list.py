"""`bench list`: what there is to run, to run on, and what has been run."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from steelyard.cli.output import print_json, print_table
from steelyard.core.folders import RUNS

if TYPE_CHECKING:
    from steelyard.plugins import Kind

Rows = Sequence[dict[str, Any]]

# In the data only: too wide for a table.
_DATA_ONLY = {
    "suites": (),
    "backends": ("formats", "options"),
    "devices": (),
    "workloads": (),
    "reports": (),
    "runs": ("created_utc", "device"),
}


_MANY = 100
"""So many workloads of a suite are listed one by one."""


def list_(
    what: Annotated[
        str | None,
        typer.Argument(metavar="[suites|backends|devices|workloads|reports|runs]", help="One kind; default: all."),
    ] = None,
    runs: Annotated[Path, typer.Option(help="Where runs are stored.")] = RUNS,
    json: Annotated[bool, typer.Option("--json", help="Print data instead of tables.")] = False,
) -> None:
    """List suites, backends, devices, workloads, reports and runs. Nothing is probed: `bench doctor` does that."""
    from steelyard.core.errors import unknown_name
    from steelyard.core.targets import EXPERIMENTAL

    kinds: dict[str, Callable[[], Rows]] = {
        "suites": _suites,
        "backends": _backends,
        "devices": _devices,
        "workloads": _workloads,
        "reports": _reports,
        "runs": lambda: _runs(runs),
    }
    if what is not None and what not in kinds:
        raise unknown_name("kind for bench list", what, kinds)
    found = {kind: rows() for kind, rows in kinds.items() if what in (None, kind)}
    if json:
        print_json("list", found)
        return
    for kind, rows in found.items():
        if not rows:
            typer.echo(f"{kind}: none" + (f" under {runs}" if kind == "runs" else ""))
            continue
        if kind == "workloads":
            rows = _shortened(rows)
        filled = [name for name in rows[0] if any(row[name] not in (None, "", []) for row in rows)]
        columns = [name for name in filled if name not in _DATA_ONLY[kind]]
        print_table(kind, columns, [[_cell(row[name]) for name in columns] for row in rows])
        if any(row.get("experimental") for row in rows):
            typer.echo(f"{EXPERIMENTAL}; docs/targets.md tells what is tried")
        typer.echo("")


def _suites() -> Rows:
    from steelyard import plugins

    rows: list[dict[str, Any]] = [
        {"suite": suite.name, "version": suite.version, "headline": suite.headline, "question": suite.question}
        for suite in plugins.suites().values()
    ]
    return _and_unusable("suite", rows)


def _backends() -> Rows:
    import inspect

    from steelyard import plugins
    from steelyard.core.backend import parse_backend
    from steelyard.core.targets import is_seen

    rows: list[dict[str, Any]] = [
        {
            "backend": name,
            "what": (inspect.getdoc(runner) or "").partition("\n")[0],
            "formats": list(runner.formats),
            "options": list(runner.accepts),
            "devices": [kind for kind in runner.kinds if is_seen(parse_backend(name), kind)],
            "experimental": [kind for kind in runner.kinds if not is_seen(parse_backend(name), kind)],
            "idle": runner.idle,
        }
        for name, runner in sorted(plugins.runners().items())
    ]
    return _and_unusable("backend", rows)


def _devices() -> Rows:
    from steelyard.hardware.devices import devices

    return [{"device": device.id, "name": device.name, "memory_bytes": device.memory_bytes} for device in devices()]


def _workloads() -> Rows:
    from steelyard import plugins

    return [
        {
            "suite": suite.name,
            "workload": name,
            "meaning": meaning,
            "axes": [axis.name for axis in suite.axes if not axis.workloads or name in axis.workloads],
        }
        for suite in plugins.suites().values()
        for name, meaning in suite.workloads.items()
    ]


def _shortened(rows: Rows) -> Rows:
    """Of a suite with very many workloads one row, for people."""
    counts = Counter(row["suite"] for row in rows)
    told: dict[str, dict[str, Any]] = {}
    for row in rows:
        count = counts[row["suite"]]
        many = {"workload": f"{count} of them", "meaning": "--json lists each"} if count > _MANY else {}
        told.setdefault(row["suite"] if many else f"{row['suite']} {row['workload']}", {**row, **many})
    return list(told.values())


def _reports() -> Rows:
    from steelyard import plugins
    from steelyard.render.output import kind

    rows: list[dict[str, Any]] = [
        {"report": name, "kind": kind(entry)} for name, entry in sorted(plugins.reports().items())
    ]
    return _and_unusable("report", rows)


def _and_unusable(kind: "Kind", rows: list[dict[str, Any]]) -> Rows:
    """The rows with their `problem`, and behind them a row for each name of other packages that cannot be used."""
    from steelyard import plugins

    nothing: dict[str, Any] = {name: [] if isinstance(value, list) else None for name, value in rows[0].items()}
    broken = [{**nothing, kind: offer.name, "problem": offer.problem} for offer in plugins.unusable(kind)]
    return [{**row, "problem": ""} for row in rows] + broken


def _runs(root: Path) -> Rows:
    from steelyard.store import list_runs

    return [
        {
            "run": entry.run_id,
            "folder": "" if entry.path.name == entry.run_id else entry.path.name,
            "created_utc": entry.created_utc,
            "suite": entry.suite,
            "device": entry.device,
            "backends": list(entry.arms),
            "segments": entry.segments,
            "unfinished": entry.unfinished,
            "problem": entry.problem,
        }
        for entry in list_runs(root)
    ]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return str(value)
