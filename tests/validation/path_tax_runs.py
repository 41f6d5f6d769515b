"""The second half of `make agreement`: what our path costs against each runtime's native one."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import typer

from steelyard import __version__, wire
from steelyard.cli.output import print_table
from steelyard.core.run import Run, protocol
from steelyard.engine.plan import Request
from steelyard.hardware.fingerprint import packages
from steelyard.service.whole_runs import whole_run
from steelyard.store import prepare_root
from tests.validation import path_tax
from tests.validation.path_tax_rows import PathTax

FILE = "path_tax.json"


def measure(requests: Sequence[Request], folder: Path, store: Path) -> tuple[PathTax | None, bool]:
    """The rows of the runs that are whole, written to a file below `store`; and whether all of them are.

    None where no run is.
    """
    prepare_root(folder)
    runs: list[Run] = []
    for request in requests:
        typer.echo(f"path tax: {request.baseline}; about {path_tax.minutes([request]):.0f} min at most", err=True)
        run = whole_run(request, folder)
        if run is None:
            break
        runs.append(run)
    if not runs:
        return None, not requests
    found = PathTax(
        machine=runs[-1].manifest.device.name,
        threads=runs[-1].manifest.budget.threads,
        window_s=runs[-1].manifest.plan["window_s"],
        margin=path_tax.MARGIN,
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        tool_version=__version__,
        versions=packages(),
        rows=path_tax.rows(runs),
        protocol=" and ".join(sorted({protocol(run.launches) for run in runs})),
    )
    store.mkdir(parents=True, exist_ok=True)
    (store / FILE).write_bytes(wire.encode(found) + b"\n")
    return found, len(runs) == len(requests)


def show(found: PathTax) -> None:
    """The table, the reasons, and where our path costs more than it may."""
    columns, cells = path_tax.table(found.rows)
    print_table(f"path tax, margin {found.margin:.0%}, {found.threads} threads", columns, cells, right=path_tax.RIGHT)
    for row in found.rows:
        if row.reason:
            typer.echo(f"{row.runtime}, {row.workload}: {row.reason}")
    for sentence in path_tax.costs_more(found.rows):
        typer.echo(sentence)
