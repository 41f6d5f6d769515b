"""A/A comparisons counted: how often identical programs were called different, by runs as clusters."""

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from steelyard.analysis import compare_run
from steelyard.core.aa_counts import AaCounts, AaRow, Condition, Rate
from steelyard.core.comparison import Comparison
from steelyard.core.hashing import stable_hash
from steelyard.core.run import Run, protocol, wall_s
from steelyard.hardware.machine import machine_key
from steelyard.service.stored_runs import warm_rounds
from steelyard.stats.clustered import clustered_proportion

_CALLED = ("faster", "slower")


@dataclass(frozen=True, slots=True, kw_only=True)
class AaOutcome:
    """One A/A comparison: its verdict with the noise guard on and off.

    `alone` is whether it would be called faster or slower, guard off, if it were the only one of its family, and
    `needed` the difference from which it would, as a fraction: half its interval beyond what a verdict must lie beyond;
    infinite where it can be called nothing. `missed` is whether its plain 95 % interval leaves out 1, None without an
    interval. `usable` is whether it has a ratio at all.
    """

    run: str
    backend: str
    guarded: str
    free: str
    alone: bool
    needed: float
    missed: bool | None
    usable: bool


def outcomes(run: Run) -> tuple[AaOutcome, ...]:
    """Every comparison of an A/A arm with the baseline in a run."""
    aa_arms = {arm.label for arm in run.manifest.arms if arm.sham}
    free = {(item.point, item.metric, item.candidate): item for item in compare_run(run, guard=False)}
    return tuple(
        _outcome(run, item, free[item.point, item.metric, item.candidate])
        for item in compare_run(run)
        if item.candidate in aa_arms
    )


def _outcome(run: Run, guarded: Comparison, free: Comparison) -> AaOutcome:
    plain, judged = (_logs(free, which) for which in ("95", "judged"))
    alone, needed = False, math.inf
    if plain is not None and free.p_value is not None and free.floor is not None:
        beyond = math.log1p(max(free.margin, free.floor))
        low, high = judged or plain
        alone = high < -beyond or low > beyond
        needed = math.expm1(beyond + (high - low) / 2)
    return AaOutcome(
        run=run.manifest.run_id,
        backend=run.manifest.baseline,
        guarded=guarded.verdict,
        free=free.verdict,
        alone=alone,
        needed=needed,
        missed=None if plain is None else not plain[0] <= 0 <= plain[1],
        usable=free.ratio is not None,
    )


def _logs(comparison: Comparison, which: str) -> tuple[float, float] | None:
    """The logarithms of an interval's ends among the evidence, None where it is not there."""
    ends = [comparison.evidence.get(f"{end}_{which}") for end in ("low", "high")]
    low, high = (None if end is None else math.log(end) for end in ends)
    return None if low is None or high is None else (low, high)


def tally(backend: str, found: Sequence[AaOutcome]) -> AaRow:
    """The counts of these comparisons under one heading."""
    usable = [item for item in found if item.usable]
    runs = list(dict.fromkeys(item.run for item in usable))
    alarmed = {item.run for item in usable if item.guarded in _CALLED}
    events: Mapping[str, list[bool]] = {
        "false_alarms": [item.free in _CALLED for item in usable],
        "guarded_false_alarms": [item.guarded in _CALLED for item in usable],
        "withheld": [item.guarded == "withheld" for item in usable],
        "alone": [item.alone for item in usable],
    }
    rates = {name: _rate([item.run for item in usable], marks) for name, marks in events.items()}
    bounded = [item for item in usable if item.missed is not None]
    rates["missed"] = _rate([item.run for item in bounded], [bool(item.missed) for item in bounded])
    share = clustered_proportion([len(alarmed)] if runs else [], [len(runs)] if runs else [])
    detectable = statistics.median(item.needed for item in usable) if usable else math.inf
    rates["alarmed_runs"] = Rate(count=share.count, of=share.of, interval=share.interval)
    return AaRow(
        backend=backend,
        runs=len(runs),
        comparisons=len(usable),
        false_alarms=rates["false_alarms"].count,
        withheld=rates["withheld"].count,
        guarded_false_alarms=rates["guarded_false_alarms"].count,
        equivalent=sum(item.guarded == "equivalent" for item in usable),
        inconclusive=sum(item.guarded == "inconclusive" for item in usable),
        alone=rates["alone"].count,
        missed=rates["missed"].count,
        intervals=len(bounded),
        alarmed_runs=len(alarmed),
        unusable=len(found) - len(usable),
        detectable=detectable if math.isfinite(detectable) else None,
        rates=rates,
    )


def _rate(runs: Sequence[str], marks: Sequence[bool]) -> Rate:
    sizes = Counter(runs)
    events = Counter(run for run, mark in zip(runs, marks, strict=True) if mark)
    share = clustered_proportion([events[run] for run in sizes], list(sizes.values()))
    return Rate(
        count=share.count,
        of=share.of,
        interval=share.interval,
        design_effect=share.design_effect,
        reason=share.reason,
    )


def summarise(runs: Iterable[Run], *, condition: Condition, planned: int, notes: Sequence[str] = ()) -> AaCounts:
    """A campaign's runs counted, per backend and in all; dated by the last. Raises ValueError without a run."""
    known = sorted(runs, key=lambda run: run.manifest.run_id)
    if not known:
        raise ValueError("no run of A/A comparisons was finished")
    found = [item for run in known for item in outcomes(run)]
    backends = dict.fromkeys(run.manifest.baseline for run in known)
    last = known[-1].manifest
    mixed = [] if len({_versions(run) for run in known}) == 1 else ["The runs were made with different versions."]
    return AaCounts(
        machine=last.device.name,
        machine_key=machine_key(last.environment),
        condition=condition,
        created_utc=last.created_utc,
        tool_version=last.tool_version,
        rounds=min(len(warm_rounds(run)) for run in known),
        window_s=math.nan if last.settings is None else last.settings.window_s,
        threads=last.budget.threads,
        planned=planned,
        rows=tuple(tally(name, [item for item in found if item.backend == name]) for name in backends),
        all=tally("all", found),
        versions=dict(last.environment.get("packages", {})),
        grades=dict(sorted(Counter(str(segment.noise.grade) for run in known for segment in run.segments).items())),
        notes=(*notes, *mixed),
        protocol=" and ".join(sorted({protocol(run.launches) for run in known})),
        wall_s=sum(wall_s(run.launches) for run in known),
    )


def _versions(run: Run) -> str:
    return stable_hash(run.manifest.environment.get("packages", {}))
