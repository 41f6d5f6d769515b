"""`bench show`: a stored run in the terminal, or the same as data."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from steelyard.cli.output import print_json, printable
from steelyard.cli.shown import lines_of
from steelyard.cli.terminal import send, this_terminal
from steelyard.core.folders import RUNS

if TYPE_CHECKING:
    from steelyard.core.case import Arm
    from steelyard.core.workload import Point
    from steelyard.store import StoredRun
    from steelyard.tables.facts import Facts


def show(
    run: Annotated[str, typer.Argument(help="A run: its path, id, the beginning or end of its id, or 'latest'.")],
    runs: Annotated[Path, typer.Option(help="Where runs are stored.")] = RUNS,
    pager: Annotated[
        bool, typer.Option("--pager/--no-pager", help="Show what is longer than the terminal through a pager.")
    ] = True,
    json: Annotated[bool, typer.Option("--json", help="Print data instead of tables.")] = False,
) -> None:
    """Show a stored run: medians with intervals, speed-ups, verdicts, statuses."""
    from steelyard.store import find_run, read_run, uncollected
    from steelyard.tables.facts import gather

    path = find_run(runs, run)
    stored = read_run(path, brief=True)
    if stored.run.traced:
        _show_traced(path, json=json)
        return
    facts = gather(stored.run)
    if json:
        print_json("run", document(stored, facts))
    elif stored.run.untimed:
        _show_statuses(facts)
    else:
        terminal = this_terminal()
        with uncollected():
            page = "".join(f"{line}\n" for line in lines_of(stored, facts, terminal))
        send(page, terminal, pager=pager)


def _show_statuses(facts: "Facts") -> None:
    """Who was right how often, and what the others failed by."""
    from steelyard.cli.tables import print_report_table
    from steelyard.tables.build import lay_out

    data = lay_out(facts)
    for sentence in data.headline:
        typer.echo(printable(f"{sentence}\n"))
    for table in data.tables:
        if table.name in ("passes", "causes"):
            print_report_table(table)
            typer.echo("")


def _show_traced(path: Path, *, json: bool) -> None:
    """Where the time of a call goes, in sentences and in the tables of operators."""
    from steelyard.cli.tables import print_report_table
    from steelyard.store import open_run
    from steelyard.tracing.compilations import compilations
    from steelyard.tracing.memory import needed
    from steelyard.tracing.report import build_traced
    from steelyard.tracing.traced import traced_cases

    run = open_run(path)
    if json:
        needs = {(found.arm, found.case.id): found.facts for found in needed(run)}
        rows = [
            {
                "backend": each.arm,
                "point": each.case.point.title,
                "status": each.status,
                "reason": each.reason,
                "seconds_by_class": each.by_class if each.in_seconds else None,
                "share_by_class": {name: s / each.call_s for name, s in each.by_class.items()} if each.facts else None,
                "traces": each.facts,
                "compilations": [
                    {"occasion": found.occasion, "launches": found.launches, "told": found.told, "reason": found.reason}
                    for found in compilations(run)
                    if (found.arm, found.case.id) == (each.arm, each.case.id)
                ],
                "memory": needs.get((each.arm, each.case.id)),
            }
            for each in traced_cases(run)
        ]
        print_json("traced-run", {"run_id": run.manifest.run_id, "rows": rows})
        return
    data = build_traced(run)
    for sentence in data.headline:
        typer.echo(printable(f"{sentence}\n"))
    for table in data.tables:
        if table.place == "main" or table.name == "tracing":
            print_report_table(table)
            typer.echo("")


def document(stored: "StoredRun", facts: "Facts") -> dict[str, Any]:
    """The fields of `bench show --json`, as docs/json.md lists them."""
    manifest = stored.run.manifest
    return {
        "run_id": manifest.run_id,
        "created_utc": manifest.created_utc,
        "suite": {"name": manifest.suite, "version": manifest.suite_version, "headline": manifest.headline},
        "device": manifest.device,
        "budget": manifest.budget,
        "baseline": manifest.baseline,
        "rows": [_row(facts, arm, point) for point in facts.points for arm in _arms(facts)],
        "overall": facts.overall,
        "left_out": manifest.left_out,
        "segments": stored.run.segments,
        "calibration": manifest.calibration,
        "notes": list(stored.notes),
    }


def _arms(facts: "Facts") -> tuple["Arm", ...]:
    return (*facts.arms, *([facts.control] if facts.control else []))


def _row(facts: "Facts", arm: "Arm", point: "Point") -> dict[str, Any]:
    from steelyard.measure.driver import metrics_of

    outcome = facts.outcome(arm, point)
    metrics = {}
    for metric in metrics_of(point):
        estimate = facts.median(arm, point, metric) if outcome.speed else None
        comparison = facts.comparison(arm, point, metric)
        if estimate is not None or comparison is not None:
            metrics[metric] = {"estimate": estimate, "comparison": comparison}
    return {
        "workload": point.workload,
        "point": point.key,
        "axes": dict(point.axes),
        "arm": arm.label,
        "control": arm.control,
        "status": outcome.status,
        "stage": outcome.stage,
        "reason": outcome.reason,
        "approximate": outcome.approximate or None,
        "launches": outcome.launches,
        "launches_ok": outcome.ok,
        "suspicious": (facts.efficiency(arm, point).suspicious or None) if outcome.speed else None,
        "metrics": metrics,
    }
