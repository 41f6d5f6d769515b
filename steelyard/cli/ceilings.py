"""`bench hardware ceilings`: what this machine can reach, measured and kept for the reports of later runs."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from steelyard.cli.output import print_json, print_table, printable

if TYPE_CHECKING:
    from steelyard.core.ceilings import Ceiling, Ceilings, What

_UNITS = {"B/s": "GB/s", "1/s": "GFLOP/s", "s": "ns"}
_FACTORS = {"GB/s": 1e-9, "GFLOP/s": 1e-9, "ns": 1e9, "µs": 1e6}
_COLUMNS: Mapping[str, "Callable[[Ceiling], str]"] = {
    "what": lambda row: row.what,
    "by": lambda row: row.by,
    "dtype": lambda row: row.dtype,
    "edge": lambda row: "" if row.size is None else str(row.size),
    "threads": lambda row: str(row.threads),
    "value": lambda row: f"{_value(row, _suited(row))} {_suited(row)}",
}


def ceilings(
    device: Annotated[
        str | None, typer.Option(help="The device, e.g. cpu or cuda:0. Default: the best present.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of every loop. Default: all cores.")] = None,
    cpus: Annotated[str | None, typer.Option(help="CPUs to measure on. Default: the first --threads.")] = None,
    runtime: Annotated[
        list[str] | None,
        typer.Option(help="native, instructions or a runtime, comma lists allowed. Default: all there are."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer rounds and shorter samples: under 20 s.")] = False,
    rounds: Annotated[int | None, typer.Option(min=1, help="How often everything is measured. Default: 16.")] = None,
    most: Annotated[
        str | None, typer.Option(metavar="SIZE", help="The largest working set of a thread, e.g. 64MiB.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the orders and of the matrices.")] = 0,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait while another run measures on the same CPUs or device.")
    ] = False,
    keep: Annotated[bool, typer.Option(help="Keep the result, so that later runs carry it.")] = True,
    json: Annotated[bool, typer.Option("--json", help="Print data instead of tables.")] = False,
) -> None:
    """Measure what this machine can reach: bandwidth and latency by working set, arithmetic by dtype and runtime, the
    cost of a call, copies to the device.

    Everything is measured once a round, in random order. The newest result of a machine, device and number of
    threads is stored with each later run, and its report holds results against it.
    """
    from steelyard.core.backend import Budget, split_backends
    from steelyard.core.quantity import bytes_of
    from steelyard.hardware.ceilings.kept import keep as store
    from steelyard.hardware.ceilings.measure import QUICK_ROUNDS, ROUNDS, RUNTIMES, CeilingRequest, measure
    from steelyard.hardware.choice import choose_cpus, pick_device
    from steelyard.hardware.occupied import occupied

    chosen = choose_cpus(threads, cpus)
    asked = tuple(part for value in runtime or [] for part in split_backends(value))
    request = CeilingRequest(
        device=pick_device(device),
        budget=Budget(threads=len(chosen), cpus=chosen),
        runtimes=asked or RUNTIMES,
        rounds=rounds or (QUICK_ROUNDS if quick else ROUNDS),
        quick=quick,
        most_bytes=None if most is None else bytes_of(most),
        seed=seed,
    )

    def say(text: str) -> None:
        typer.echo(text, err=True)

    with occupied(request.device, request.budget, say if wait else None):
        found = measure(request, say=say)
    if json:
        print_json("ceilings", {"ceilings": found})
    else:
        _show(found)
    if keep:
        kept = store(found)
        typer.echo(
            "kept: later runs on this device with as many threads carry it"
            if kept
            else "not kept: what is kept already knows more (more measured, more rounds, or a quieter machine)",
            err=True,
        )


def _show(found: "Ceilings") -> None:
    """Tables by kind; what could not be measured stands below with its reason, once."""
    from steelyard.cli.tables import print_report_table
    from steelyard.core.ceilings import ARITHMETIC, BANDWIDTHS, INSTRUCTIONS
    from steelyard.tables.instructions import instructions_table

    threads = found.threads
    typer.echo(
        f"{found.machine} ({found.device}), {threads} thread{'s' if threads > 1 else ''}; "
        f"{found.rounds} rounds, noise grade {found.grade}"
    )
    full = [row for row in found.rows if row.threads == threads]
    of = " of a thread" if found.device == "cpu" else ""
    _by_size(f"bandwidth by working set{of} [GB/s]", full, BANDWIDTHS, "GB/s")
    _by_size("latency of a load by working set [ns]", found.rows, ("chase",), "ns")
    _list("arithmetic", _kinds(full, *ARITHMETIC), "what", "by", "dtype", "edge")
    chains = [row for row in _kinds(found.rows, "dependent", "independent") if row.by != INSTRUCTIONS]
    _list("one vector multiply-add, on one thread", chains, "what", "dtype")
    if any(row.instruction for row in found.rows):
        typer.echo("")
        print_report_table(instructions_table(found))
    _list("cost of a call", _kinds(full, "launch"), "by")
    _list("copies", _kinds(full, "to_device", "to_host"), "what", "by")
    scaling = [row for row in _kinds(found.rows, "fma", "triad") if row.what == "fma" or row.level == "memory"]
    if threads > 1:
        ordered = sorted(scaling, key=lambda row: (row.what, row.dtype, row.threads))
        _list("thread scaling, streams in memory", ordered, "what", "dtype", "threads")
    reasons: dict[str, list[str]] = {}
    for row in found.rows:
        if row.estimate is None:
            reasons.setdefault(row.reason, []).append(" ".join(filter(None, (row.by, row.what, row.dtype))))
    for reason, names in reasons.items():
        typer.echo(printable(f"not measured: {', '.join(dict.fromkeys(names))}: {reason}"))
    for note in found.notes:
        typer.echo(printable(note))
    if found.grade == "F":
        typer.echo("at noise grade F these are no ceilings: reports show them and hold nothing against them")


def _kinds(rows: "Sequence[Ceiling]", *kinds: "What") -> "list[Ceiling]":
    return [row for row in rows if row.what in kinds and row.estimate is not None]


def _by_size(title: str, rows: "Sequence[Ceiling]", kinds: "tuple[What, ...]", unit: str) -> None:
    """A line for each working set, a column for each loop; nothing where nothing was measured."""
    from steelyard.tables.format import ABSENT, size

    at = {(row.size or 0, row.what): row for row in _kinds(rows, *kinds)}
    lines = []
    for each in sorted({working_set for working_set, _ in at}):
        known = [at.get((each, what)) for what in kinds]
        level = next(row.level for row in known if row is not None)
        shown = size(each) if each >= 1 << 20 else f"{each >> 10} KiB"
        lines.append((shown, level, *(ABSENT if row is None else _value(row, unit) for row in known)))
    if lines:
        print_table(f"\n{title}", ("working set", "level", *kinds), lines, right=("working set", *kinds))


def _list(title: str, rows: "Sequence[Ceiling]", *columns: str) -> None:
    """A line for each ceiling, with these columns and its value; nothing where there is none."""
    shown = (*columns, "value")
    lines = [tuple(_COLUMNS[column](row) for column in shown) for row in rows]
    if lines:
        print_table(f"\n{title}", shown, lines, right=("edge", "threads", "value"))


def _suited(row: "Ceiling") -> str:
    """The unit that suits a value: a call takes microseconds, a load nanoseconds."""
    assert row.estimate is not None
    return "µs" if row.unit == "s" and row.estimate.value >= 1e-6 else _UNITS[row.unit]


def _value(row: "Ceiling", unit: str) -> str:
    """The value with its interval, in the printed unit."""
    from steelyard.tables.format import decimals, fixed

    assert row.estimate is not None
    scale, ends = _FACTORS[unit], row.estimate.interval
    value = row.estimate.value * scale
    if ends is None:
        return fixed(value, decimals(value))
    places = decimals(value, (ends.low * scale, ends.high * scale))
    return f"{fixed(value, places)} [{fixed(ends.low * scale, places)}, {fixed(ends.high * scale, places)}]"
