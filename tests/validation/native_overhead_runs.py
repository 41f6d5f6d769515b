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
from tests.validation import native_overhead
from tests.validation.native_overhead_rows import NativeOverhead

FILE = "native_overhead.json"


def measure(requests: Sequence[Request], folder: Path, store: Path) -> tuple[NativeOverhead | None, bool]:
    """The rows of the runs that are whole, written to a file below `store`; and whether all of them are.

    None where no run is.
    """
    prepare_root(folder)
    runs: list[Run] = []
    for request in requests:
        typer.echo(
            f"native-path overhead: {request.baseline}; about {native_overhead.minutes([request]):.0f} min at most",
            err=True,
        )
        run = whole_run(request, folder)
        if run is None:
            break
        runs.append(run)
    if not runs:
        return None, not requests
    found = NativeOverhead(
        machine=runs[-1].manifest.device.name,
        threads=runs[-1].manifest.budget.threads,
        window_s=runs[-1].manifest.plan["window_s"],
        margin=native_overhead.MARGIN,
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        tool_version=__version__,
        versions=packages(),
        rows=native_overhead.rows(runs),
        protocol=" and ".join(sorted({protocol(run.launches) for run in runs})),
    )
    store.mkdir(parents=True, exist_ok=True)
    (store / FILE).write_bytes(wire.encode(found) + b"\n")
    return found, len(runs) == len(requests)


def show(found: NativeOverhead) -> None:
    """The table, the reasons, and where our path costs more than it may."""
    columns, cells = native_overhead.table(found.rows)
    print_table(
        f"native-path overhead, margin {found.margin:.0%}, {found.threads} threads",
        columns,
        cells,
        right=native_overhead.RIGHT,
    )
    for row in found.rows:
        if row.reason:
            typer.echo(f"{row.runtime}, {row.workload}: {row.reason}")
    for sentence in native_overhead.costs_more(found.rows):
        typer.echo(sentence)
