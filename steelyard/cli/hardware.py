"""`bench hardware`: what this machine is, what is declared of it, and what it can reach."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from steelyard.cli import ceilings
from steelyard.cli.interruption import ended_only_when_asked
from steelyard.cli.output import print_json, print_table, printable
from steelyard.cli.terminal import folded, this_terminal

if TYPE_CHECKING:
    from steelyard.core.profile import Fact
    from steelyard.hardware.described_devices import DescribedDevice

app = typer.Typer(
    help="What this machine is, and what it can reach.", invoke_without_command=True, rich_markup_mode=None
)
app.command("ceilings")(ended_only_when_asked()(ceilings.ceilings))

_WIDEST = 120
_NAMES = {
    "cpus_allowed": "CPUs allowed",
    "cpus_of_a_run": "CPUs of a run",
    "ecc": "ECC",
    "isa": "instruction sets",
    "limit_cpu_quota": "limit of CPU time",
    "limit_memory_bytes": "limit of memory",
    "mig": "MIG",
    "numa_nodes": "NUMA nodes",
    "online": "threads",
    "sm_clock_max_hz": "SM clock max",
    "smt": "SMT",
    "vbios": "VBIOS",
}
_SMT = {"notsupported": "not supported", "notimplemented": "not implemented", "forceoff": "forced off"}
"""The kernel's words for the threads of a core, in two words."""


@app.callback()
def hardware(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="Print data instead of tables.")] = False,
) -> None:
    """Tell every device of this machine: what it is, its declared figures with their sources, its energy meters."""
    if context.invoked_subcommand is not None:
        return
    from steelyard.cli.doctor import energy_meters
    from steelyard.hardware.described_devices import described

    found, reasons = described()
    meters = energy_meters()
    if json:
        print_json("hardware", {"devices": found, "absent": reasons, "meters": meters})
        return
    for entry in found:
        _show(entry)
    print_table("not found", ("kind", "why"), list(reasons.items()))
    rows = [(row["meter"], ", ".join(row["domains"]) or f"none: {row['reason']}") for row in meters]
    print_table("\nenergy meters", ("meter", "domains, or why not"), rows)


def _show(entry: "DescribedDevice") -> None:
    """A device: its facts, what it is declared to reach, and the documents that say so."""
    facts = {"memory_bytes": entry.memory_bytes, **entry.facts}
    rows = [(_title(name), _value(name, fact)) for name, fact in facts.items()]
    print_table(f"{entry.device}: {entry.name}", ("fact", "value"), rows)
    if entry.profile is not None:
        _declared(entry.profile.model, entry.profile.facts)
        if entry.profile.note:
            _say(f"note: {entry.profile.note}")
    if entry.computed_peaks:
        peaks = [(peak.dtype, f"{peak.per_s / 1e9:.4g} GFLOP/s", peak.assumptions) for peak in entry.computed_peaks]
        print_table("\npeak, computed and not declared", ("dtype", "peak", "assumptions"), peaks, right=("peak",))
    if entry.reason:
        _say(entry.reason)
    _say("")


def _declared(model: str, facts: "Mapping[str, Fact]") -> None:
    documents = list(dict.fromkeys(fact.source for fact in facts.values()))
    rows = [
        (
            _title(name.replace("_per_s.", " ").replace("_dense", "").removesuffix("_per_s")),
            _printed(fact),
            f"[{documents.index(fact.source) + 1}] {fact.place}",
        )
        for name, fact in facts.items()
    ]
    print_table(f"\ndeclared: {model}", ("figure", "as printed", "where"), rows)
    for number, source in enumerate(documents, start=1):
        standing = source.standing.replace("_", " ")
        _say(f"[{number}] {source.document}. {source.publisher} ({standing}), {source.date}, read {source.read}.")
        _say(f"    {source.url}")


def _say(text: str) -> None:
    """A paragraph as wide as the terminal; not by click, which writes UTF-8 to an ASCII standard output."""
    for line in folded(printable(text), min(this_terminal().width, _WIDEST)):
        sys.stdout.write(f"{line}\n")


def _printed(fact: "Fact") -> str:
    """The figure as the document has it, and what it was multiplied with."""
    return fact.printed if fact.factor == 1.0 else f"{fact.printed} x {fact.factor:g} ({fact.reason})"


def _title(name: str) -> str:
    stem = next((name.removesuffix(end) for end in ("_bytes", "_hz", "_w") if name.endswith(end)), name)
    return _NAMES.get(name, stem.replace("_", " "))


def _value(name: str, fact: Any) -> str:
    """A fact with its unit; one that is not known with the reason."""
    from steelyard.tables.format import plain, size

    if isinstance(fact, dict) and set(fact) == {"value", "reason"}:
        return f"none: {fact['reason']}" if name.startswith("limit_") else plain(fact)
    if name == "smt":
        return _SMT.get(fact, plain(fact))
    if name == "caches":
        return "; ".join(_caches(fact))
    if name.endswith("_bytes"):
        return size(fact)
    if name.endswith("_hz"):
        return f"{fact / 1e6:.5g} MHz"
    return f"{fact:g} W" if name.endswith("_w") else plain(fact)


def _caches(caches: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    from steelyard.tables.format import size

    for cache in caches:
        bytes_ = cache["bytes"]
        shown = size(bytes_) if bytes_ >= 1 << 20 else f"{bytes_ >> 10} KiB"
        kind = "" if cache["type"] == "Unified" else f" {str(cache['type']).lower()}"
        several = not str(cache["shared_by"]).isdecimal()
        yield f"L{cache['level']}{kind} {shown}" + (f" shared by CPUs {cache['shared_by']}" if several else "")
