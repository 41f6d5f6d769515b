"""What each arm measured, by itself: estimates over launches, spread, percentiles, start-up, memory."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from steelyard.analysis.sides import Side, Sides, median, sides_of
from steelyard.analysis.verdict import as_ratio
from steelyard.core.comparison import Estimate
from steelyard.core.result import Place, Result
from steelyard.core.run import Run
from steelyard.measure.driver import metric_of, metrics_of
from steelyard.stats.alike import alike
from steelyard.stats.few import all_paired, paired
from steelyard.stats.hodges_lehmann import one_samples
from steelyard.stats.quantile import clustered_percentile, of_sorted, supported
from steelyard.stats.spread import Spreads, coefficient_of_variation, describe_rows

State = Literal["steady", "cold", "warm"]
PHASES = ("import_s", "load_s", "compile_s", "first_run_s", "second_run_s")
_PERCENTILES = (("p90", 0.90), ("p99", 0.99))


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One metric of one arm at one point over the launches that ended ok; values in the metric's base unit.

    Launches of contaminated rounds are left out, but for `statuses`.

    `metric` is a timed metric or `energy_j` (state `steady`), a phase as `compile_s/cold` or `compile_s/warm`, or a
    memory peak as `host_peak_bytes/steady` (warm rounds) or `host_peak_bytes/steady/cold`.
    `estimate` is the Hodges-Lehmann location of the launch values with a 95 % interval, on the log
    scale for timed metrics; None with `reason` where there is no value. `samples` counts steady samples.

    Only for timed metrics: `mad` and `lag1` are medians over launches of what each launch's steady
    samples show; `effective_samples` is their sum over launches; `far_share` the share of samples
    beyond 3 MAD; `between_cv` the coefficient of variation of launch medians; `cut` the median number
    of calls to the steady state; `p90` and `p99` are None where the samples are too few for them;
    `steady` counts classes and `statuses` outcomes, cold round included.
    """

    arm: str
    point: str
    title: str
    workload: str
    metric: str
    unit: str
    state: State
    estimate: Estimate | None
    launches: int
    reason: str = ""
    samples: int | None = None
    mad: float | None = None
    between_cv: float | None = None
    lag1: float | None = None
    effective_samples: float | None = None
    far_share: float | None = None
    cut: float | None = None
    p90: Estimate | None = None
    p99: Estimate | None = None
    steady: Mapping[str, int] = field(default_factory=dict)
    statuses: Mapping[str, int] = field(default_factory=dict)


class _Values(NamedTuple):
    """What launches have one value of, before it is summed up: those of a whole run at once cost little more than one.

    `reason` says why there is no value, where more is known than that there was no launch.
    """

    side: Side
    metric: str
    state: State
    values: Sequence[float]
    statuses: Mapping[str, int]
    reason: str = ""


def summaries(run: Run, *, sides: Sides | None = None) -> tuple[Summary, ...]:
    """Every arm at every point: timed metrics, energy, then phases, then memory peaks.

    `sides` is the run's index where it is at hand already.

    Phases and memory come only from launches in which the case ran first. Round 0 is cold, as is every
    round of the scenario cold-start. Each segment of a resumed run has a round 0: cold values are as many as
    segments, and so few launches have no interval.
    """
    sides = sides or sides_of(run)
    cold_points = {case.point.key for case in run.manifest.cases if case.scenario == "cold-start"}
    spreads, middles = _spreads(sides), locations(sides)
    found: list[Summary | _Values] = []
    for key, point in sides.points.items():
        for arm in sides.arms:
            side = sides.side(arm, key)
            statuses: Mapping[str, int] = Counter(str(result.status) for result in side.results)
            for metric in metrics_of(point):
                name = arm.label, key, metric
                found.append(_timed(side, metric, statuses, middles[name], spreads[name]))
            found.append(_energy(side, statuses))
            found += _once(side, statuses, always_cold=key in cold_points)
    known = [item.values for item in found if isinstance(item, _Values) and item.values]
    estimates = iter(one_samples(known))
    return tuple(item if isinstance(item, Summary) else _valued(item, estimates) for item in found)


def launch_medians(run: Run, *, sides: Sides | None = None) -> Mapping[tuple[str, str, str], Mapping[Place, float]]:
    """The median of each launch's steady samples by place, for each (arm, point key, timed metric)."""
    sides = sides or sides_of(run)
    return {
        (arm.label, key, metric): sides.side(arm, key).medians(metric)
        for key, point in sides.points.items()
        for arm in sides.arms
        for metric in metrics_of(point)
    }


def launch_cuts(run: Run) -> Mapping[tuple[str, str, str, Place], int]:
    """Where the steady samples of each launch that counts begin, by arm, point key, timed metric and place."""
    sides = sides_of(run)
    return {
        (arm.label, key, metric, launch.place): launch.cut
        for key, point in sides.points.items()
        for arm in sides.arms
        for metric in metrics_of(point)
        for launch in sides.side(arm, key).launched(metric)
    }


def locations(sides: Sides) -> Mapping[tuple[str, str, str], Estimate | None]:
    """The Hodges-Lehmann location of launch medians, on the log scale, for each (arm, point key, timed metric).

    None without launches.
    """
    logs = {
        (arm.label, key, metric): np.log([launch.median for launch in launches])
        for key, point in sides.points.items()
        for arm in sides.arms
        for metric in metrics_of(point)
        if (launches := sides.side(arm, key).launched(metric))
    }
    found = {
        name: as_ratio(location.estimate())
        for name, location in zip(logs, all_paired(list(logs.values())), strict=True)
    }
    return {
        (arm.label, key, metric): found.get((arm.label, key, metric))
        for key, point in sides.points.items()
        for arm in sides.arms
        for metric in metrics_of(point)
    }


def _spreads(sides: Sides) -> Mapping[tuple[str, str, str], Spreads]:
    """The spread within each launch, by (arm, point key, timed metric), in the order of `launched`.

    Launches with equally many samples are described together, whatever side they are of.
    """
    samples: list[NDArray[np.float64]] = []
    ranges: dict[tuple[str, str, str], slice] = {}
    for key, point in sides.points.items():
        for arm in sides.arms:
            for metric in metrics_of(point):
                start = len(samples)
                samples += [launch.samples for launch in sides.side(arm, key).launched(metric)]
                ranges[arm.label, key, metric] = slice(start, len(samples))
    columns = np.empty((len(Spreads._fields), len(samples)))
    for places, rows in alike(samples):
        columns[:, places] = describe_rows(rows)
    return {name: Spreads(*columns[:, part]) for name, part in ranges.items()}


def _timed(
    side: Side, metric: str, statuses: Mapping[str, int], estimate: Estimate | None, spreads: Spreads
) -> Summary:
    launches = side.launched(metric)
    reason = "" if estimate is not None else side.failures or "no launch took steady samples"
    if estimate is None:
        return _summary(side, metric, "steady", None, 0, statuses, reason)
    steady = [launch.samples for launch in launches]
    mads, shares, lags, effective = spreads
    sizes = np.array([samples.size for samples in steady])
    lags = lags[~np.isnan(lags)]
    percentiles = {name: _percentile(steady, share) for name, share in _PERCENTILES}
    return Summary(
        arm=side.arm.label,
        point=side.key,
        title=side.title,
        workload=side.point.workload,
        metric=metric,
        unit=metric_of(side.point, metric).unit,
        state="steady",
        estimate=estimate,
        launches=len(launches),
        samples=sum(samples.size for samples in steady),
        mad=median(mads.tolist()),
        between_cv=coefficient_of_variation([launch.median for launch in launches]),
        lag1=median(lags.tolist()) if lags.size else None,
        effective_samples=None if np.isnan(effective).any() else float(effective.sum()),
        far_share=float(shares @ sizes) / int(sizes.sum()),
        cut=median([launch.cut for launch in launches]),
        p90=percentiles["p90"],
        p99=percentiles["p99"],
        steady=side.classes(metric),
        statuses=statuses,
    )


def _percentile(steady: Sequence[NDArray[np.float64]], share: float) -> Estimate | None:
    """The quantile over launches, given the samples of each, where these support it; else over all; else None.

    Samples of one launch are not independent: the interval of the second kind counts launches, too.
    """
    if all(supported(samples.size, share) for samples in steady):
        return as_ratio(paired(np.log([of_sorted(np.sort(samples), share) for samples in steady])).estimate())
    return clustered_percentile(steady, share)


def _energy(side: Side, statuses: Mapping[str, int]) -> _Values:
    """Energy of a call: one reading per warm launch, taken over its whole timed window."""
    warm = [result.energy for result in side.quiet if result.status == "ok" and result.round > 0]
    readings = [reading for reading in warm if reading is not None]
    values = [float(reading.value) for reading in readings if reading.value is not None]
    reason = next((reading.reason for reading in readings if reading.reason), "")
    return _Values(side, "energy_j", "steady", values, statuses, reason or side.failures or "no launch read a meter")


def _once(side: Side, statuses: Mapping[str, int], *, always_cold: bool) -> Iterator[_Values]:
    """What each launch has one value of."""
    first = [result for result in side.quiet if result.status == "ok" and result.first_in_launch]
    states: tuple[State, ...] = ("cold",) if always_cold else ("cold", "warm")
    for state in states:
        chosen = [result for result in first if always_cold or (result.round == 0) == (state == "cold")]
        for phase in PHASES:
            values = [result.phases[phase] for result in chosen if phase in result.phases]
            yield _Values(side, f"{phase}/{state}", state, values, statuses)
        for key in dict.fromkeys(key for result in chosen for key in result.memory):
            values, reason = _readings(chosen, key)
            yield _Values(side, key if state == "warm" else f"{key}/cold", state, values, statuses, reason)


def _readings(results: Sequence[Result], key: str) -> tuple[list[float], str]:
    readings = [result.memory[key] for result in results if key in result.memory]
    values = [float(reading.value) for reading in readings if reading.value is not None]
    return values, next((reading.reason for reading in readings if reading.reason), "")


def _valued(item: _Values, estimates: Iterator[Estimate]) -> Summary:
    """Sum it up by the next of the estimates, which are of the items that have values."""
    side, metric, state, values, statuses, reason = item
    if values:
        estimate = next(estimates)
        return _summary(side, metric, state, estimate, len(values), statuses, estimate.reason)
    told = reason or ("" if "ok" in statuses else side.failures) or f"it ran first in no {state} launch"
    return _summary(side, metric, state, None, 0, statuses, told)


def _summary(
    side: Side,
    metric: str,
    state: State,
    estimate: Estimate | None,
    launches: int,
    statuses: Mapping[str, int],
    reason: str,
) -> Summary:
    return Summary(
        arm=side.arm.label,
        point=side.key,
        title=side.title,
        workload=side.point.workload,
        metric=metric,
        unit=metric_of(side.point, metric).unit,
        state=state,
        estimate=estimate,
        launches=launches,
        reason=reason,
        statuses=statuses,
    )
