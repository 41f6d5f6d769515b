"""The stage `vendor`: our numbers against the vendors' own tools, and our path against each runtime's native one.

This file has the section of the first; that of the second is `tests.calibration.native_overhead`.
"""

import subprocess
import sys
from pathlib import Path

from steelyard import wire
from steelyard.core.errors import SteelyardError
from tests.calibration import files, native_overhead
from tests.calibration.rates import percent, table
from tests.validation.agreement_rows import Agreement, AgreementRow
from tests.validation.native_overhead_rows import NativeOverhead

FILE = "agreement.json"
THREADS = 1
"""On one CPU the supervisor has the other, and no thread waits for another: launches differ least."""

_RUNS = Path("bench-results")


def run(folder: Path) -> None:
    """Measure from where it stopped, and write the rows of both. Raises SteelyardError if interrupted."""
    command = [sys.executable, "-m", "tests.validation", "--threads", str(THREADS)]
    done = subprocess.run([*command, "--output", str(_RUNS)], check=False)
    if done.returncode:
        raise SteelyardError(f"the agreement with the vendors' tools ended with {done.returncode}; the same goes on")
    stored = _RUNS / "selftest" / "vendor"
    files.write(folder / FILE, wire.read(stored / FILE, Agreement))
    files.write(folder / native_overhead.FILE, wire.read(stored / native_overhead.FILE, NativeOverhead))


def section(data: Agreement) -> list[str]:
    """The Markdown lines; without a heading."""
    measured = [row for row in data.rows if row.verdict != "not measured"]
    reasons = [
        f"- {row.tool}, {row.backend}{', ' + _workload(row) if row.point else ''}: {row.reason}"
        for row in data.rows
        if row.reason
    ]
    return [
        f"The same artifact, the same inputs' shapes and types, the same layer, launches {data.protocol}. "
        f"{data.machine}, {data.threads} {'thread' if data.threads == 1 else 'threads'}, windows of "
        f"{data.window_s:g} s, at most {data.rounds} rounds, {data.created_utc[:10]}. *Ratio* is ours / theirs with "
        "its 95 % interval, paired by round, so that it is not the quotient of the medians in *ours* and *theirs*; "
        f"*equivalent*: the interval lies within {percent(data.margin)} %. *Wall*: our ordinary latency "
        "(`bound_wall`) over our number at a narrower layer. Left out are rounds in which others used the machine, "
        "and such without a steady state.",
        "",
        *(line for note in data.notes for line in (note, "")),
        *table(
            (
                "tool",
                "backend",
                "workload",
                "layer",
                "verdict",
                "ratio",
                "ours [us]",
                "theirs [us]",
                "spread [%]",
                "rounds",
                "left out",
                "wall",
            ),
            [_cells(row) for row in measured],
            numeric_from=5,
        ),
        *reasons,
        *([""] if reasons else []),
    ]


def _cells(row: AgreementRow) -> tuple[str, ...]:
    return (
        row.tool,
        row.backend,
        _workload(row),
        row.layer,
        row.verdict,
        _ratio(row),
        _microseconds(row.ours_s),
        _microseconds(row.theirs_s),
        "" if row.spread is None else percent(row.spread),
        str(row.rounds),
        str(row.disturbed + row.unsteady),
        "" if row.wall_over_layer is None else f"{row.wall_over_layer:.3f}",
    )


def _workload(row: AgreementRow) -> str:
    return row.point.partition(" ")[0]


def _ratio(row: AgreementRow) -> str:
    if row.ratio is None:
        return ""
    interval = row.ratio.interval
    shown = "" if interval is None else f" [{interval.low:.3f}, {interval.high:.3f}]"
    return f"{row.ratio.value:.3f}{shown}"


def _microseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1e6:.1f}"
