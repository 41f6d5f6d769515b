"""What `bench run` prints around a run, and its exit code."""

import time
from collections.abc import Mapping
from pathlib import Path

import typer

from steelyard.cli.exit_codes import FAILED, INTERRUPTED
from steelyard.engine.plan import Plan, Request, make_plan
from steelyard.service import running
from steelyard.service.reporting import found, reported
from steelyard.service.running import Outcome, StoredOutcome
from steelyard.service.screen import Screen
from steelyard.service.sharding import run_shard

CODES: Mapping[Outcome, int] = {"sound": 0, "failed": FAILED, "interrupted": INTERRUPTED}


def new_run(
    request: Request, output: Path, *, weights: Path | None, dry_run: bool, report: bool, json: bool, venue: str = ""
) -> int:
    """Plan, and unless that is all, measure, store and report. Returns the exit code."""
    started = time.monotonic()
    plan = make_plan(request)
    if dry_run:
        for line in running.announce(plan, output):
            typer.echo(line)
        return 0
    return finish(measured(plan, output, weights=weights, started_s=started, json=json), report=report, venue=venue)


def measured(
    plan: Plan, output: Path, *, weights: Path | None, started_s: float | None = None, json: bool = False
) -> StoredOutcome:
    """Announce a plan, measure and store it."""
    for line in running.announce(plan, output):
        typer.echo(line, err=True)
    begun = time.monotonic() if started_s is None else started_s
    with Screen(as_json=json) as screen:
        return running.run_plan(plan, output, screen, weights=weights, started_s=begun)


def shard_run(file: Path, output: Path, *, wait: bool, report: bool, json: bool) -> int:
    """Measure a shard of a plan, or go on with it. Returns the exit code."""
    started = time.monotonic()
    with Screen(as_json=json) as screen:
        ended = run_shard(file, output, screen, started_s=started, wait=wait)
    return finish(ended, report=report)


def finish(ended: StoredOutcome, *, report: bool, venue: str = "") -> int:
    """Tell where the run is and what it found, and write its report. Returns the exit code."""
    typer.echo(f"run: {ended.path}", err=True)
    for line in (*found(ended.path), *(reported(ended.path, venue) if report else ())):
        typer.echo(line, err=True)
    return CODES[ended.outcome]
