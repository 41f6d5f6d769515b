"""`bench show`: a stored run in the terminal, or the same as data."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from steelyard.cli.output import RUNS, print_json, print_table, printable

if TYPE_CHECKING:
    from steelyard.core.case import Arm
    from steelyard.core.comparison import Comparison, Estimate
    from steelyard.core.workload import Point
    from steelyard.store import StoredRun
    from steelyard.tables.facts import Facts

_METRICS = ("latency_s", "ttft_s", "tpot_s")


def show(
    run: Annotated[str, typer.Argument(help="A run: its path, id, the beginning or end of its id, or 'latest'.")],
    runs: Annotated[Path, typer.Option(help="Where runs are stored.")] = RUNS,
    json: Annotated[bool, typer.Option("--json", help="Print data instead of tables.")] = False,
) -> None:
    """Show a stored run: medians with intervals, ratios, verdicts, statuses."""
    from steelyard.store import find_run, read_run
    from steelyard.tables.facts import gather

    stored = read_run(find_run(runs, run))
    facts = gather(stored.run)
    if json:
        print_json("run", document(stored, facts))
    else:
        _print(stored, facts)


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
    outcome = facts.outcome(arm, point)
    metrics = {}
    for metric in _METRICS:
        estimate = facts.estimate(arm, point, metric) if outcome.speed else None
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
        "launches": outcome.launches,
        "launches_ok": outcome.ok,
        "metrics": metrics,
    }


def _print(stored: "StoredRun", facts: "Facts") -> None:
    from steelyard.tables.shams import sentences

    manifest = stored.run.manifest
    typer.echo(f"{printable(manifest.run_id)}  suite {printable(manifest.suite)}, {printable(manifest.device.name)}")
    typer.echo(f"{manifest.budget.threads} threads, tuning {manifest.budget.tuning}, {manifest.created_utc}")
    for note in stored.notes:
        typer.echo(f"note: {printable(note)}")
    for segment in stored.run.segments:
        typer.echo(f"segment {segment.index}: ended by {segment.ended}; machine noise: grade {segment.noise.grade}")
        for sentence in segment.noise.evidence:
            typer.echo(f"  {printable(sentence)}")
        for number, told in segment.disturbed.items():
            typer.echo(f"  round {number} was disturbed: {printable(told)}")
    for sentence in sentences(facts):
        typer.echo(printable(sentence))
    for point in facts.points:
        shown = [metric for metric in _METRICS if any(facts.estimate(arm, point, metric) for arm in facts.arms)]
        for metric in shown or ["latency_s"]:
            _print_metric(facts, point, metric)
    _print_overall(facts)
    if manifest.left_out:
        rows = [(entry.backend, entry.point, entry.reason) for entry in manifest.left_out]
        print_table("\nleft out", ("backend", "point", "reason"), rows)


def _print_metric(facts: "Facts", point: "Point", metric: str) -> None:
    estimates = {
        arm.label: facts.estimate(arm, point, metric) if facts.outcome(arm, point).speed else None
        for arm in _arms(facts)
    }
    unit = _unit([estimate.value for estimate in estimates.values() if estimate is not None])
    rows = []
    remarks = []
    for arm in _arms(facts):
        outcome = facts.outcome(arm, point)
        comparison = facts.comparison(arm, point, metric)
        ratio = comparison.ratio if comparison is not None else None
        value = with_interval(estimates[arm.label], unit)
        rows.append((arm.label, value, with_interval(ratio), _verdict(facts, arm, comparison), outcome.status))
        if outcome.status != "ok":
            remarks.append(f"{arm.label}: {outcome.remark}")
        if comparison is not None and comparison.verdict == "withheld":
            remarks.append(f"withheld: {comparison.reason}")  # one reason for all: the machine
        elif comparison is not None and comparison.verdict in ("inconclusive", "incomparable"):
            remarks.append(f"{arm.label}: {comparison.verdict}: {comparison.reason}")
    columns = ("backend", f"median [{unit}]", "/ baseline", "verdict", "status")
    print_table(f"\n{point.title}, {metric.removesuffix('_s')}", columns, rows, right=columns[1:3])
    for remark in dict.fromkeys(remarks):
        typer.echo(f"  {printable(remark)}")


def _print_overall(facts: "Facts") -> None:
    """The geometric mean over the points that all backends completed, where the run has several points."""
    if not facts.overall:
        return
    points = max(len(item.points) for item in facts.overall)
    rows = [(item.arm, with_interval(item.ratio)) for item in facts.overall]
    columns = ("backend", "/ baseline")
    print_table(f"\nall {points} points, geometric mean of the latencies", columns, rows, right=columns[1:])
    left_out = {title: reason for item in facts.overall for title, reason in item.left_out.items()}
    remarks = [item.reason or (item.ratio.reason if item.ratio else "") for item in facts.overall]
    for remark in [*dict.fromkeys(filter(None, remarks)), *(f"without {t}: {r}" for t, r in left_out.items())]:
        typer.echo(f"  {printable(remark)}")


def with_interval(estimate: "Estimate | None", unit: str = "") -> str:
    """`0.419 [0.410, 0.425]`; a time in seconds is scaled to `unit`."""
    from steelyard.tables.format import ABSENT, decimals, factor, fixed

    if estimate is None:
        return ABSENT
    scale = factor("s", unit) if unit else 1.0
    value = estimate.value * scale
    if estimate.interval is None:
        return fixed(value, decimals(value))
    low, high = estimate.interval.low * scale, estimate.interval.high * scale
    places = decimals(value, (low, high))
    return f"{fixed(value, places)} [{fixed(low, places)}, {fixed(high, places)}]"


def _unit(times_s: list[float]) -> str:
    """The unit in which the shortest of these times is at least one."""
    shortest = min(times_s, default=1e-3)
    return "s" if shortest >= 1 else "ms" if shortest >= 1e-3 else "µs"


def _verdict(facts: "Facts", arm: "Arm", comparison: "Comparison | None") -> str:
    if arm.label == facts.run.manifest.baseline:
        return "baseline"
    return comparison.verdict if comparison is not None else ""
