"""What `bench selftest --aa N` does once its options are read."""

from pathlib import Path

import typer

from steelyard import plugins
from steelyard.cli.exit_codes import INTERRUPTED
from steelyard.cli.output import print_json, print_table
from steelyard.core.aa_counts import AaCounts, AaRow, Condition
from steelyard.core.backend import Budget, parse_backend
from steelyard.core.errors import UsageError
from steelyard.engine.probe import probe
from steelyard.hardware.choice import choose_cpus, pick_device
from steelyard.selftest.campaign import COMMON, AaCampaign, CampaignTerms, folder_of, legs
from steelyard.store import prepare_root
from steelyard.tables.aa_words import rate, reach, sentence


def run_aa_campaign(
    comparisons: int,
    *,
    suite: str,
    backends: tuple[str, ...],
    output: Path,
    threads: int | None,
    cpus: str | None,
    seed: int,
    window_s: float,
    beside: bool,
    turns: bool,
    dry_run: bool,
    json: bool,
) -> int:
    """Measure what is missing of the campaign, count and publish it. Returns the exit code."""
    device = pick_device(None)
    chosen = choose_cpus(threads, cpus)
    sized = "tiny" if "tiny" in plugins.suite(suite).sizes else ""
    terms = CampaignTerms(
        suite=suite,
        size=sized,
        backends=_available(backends, device.kind),
        device=device,
        budget=Budget(threads=threads or len(chosen), cpus=chosen),
        window_s=window_s,
        seed=seed,
        turns=turns,
    )
    condition: Condition = "switching" if beside else "quiet"
    folder = output / "selftest" / folder_of(condition, turns=turns)
    campaign = AaCampaign(terms=terms, legs=legs(comparisons, terms), folder=folder, condition=condition)
    if dry_run:
        done = campaign.finished()
        typer.echo(campaign.outline([leg for leg in campaign.legs if leg not in done]))
        return 0
    prepare_root(folder)
    whole = campaign.measure(lambda text: typer.echo(text, err=True))
    counts = campaign.publish()
    if counts is not None:
        _show(counts, json=json)
    if not whole:
        typer.echo("interrupted: what was measured is kept; the same command goes on", err=True)
    return 0 if whole else INTERRUPTED


def _available(wanted: tuple[str, ...], device_kind: str) -> tuple[str, ...]:
    """The backends to compare with themselves: those named, which must be there, or all that are."""
    named = wanted or (*COMMON, *(n for n, kind in plugins.runners().items() if n not in COMMON and not kind.idle))
    texts = list(dict.fromkeys(parse_backend(name).text for name in named))
    found = probe(texts, device_kind)
    missing = {name: found[name].reason for name in texts if not found[name].available}
    if wanted and missing:
        raise UsageError("; ".join(f"{name} cannot run on {device_kind}: {why}" for name, why in missing.items()))
    for name, why in missing.items():
        typer.echo(f"left out: {name}: {why}", err=True)
    return tuple(name for name in texts if name not in missing)


def _show(counts: AaCounts, *, json: bool) -> None:
    if json:
        print_json("shams", {"shams": counts})
        return
    columns = ("backend", "runs", "comparisons", "false", "guard off", "withheld", "detectable [%]", "equivalent")
    rows = [_cells(row) for row in (*counts.rows, counts.all)]
    print_table(f"A/A comparisons, {counts.condition}, {counts.protocol}", columns, rows, right=columns[1:])
    rates = counts.all.rates
    typer.echo(
        f"guard off: {rate(rates['false_alarms'])} % false, {rate(rates['alone'])} % had each been alone in its "
        f"family; the plain 95 % interval misses 1 in {rate(rates['missed'])} %; runs with a false verdict: "
        f"{rates['alarmed_runs'].count} of {rates['alarmed_runs'].of}, {rate(rates['alarmed_runs'])} %; detectable: "
        "the difference that half of them would have called alone, guard off"
    )
    for note in counts.notes:
        typer.echo(note)
    typer.echo(sentence(counts))


def _cells(row: AaRow) -> tuple[str, ...]:
    counts = (row.runs, row.comparisons, row.guarded_false_alarms, row.false_alarms, row.withheld)
    return (row.backend, *map(str, counts), reach(row), str(row.equivalent))
