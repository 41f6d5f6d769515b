"""What `bench selftest` without --aa does once its options are read."""

from pathlib import Path

import typer

from steelyard.analysis.withheld import too_noisy
from steelyard.cli.exit_codes import INTERRUPTED
from steelyard.cli.output import print_json, print_table
from steelyard.cli.running import new_run
from steelyard.core.backend import Budget
from steelyard.hardware.choice import choose_cpus, pick_device
from steelyard.selftest.faults import WINDOW_S, chosen, judge, request
from steelyard.store import find_run, open_run, prepare_root


def run_faults(
    names: tuple[str, ...],
    *,
    output: Path,
    cpus: str | None,
    seed: int,
    window_s: float | None,
    dry_run: bool,
    json: bool,
) -> int:
    """Make the faults, judge the stored run, print what was caught. Returns 0 if all were, 1 if not, 130 if stopped."""
    faults = chosen(names)
    folder = output / "selftest" / "faults"
    device = pick_device("cpu")
    budget = Budget(threads=1, cpus=choose_cpus(1, cpus))
    wanted = request(faults, device, budget, window_s=WINDOW_S if window_s is None else window_s, seed=seed)
    if dry_run:
        return new_run(wanted, folder, weights=None, dry_run=True, report=False, json=False)
    prepare_root(folder)
    # Its exit code says that cases failed, as they must.
    new_run(wanted, folder, weights=None, dry_run=False, report=False, json=False)
    path = find_run(folder, "latest")
    run = open_run(path)
    if any(segment.ended == "interrupted" for segment in run.segments):
        typer.echo("interrupted: nothing can be said of what was not run", err=True)
        return INTERRUPTED
    catches = judge(run, faults)
    missed = [catch.fault for catch in catches if not catch.caught]
    if json:
        print_json("selftest", {"run": str(path), "faults": catches, "missed": missed})
    else:
        rows = [(catch.fault, catch.expected, catch.seen, "yes" if catch.caught else "NO") for catch in catches]
        print_table("", ("fault", "expected", "seen", "caught"), rows)
        caught = len(catches) - len(missed)
        typer.echo(f"{caught} of {len(catches)} caught" + (f"; not: {', '.join(missed)}" if missed else ""))
    if missed and (why := too_noisy(run)):
        typer.echo(f"a miss says little here, try again on a quieter machine: {why}", err=True)
    return 1 if missed else 0
