"""`bench hardware ceilings`: what this machine can reach, measured and kept for the reports of later runs."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from steelyard.cli.output import print_json, print_table

if TYPE_CHECKING:
    from steelyard.core.ceilings import Ceiling, Ceilings, What

_SHOWN = {"B/s": ("GB/s", 1e-9), "1/s": ("GFLOP/s", 1e-9), "s": ("ns", 1e9)}


def ceilings(
    device: Annotated[
        str | None, typer.Option(help="The device, e.g. cpu or cuda:0. Default: the best present.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of every loop. Default: all cores.")] = None,
    cpus: Annotated[str | None, typer.Option(help="CPUs to measure on. Default: the first --threads.")] = None,
    runtime: Annotated[
        list[str] | None, typer.Option(help="native or a runtime, comma lists allowed. Default: all there are.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer rounds and shorter samples: under 20 s.")] = False,
    rounds: Annotated[int | None, typer.Option(min=1, help="How often everything is measured. Default: 16.")] = None,
    most: Annotated[
        str | None, typer.Option(metavar="SIZE", help="The largest working set of a thread, e.g. 64MiB.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the orders and of the matrices.")] = 0,
    keep: Annotated[bool, typer.Option(help="Keep the result, so that later runs carry it.")] = True,
    json: Annotated[bool, typer.Option("--json", help="Print data instead of tables.")] = False,
) -> None:
    """Measure what this machine can reach: bandwidth and latency by working set, arithmetic by dtype and runtime, the
    cost of a call, copies to the device.

    Everything is measured once a round, in random order. The newest result of a machine, device and number of
    threads is stored with each later run, and its report holds results against it.
    """
    from steelyard.cli.cache import parse_size
    from steelyard.core.backend import Budget, split_backends
    from steelyard.hardware.ceilings.kept import keep as store
    from steelyard.hardware.ceilings.measure import QUICK_ROUNDS, ROUNDS, RUNTIMES, Request, measure
    from steelyard.hardware.choice import choose_cpus, pick_device

    chosen = choose_cpus(threads, cpus)
    asked = tuple(part for value in runtime or [] for part in split_backends(value))
    found = measure(
        Request(
            device=pick_device(device),
            budget=Budget(threads=len(chosen), cpus=chosen),
            runtimes=asked or RUNTIMES,
            rounds=rounds or (QUICK_ROUNDS if quick else ROUNDS),
            quick=quick,
            most_bytes=None if most is None else parse_size(most),
            seed=seed,
        ),
        say=lambda text: typer.echo(text, err=True),
    )
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
    typer.echo(
        f"{found.machine} ({found.device}), {found.threads} thread{'s' if found.threads > 1 else ''}; "
        f"{found.rounds} rounds, noise grade {found.grade}"
    )
    staircase = [row for row in found.rows if row.what in ("read", "copy", "triad") and row.threads == found.threads]
    _table("\nbandwidth by working set of a thread [GB/s]", _by_size(staircase, ("read", "copy", "triad")))
    _table(
        "\nlatency of a load by working set [ns]", _by_size([r for r in found.rows if r.what == "chase"], ("chase",))
    )
    for title, quantities in (
        ("\narithmetic", ("gemm", "fma")),
        ("\nlatency of arithmetic, one vector operation", ("dependent", "independent")),
        ("\ncost of a call, and copies", ("launch", "to_device", "to_host")),
    ):
        _table(title, _list(row for row in found.rows if row.what in quantities and row.threads in (found.threads, 1)))
    scaling = [row for row in found.rows if row.what in ("fma", "triad") and _scales(row, found)]
    _table("\nthread scaling", _list(sorted(scaling, key=lambda row: (row.what, row.dtype, row.threads))))
    reasons: dict[str, list[str]] = {}
    for row in found.rows:
        if row.estimate is None:
            reasons.setdefault(row.reason, []).append(" ".join(filter(None, (row.by, row.what, row.dtype))))
    for reason, names in reasons.items():
        typer.echo(f"not measured: {', '.join(dict.fromkeys(names))}: {reason}")
    for note in found.notes:
        typer.echo(note)
    if found.grade == "F":
        typer.echo("at noise grade F these are no ceilings: reports show them and hold nothing against them")


def _scales(row: "Ceiling", found: "Ceilings") -> bool:
    """Part of a series over threads: streams only at the working set that every count of threads was given."""
    return found.threads > 1 and (row.what == "fma" or row.level == "memory")


def _table(title: str, made: tuple[tuple[str, ...], list[tuple[str, ...]]]) -> None:
    columns, rows = made
    if rows:
        print_table(title, columns, rows, right=columns[1:] if columns[0] == "working set" else columns[-1:])


def _by_size(rows: "list[Ceiling]", quantities: "tuple[What, ...]") -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    from steelyard.tables.format import size

    at = {(row.size, row.what): row for row in rows if row.estimate is not None}
    lines = []
    for each in sorted({row.size for row in rows if row.size is not None}):
        known = [at.get((each, what)) for what in quantities]
        level = next((row.level for row in known if row is not None), "")
        shown = size(each) if each >= 1 << 20 else f"{each >> 10} KiB"
        lines.append((shown, level, *("–" if row is None else _value(row) for row in known)))
    return ("working set", "level", *quantities), lines


def _list(rows: "Iterable[Ceiling]") -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    columns = ("what", "by", "dtype", "threads", "value")
    return columns, list(_lines(rows))


def _lines(rows: "Iterable[Ceiling]") -> Iterator[tuple[str, ...]]:
    for row in rows:
        if row.estimate is not None:
            yield row.what, row.by, row.dtype, str(row.threads), f"{_value(row)} {_SHOWN[row.unit][0]}"


def _value(row: "Ceiling") -> str:
    """The value with its interval, in the printed unit."""
    assert row.estimate is not None
    scale = _SHOWN[row.unit][1]
    text = f"{row.estimate.value * scale:.3g}"
    ends = row.estimate.interval
    return text if ends is None else f"{text} [{ends.low * scale:.3g}, {ends.high * scale:.3g}]"
