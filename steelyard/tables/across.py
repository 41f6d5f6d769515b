"""Several runs as one report: devices, versions or budgets side by side. All of it is across runs."""

from collections.abc import Sequence

from steelyard.compare.across import FEWEST_RUNS, group_of
from steelyard.core.comparison import Comparison
from steelyard.core.run import Run
from steelyard.tables import across_coverage, across_numbers, across_settings, across_verdicts
from steelyard.tables.across_sides import ACROSS, Labelled, side_labels
from steelyard.tables.format import TIMES, counted, decimals, fixed, level
from steelyard.tables.prices import Price, check_used
from steelyard.tables.speed import speedup
from steelyard.tables.table import Paragraph, ReportData


def build_across(
    sides: Sequence[Sequence[Run]], comparisons: Sequence[Sequence[Comparison]], prices: Sequence[Price] = ()
) -> ReportData:
    """Lay out the runs of at least two sides; `comparisons` are those of each further side with the first.

    Raises UsageError for a price that fits none of the devices.
    """
    check_used(prices, [side[0].manifest.device.name for side in sides])
    factors = tuple(dict.fromkeys(item.factor for found in comparisons for item in found))
    labels = side_labels(sides, factors)
    labelled = tuple(Labelled(label=label, group=group_of(side)) for label, side in zip(labels, sides, strict=True))
    pairs = tuple((label, item) for label, found in zip(labels[1:], comparisons, strict=True) for item in found)
    manifests = [run.manifest for side in sides for run in side]
    first = sides[0][0].manifest
    return ReportData(
        run_id=" ".join(manifest.run_id for manifest in manifests),
        title=f"{' and '.join(dict.fromkeys(manifest.suite for manifest in manifests))}, across runs: "
        f"{' | '.join(labels)}",
        created_utc=max(manifest.created_utc for manifest in manifests),
        device="; ".join(dict.fromkeys(manifest.device.name for manifest in manifests)),
        baseline=labels[0],
        headline_workload=first.headline,
        arms=tuple(column.title for column in across_numbers.columns(labelled)),
        headline=(_what(labelled, factors), _claims(pairs, first.headline), _beware(labelled, pairs)),
        paragraphs=(Paragraph(name="methodology", title="Methodology", sentences=_methodology(labelled, factors)),),
        tables=(
            across_verdicts.verdict_table(labelled, pairs),
            across_numbers.latency_table(labelled),
            across_numbers.throughput_table(labelled),
            across_numbers.energy_table(labelled),
            *across_numbers.cost_tables(labelled, prices),
            across_coverage.coverage_table(labelled),
            across_settings.runs_table(labelled),
            across_settings.versions_table(labelled),
            across_settings.budgets_table(labelled),
        ),
        macros=(),
    )


def _what(sides: Sequence[Labelled], factors: Sequence[str]) -> str:
    count = sum(len(side.group.runs) for side in sides)
    told = "; ".join(f"{side.label}: {counted(len(side.group.runs), 'run')}" for side in sides)
    return f"{counted(count, 'run')} on {len(sides)} sides, compared by {' and '.join(factors)}, {ACROSS} ({told})."


def _claims(pairs: Sequence[tuple[str, Comparison]], headline: str) -> str:
    claims = [_claim(label, item) for label, item in pairs if item.workload == headline and item.metric == "latency_s"]
    if not claims:
        return f"The headline workload {headline} is not common to the sides."
    return f"Latency of {headline} against {_baselines(pairs)}: {'; '.join(claims)}."


def _baselines(pairs: Sequence[tuple[str, Comparison]]) -> str:
    swapped = [item.baseline for _, item in pairs if item.baseline != item.candidate]
    return f"the first side ({', '.join(dict.fromkeys(swapped))})" if swapped else "the same backend on the first side"


def _claim(label: str, item: Comparison) -> str:
    times = speedup(item)
    who = f"{item.candidate} on {label}"
    if times is None:
        return f"{who}: {item.verdict} ({item.reason})"
    interval = times.interval
    places = decimals(times.value, None if interval is None else (interval.low, interval.high))
    told = f"{fixed(times.value, places)}{TIMES}"
    if interval is not None:
        told += f" ({level(interval)} interval {fixed(interval.low, places)} to {fixed(interval.high, places)})"
    return f"{who}: {item.verdict}, speed-up {told}"


def _beware(sides: Sequence[Labelled], pairs: Sequence[tuple[str, Comparison]]) -> str:
    parts = []
    few = [side.label for side in sides if len(side.group.runs) < FEWEST_RUNS]
    if few:
        parts.append(
            f"no side may be called faster or slower below {FEWEST_RUNS} runs, which {' and '.join(few)} "
            f"{'has' if len(few) == 1 else 'have'} not"
        )
    refused = [item for _, item in pairs if item.verdict == "incomparable"]
    if refused:
        reasons = "; ".join(dict.fromkeys(item.reason for item in refused))
        parts.append(f"{len(refused)} of {counted(len(pairs), 'comparison')} refused: {reasons}")
    withheld = sum(item.verdict == "withheld" for _, item in pairs)
    if withheld:
        parts.append(f"{counted(withheld, 'verdict')} withheld because a machine was too noisy")
    if not parts:
        parts.append("the sides were measured at different times, so that nothing is paired")
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."


def _methodology(sides: Sequence[Labelled], factors: Sequence[str]) -> tuple[str, ...]:
    tools = sorted({run.manifest.tool_version for side in sides for run in side.group.runs})
    return (
        f"Compared with steelyard from stored runs (measured with {', '.join(tools)}); the sides differ in "
        f"{' and '.join(factors)}.",
        "A launch gives one number, the median of its steady samples. The launches of all runs of a side are taken "
        "together; sides are compared by the unpaired Hodges-Lehmann estimate of the log ratio with the rank-sum "
        "interval.",
        "Launches of one run share its luck, so that the interval does not cover what one run differs from the next; "
        f"that effect is estimated from the control arms where each side has at least {FEWEST_RUNS} runs, and "
        "faster or slower must lie beyond it.",
        "A point is compared only where definition, weights, inputs and reference of all sides are the same, and only "
        "if nothing but the factor differs.",
    )
