"""What `make agreement` does once its options are read."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import typer

from steelyard import __version__, plugins, wire
from steelyard.cli.exit_codes import INTERRUPTED
from steelyard.cli.output import print_json, print_table
from steelyard.core.backend import Budget, Device, parse_backend
from steelyard.core.errors import unknown_name
from steelyard.core.run import protocol
from steelyard.core.workload import Point, Selection
from steelyard.engine.lower import lower_points
from steelyard.engine.probe import probe
from steelyard.hardware.choice import choose_cpus, pick_device
from steelyard.hardware.occupied import occupied
from steelyard.lowering.cache import Cache, cache_root
from steelyard.lowering.points import points_of
from steelyard.store import RunLock, prepare_root
from tests.validation import agreement, native_overhead, native_overhead_runs
from tests.validation.agreement_rows import Agreement, AgreementRow
from tests.validation.interleaved import Match, VendorCampaign, VendorTerms
from tests.validation.tools import TOOLS, Tool, absent

ROUNDS = 20
WINDOW_S = 0.5
SUITE = "llm"
WORKLOADS = ("decode", "prefill")
FILE = "agreement.json"

# Seconds of both launches of a match in one round besides their windows, and of the cold ones: orders of magnitude
# from a 2-core machine at size tiny. For the estimate only.
_COST = {"onnxruntime": (3, 3), "openvino": (4, 5), "xla": (4, 6), "eager": (9, 9), "inductor": (12, 60)}
_OTHER = (10, 30)


def run_vendor(
    backends: tuple[str, ...],
    *,
    output: Path,
    threads: int | None,
    cpus: str | None,
    seed: int,
    window_s: float,
    rounds: int,
    dry_run: bool,
    json: bool,
) -> int:
    """Measure what is missing, print and store the rows. Returns 0, or 130 if interrupted."""
    device = pick_device(None)
    chosen = choose_cpus(threads, cpus)
    budget = Budget(threads=threads or len(chosen), cpus=chosen)
    terms = VendorTerms(device=device, budget=budget, window_s=window_s, seed=seed)
    folder = output / "selftest" / "vendor"
    tools = [tool for tool in TOOLS if not backends or tool.runner in _known(backends)]
    ours = probe([tool.our_runner for tool in tools if tool.device_kind == device.kind], device.kind)
    reasons = {name: found.reason for name, found in ours.items() if not found.available}
    why = {tool.key: absent(tool, device.kind, reasons) for tool in tools}
    usable = [tool for tool in tools if not why[tool.key]]
    points = _points(device)
    for tool in tools:
        if why[tool.key]:
            typer.echo(f"left out: {tool.key}: {why[tool.key]}", err=True)
    native = native_overhead.requests(device, budget, window_s=window_s, rounds=rounds, seed=seed, backends=backends)
    typer.echo(_outline(usable, points, rounds, window_s, folder), err=not dry_run)
    typer.echo(
        f"{len(native)} runs of a backend beside the native way of its runtime; about "
        f"{native_overhead.minutes(native):.0f} min at most",
        err=not dry_run,
    )
    if dry_run:
        return 0
    prepare_root(folder)
    with occupied(device, budget), Cache(cache_root()).lease(), RunLock(folder):
        matches, unlowered = _matches(usable, points, device)
        campaign = VendorCampaign(terms=terms, matches=matches, folder=folder)
        campaign.load()
        whole = campaign.measure(
            lambda match: agreement.is_open(campaign.launches, match), rounds, lambda text: typer.echo(text, err=True)
        )
    rows = [agreement.row(campaign.launches, match) for match in matches]
    rows += unlowered
    rows += [agreement.not_measured(tool, "", why[tool.key]) for tool in tools if why[tool.key]]
    agreed = Agreement(
        machine=device.name,
        threads=budget.threads,
        window_s=window_s,
        margin=agreement.MARGIN,
        rounds=max((row.rounds + row.disturbed + row.unsteady for row in rows), default=0),
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        tool_version=__version__,
        versions=terms.versions,
        rows=tuple(rows),
        protocol=protocol([launch.record for launch in campaign.launches]),
    )
    (folder / FILE).write_bytes(wire.encode(agreed) + b"\n")
    overhead = None
    if whole:
        overhead, whole = native_overhead_runs.measure(native, output / "selftest" / "native-path", folder)
    if json:
        print_json("vendor", {"agreement": agreed, "native_path_overhead": overhead})
    else:
        _show(agreed)
        if overhead is not None:
            native_overhead_runs.show(overhead)
    if not whole:
        typer.echo("interrupted: what was measured is kept; the same command goes on", err=True)
    return 0 if whole else INTERRUPTED


def _known(backends: tuple[str, ...]) -> tuple[str, ...]:
    """Raises UsageError for one that has no tool to be held against."""
    names = {tool.runner for tool in TOOLS}
    for name in backends:
        if name not in names:
            raise unknown_name("backend with a tool of its vendor", name, names)
    return backends


def _points(device: Device) -> tuple[Point, ...]:
    selection = Selection(
        device_kind=device.kind, size="tiny", device_memory_bytes=device.memory_bytes, workloads=WORKLOADS
    )
    return points_of(plugins.suite(SUITE), selection)


def _matches(
    tools: Sequence[Tool], points: Sequence[Point], device: Device
) -> tuple[tuple[Match, ...], list[AgreementRow]]:
    """Every tool at every point, and rows for the points that could not be lowered for it."""
    needs: Mapping[str, tuple[str, ...]] = {
        tool.our_runner: plugins.runner(parse_backend(tool.our_runner).runner).needs(parse_backend(tool.our_runner))
        for tool in tools
    }
    formats = sorted({form for wanted in needs.values() for form in wanted if form != "module"})
    lowered, failed = lower_points(
        points, formats, weights_dir=None, device_kind=device.kind, say=lambda text: typer.echo(text, err=True)
    )
    matches, rows = [], []
    for tool in tools:
        for point in points:
            why = failed[point.key].reason if point.key in failed else ""
            if not why:
                failures = lowered[point.key].programs["main"].failures
                why = "; ".join(failures[form] for form in needs[tool.our_runner] if form in failures)
            if why:
                rows.append(agreement.not_measured(tool, point.title, f"it could not be lowered: {why}"))
            else:
                matches.append(Match(tool=tool, lowered=lowered[point.key]))
    return tuple(matches), rows


def _outline(tools: Sequence[Tool], points: Sequence[Point], rounds: int, window_s: float, folder: Path) -> str:
    costs = [_COST.get(tool.runner, _OTHER) for tool in tools]
    seconds = sum(cold + rounds * (launches + 2 * window_s) for launches, cold in costs) * len(points)
    return (
        f"{len(tools) * len(points)} matches with tools of the vendors, at most {rounds} rounds of two launches each; "
        f"about {seconds / 60:.0f} min if none ends sooner, stored in {folder}"
    )


def _show(found: Agreement) -> None:
    columns = ("tool", "backend", "point", "layer", "rounds", "ours", "theirs", "ours / theirs", "verdict")
    print_table(
        f"agreement within {found.margin:.0%}, {found.threads} threads",
        columns,
        [_cells(row) for row in found.rows],
        right=columns[4:8],
    )
    for row in found.rows:
        if row.reason:
            typer.echo(f"{row.tool} ({row.backend}{', ' + row.point if row.point else ''}): {row.reason}")


def _cells(row: AgreementRow) -> tuple[str, ...]:
    ratio = "" if row.ratio is None else f"{row.ratio.value:.4f}"
    if row.ratio is not None and row.ratio.interval is not None:
        ratio += f" [{row.ratio.interval.low:.4f}, {row.ratio.interval.high:.4f}]"
    workload = row.point.partition(" ")[0]
    times = ("" if value is None else f"{value * 1e6:.1f} us" for value in (row.ours_s, row.theirs_s))
    return (row.tool, row.backend, workload, row.layer, str(row.rounds), *times, ratio, row.verdict)
