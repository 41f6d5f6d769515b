"""A/A comparisons as a sentence and a table: how often this machine's verdicts were wrong."""

from collections.abc import Mapping

from steelyard.core.aa_counts import BESIDE, AaCounts, AaRow, Rate
from steelyard.tables.facts import Facts
from steelyard.tables.format import counted

COMMAND = "bench selftest --aa 200"
UNKNOWN = "not known"


def sentence(counts: AaCounts) -> str:
    """The rate of false verdicts with its interval, when and with which versions it was measured."""
    found = counts.all.rates["guarded_false_alarms"]
    withheld = counts.all.rates["withheld"]
    where = f"on this machine{BESIDE[counts.condition]}" + (f", launches {counts.protocol}" if counts.protocol else "")
    share = "no comparison had a ratio"
    if found.interval is not None:
        interval = f"[{_percent(found.interval.low)}, {_percent(found.interval.high)}] %"
        clusters = f"{counted(counts.all.runs, 'run')} as {'clusters' if counts.all.runs != 1 else 'the one cluster'}"
        share = f"{_percent(found.count / found.of)} %, 95 % interval {interval}, {clusters}"
    known = counts.all.detectable is not None
    called = f"a difference of {reach(counts.all)} % would have been called in half of them; " if known else ""
    return (
        f"A/A comparisons {where}: {found.count} of {found.of} gave a false verdict ({share}), "
        f"{withheld.count} got none because the machine was too noisy; {called}"
        f"{counts.created_utc[:10]}; {_versions(counts.versions)}."
    )


def sentences(facts: Facts) -> tuple[str, ...]:
    """What a report says of the machine's false verdicts; that they were not measured, if so."""
    counts = facts.run.manifest.calibration
    if counts is None:
        return (f"How often verdicts are wrong on this machine was not measured: {COMMAND} does it.",)
    changed = differences(counts, facts.run.manifest.environment.get("packages", {}))
    more = (f"Since then the versions changed: {'; '.join(changed)}.",) if changed else ()
    return (sentence(counts), *more)


def differences(counts: AaCounts, packages: Mapping[str, str]) -> tuple[str, ...]:
    """The distributions whose version is not that of the A/A comparisons."""
    return tuple(
        f"{name} {counts.versions.get(name, 'not installed')} -> {packages.get(name, 'not installed')}"
        for name in sorted({*counts.versions, *packages})
        if counts.versions.get(name) != packages.get(name)
    )


def rate(share: Rate) -> str:
    """`1.5 [0.3, 4.3]`, in percent; `none` where nothing was counted."""
    if share.of == 0 or share.interval is None:
        return "none"
    low, high = share.interval.low, share.interval.high
    return f"{_percent(share.count / share.of)} [{_percent(low)}, {_percent(high)}]"


def reach(row: AaRow) -> str:
    """What half of the comparisons would have called, in percent: `49.5`; `not known` where no count says it."""
    return UNKNOWN if row.detectable is None else _percent(row.detectable)


def _percent(share: float) -> str:
    text = f"{100 * share:.1f}"
    return "<0.1" if text == "0.0" and share > 0 else text


def _versions(versions: Mapping[str, str]) -> str:
    shown = ("onnxruntime", "openvino", "torch", "jax", "jaxlib")
    named = [f"{name} {versions[name]}" for name in shown if name in versions]
    return ", ".join(named) or "versions not recorded"
