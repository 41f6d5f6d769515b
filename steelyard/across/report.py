"""Several runs as one report: devices, versions or budgets side by side. All of it is across runs."""

from collections.abc import Iterator, Sequence

from steelyard.across import coverage as across_coverage
from steelyard.across import numbers as across_numbers
from steelyard.across import settings as across_settings
from steelyard.across import verdicts as across_verdicts
from steelyard.across.prices import Price, check_used
from steelyard.across.sides import ACROSS, Labelled, side_labels
from steelyard.analysis.across import FEWEST_RUNS, group_of
from steelyard.core.comparison import Comparison, Estimate
from steelyard.core.run import Run
from steelyard.tables.format import TIMES, counted, decimals, fixed, level
from steelyard.tables.table import Paragraph, ReportData

_VERDICTS = ("faster", "slower", "equivalent", "inconclusive", "withheld", "incomparable")
_FEW = 6
"""So many comparisons are told one by one in the summary; of more it says how many ended how."""


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
    claims = [pair for pair in pairs if pair[1].workload == headline and pair[1].metric == "latency_s"]
    if not claims:
        return f"The headline workload {headline} is not common to the sides."
    points = len({item.title for _, item in claims})
    where = headline if points == 1 else f"{headline} ({points} configurations)"
    told = [_claim(*claim) for claim in claims] if len(claims) <= _FEW and points == 1 else _summed(claims)
    return f"Latency of {where} against {_baselines(pairs)}: {'; '.join(told)}."


def _summed(claims: Sequence[tuple[str, Comparison]]) -> Iterator[str]:
    """For each side how many comparisons ended in each verdict, with the lowest and the highest speed-up of them."""
    for label in dict.fromkeys(label for label, _ in claims):
        of_side = [item for other, item in claims if other == label]
        parts = []
        for verdict in sorted({item.verdict for item in of_side}, key=_VERDICTS.index):
            alike = [item for item in of_side if item.verdict == verdict]
            parts.append(f"{verdict} in {len(alike)} of {len(of_side)}{_range(alike)}")
        yield f"on {label} {', '.join(parts)}"


def _range(items: Sequence[Comparison]) -> str:
    found = sorted((times for item in items if (times := item.speedup) is not None), key=lambda times: times.value)
    ends = [_times(times) for times in dict.fromkeys((*found[:1], *found[-1:]))]
    return f" (speed-up {' to '.join(ends)})" if ends else ""


def _baselines(pairs: Sequence[tuple[str, Comparison]]) -> str:
    swapped = [item.baseline for _, item in pairs if item.baseline != item.candidate]
    return f"the first side ({', '.join(dict.fromkeys(swapped))})" if swapped else "the same backend on the first side"


def _claim(label: str, item: Comparison) -> str:
    times = item.speedup
    who = f"{item.candidate} on {label}{' (approximate)' if item.approximate else ''}"
    if times is None:
        return f"{who}: {item.verdict} ({item.reason})"
    told, interval = _times(times), times.interval
    if interval is not None:
        places = _places(times)
        told += f" ({level(interval)} interval {fixed(interval.low, places)} to {fixed(interval.high, places)})"
    return f"{who}: {item.verdict}, speed-up {told}"


def _times(times: Estimate) -> str:
    return f"{fixed(times.value, _places(times))}{TIMES}"


def _places(times: Estimate) -> int:
    interval = times.interval
    return decimals(times.value, None if interval is None else (interval.low, interval.high))


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
        "A configuration is compared only where definition, weights, inputs and reference of all sides are the same, "
        "and only if nothing but the factor differs.",
    )
