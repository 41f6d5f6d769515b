"""`bench replay`: run the plan of a bundle again on this machine, and say which claims held."""

import dataclasses
import sys
import time as clock
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from steelyard.cli.output import print_json, print_table, printable
from steelyard.core.folders import RUNS

if TYPE_CHECKING:
    from steelyard.artifact.claims import Claim
    from steelyard.artifact.replay import Replay
    from steelyard.core.run import Manifest, Run


def replay(
    bundle: Annotated[Path, typer.Argument(help="A bundle, packed or unpacked, or the folder of a run.")],
    device: Annotated[
        str | None, typer.Option(help="The device, e.g. cpu or cuda:0. Default: one of the same kind, or the best.")
    ] = None,
    workload: Annotated[list[str] | None, typer.Option(help="Only these workloads (comma lists allowed).")] = None,
    weights: Annotated[Path | None, typer.Option(help="The checkpoint directory, where the run used one.")] = None,
    cpus: Annotated[
        str | None, typer.Option(help="CPUs to measure on. Default: as many threads as there were, if they are here.")
    ] = None,
    time: Annotated[str | None, typer.Option(help="As of bench run, e.g. 20m.")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="At most so many rounds. Default: as there.")] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Use suites and backends that are code of their own, if installed here.")
    ] = False,
    output: Annotated[Path, typer.Option(help="Where runs are stored.")] = RUNS,
    dry_run: Annotated[bool, typer.Option(help="Print the plan, its minutes and what differs, and stop.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print data instead of tables.")] = False,
) -> None:
    """Run a bundle's plan again and hold its claims against what is measured here.

    Exit code 0 if no claim was contradicted, 1 otherwise.
    """
    from steelyard.artifact.bundle import RUN, is_bundle
    from steelyard.artifact.claims import held_claims
    from steelyard.artifact.verify import opened
    from steelyard.core.errors import UsageError
    from steelyard.engine.plan import make_plan
    from steelyard.service import running
    from steelyard.service.screen import Screen
    from steelyard.store import open_run

    started = clock.monotonic()
    with opened(bundle) as root:
        original = _trustworthy(root / RUN if is_bundle(root) else root, bundle)
    if original.traced:
        raise UsageError(f"{original.manifest.run_id} is a traced run and claims nothing: bench profile traces again")
    again = _again(original.manifest, device, workload or [], weights, cpus, time, rounds, trust=trust)
    plan = make_plan(again.request, again.points)
    plan = dataclasses.replace(plan, left_out=(*again.left_out, *plan.left_out))
    for line in (*running.announce(plan, output), *_said(original.manifest, again)):
        typer.echo(printable(line), err=not dry_run)
    if dry_run:
        return
    with Screen() as screen:
        path = running.run_plan(
            plan,
            output,
            screen,
            weights=weights,
            started_s=started,
            allow=lambda here: _allow(original.manifest, here),
        ).path
    typer.echo(f"run: {path}", err=True)
    replayed = open_run(path)
    claims = held_claims(original, replayed)
    if json:
        print_json(
            "replay",
            {
                "original": original.manifest.run_id,
                "run_id": replayed.manifest.run_id,
                "differences": _unlike(original.manifest, replayed.manifest),
                "left_out": replayed.manifest.left_out,
                "claims": claims,
            },
        )
    else:
        _print(claims)
    sys.exit(1 if any(claim.outcome == "not held" for claim in claims) else 0)


def _trustworthy(path: Path, bundle: Path) -> "Run":
    """The run of the bundle, if it holds."""
    from steelyard.artifact.finding import FAILING
    from steelyard.artifact.stored import check_stored
    from steelyard.core.errors import StoreError

    run, found = check_stored(path)
    failing = [finding for finding in found if finding.kind in FAILING]
    if run is None or failing:
        first = f"{failing[0].where}: {failing[0].text}" if failing else "it cannot be read"
        raise StoreError(f"{bundle}: does not hold: {first}; bench verify names everything")
    return run


def _again(
    stored: "Manifest",
    device: str | None,
    workload: list[str],
    weights: Path | None,
    cpus: str | None,
    time: str | None,
    rounds: int | None,
    *,
    trust: bool,
) -> "Replay":
    import os

    from steelyard.artifact.replay import replay_of
    from steelyard.core.quantity import seconds_of
    from steelyard.hardware.choice import choose_cpus, pick_device
    from steelyard.hardware.devices import devices

    kinds = {found.kind for found in devices()}
    wanted = device or (stored.device.kind if stored.device.kind in kinds else None)
    threads = min(stored.budget.threads, len(os.sched_getaffinity(0)))
    return replay_of(
        stored,
        device=pick_device(wanted),
        cpus=choose_cpus(None, cpus) if cpus is not None else choose_cpus(threads, None),
        rounds=rounds,
        time_s=None if time is None else seconds_of(time),
        workloads=[name.strip() for entry in workload for name in entry.split(",") if name.strip()],
        weights=weights,
        trust=trust,
    )


def _said(stored: "Manifest", again: "Replay") -> tuple[str, ...]:
    """What of the original is not the same here."""
    from steelyard.artifact.replay import unlike_here
    from steelyard.hardware.fingerprint import fingerprint

    differing = unlike_here(stored, again.request.device, again.request.budget, fingerprint())
    lines = [f"not as in {stored.run_id}: {text}" for text in differing]
    lines += [f"not replayed: {entry.point or entry.backend}: {entry.reason}" for entry in again.left_out]
    return tuple(lines)


def _unlike(stored: "Manifest", here: "Manifest") -> tuple[str, ...]:
    from steelyard.artifact.replay import unlike_here

    return unlike_here(stored, here.device, here.budget, here.environment)


def _allow(stored: "Manifest", here: "Manifest") -> None:
    from steelyard.artifact.replay import refuse_unlike

    refuse_unlike(stored, here)


def _print(claims: "tuple[Claim, ...]") -> None:
    from steelyard.cli.shown import with_interval
    from steelyard.tables.format import counted

    if not claims:
        typer.echo("the original claims nothing: none of its comparisons came to a verdict")
        return
    columns = ("candidate", "baseline", "said", "speed-up there", "speed-up here", "claim")
    groups: dict[str, list[Claim]] = {}
    for claim in claims:
        groups.setdefault(f"{claim.title}, {claim.metric.removesuffix('_s')}", []).append(claim)
    for title, entries in groups.items():
        rows = [
            (
                claim.candidate,
                claim.baseline,
                claim.said,
                with_interval(claim.speedup),
                with_interval(claim.found_speedup),
                claim.outcome + (f": {claim.found}" if claim.outcome == "not held" else ""),
            )
            for claim in entries
        ]
        print_table(title, columns, rows, right=columns[3:5])
        for claim in entries:
            if claim.reason:
                typer.echo(printable(f"  {claim.candidate}: {claim.outcome}: {claim.reason}"))
        typer.echo("")
    counts = [(sum(claim.outcome == name for claim in claims), name) for name in ("held", "not held", "undecided")]
    typer.echo(f"of {counted(len(claims), 'claim')}: " + ", ".join(f"{count} {name}" for count, name in counts))
