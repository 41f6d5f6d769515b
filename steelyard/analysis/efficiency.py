"""How far each result is from what the hardware can do, and what a run made of the time that it had."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from steelyard.analysis.roofline import Roof, bandwidths, beyond, peaks, product, quotient, rate
from steelyard.analysis.sides import Side
from steelyard.analysis.work_per_call import traffic_bytes
from steelyard.core.ceilings import MEMORY
from steelyard.core.comparison import Estimate
from steelyard.core.run import Manifest
from steelyard.core.workload import DTYPE_BYTES
from steelyard.stats.hodges_lehmann import one_sample
from steelyard.stats.quantile import clopper_pearson


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a result reaches of one roof."""

    of: Roof
    estimate: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Efficiency:
    """What one backend reached at one point. `reason` says why there is nothing at all, else the fields are as known.

    `intensity` is operations per byte that cannot be avoided; `level` where those bytes may lie between two calls.
    `compute` and `memory` are the shares of the two roofs; the larger one is `fraction`, the share of what the roofline
    allows, and says by its roof what bounds the result. `utilisation` is the share of a declared peak, else of a
    computed one. `suspicious` says by how much a ceiling was passed, '' where none was.
    """

    flop: float | None = None
    bytes: float | None = None
    flop_per_s: Estimate | None = None
    bytes_per_s: Estimate | None = None
    intensity: float | None = None
    dtype: str = ""
    level: str = ""
    compute: Share | None = None
    memory: Share | None = None
    utilisation: Share | None = None
    suspicious: str = ""
    reason: str = ""

    @property
    def fraction(self) -> Share | None:
        """The share of the roof that is lower at this intensity; of the only one where the other is not known."""
        known = [share for share in (self.compute, self.memory) if share is not None]
        return max(known, key=lambda share: share.estimate.value, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Goodput:
    """What a run made of a backend's time at a point, as shares: of launches that ended ok, of a launch's time that
    was steady calls, of the ceiling in those; and their product, None where a factor is not known. `reason` says why,
    '' where it is the ceiling alone."""

    availability: Estimate | None
    steady: Estimate | None
    ceiling: Estimate | None
    goodput: Estimate | None
    reason: str = ""


class Machine:
    """The roofs of a run's device, looked up once for each dtype and level."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self.peaks = cache(self._peaks)
        self.bandwidths = cache(self._bandwidths)

    def level(self, traffic: float) -> str:
        """Where that much traffic may lie between two calls; without measured ceilings: memory."""
        ceilings = self._manifest.ceilings
        return MEMORY if ceilings is None else ceilings.level(traffic)

    def _peaks(self, dtype: str) -> tuple[Roof, ...]:
        manifest = self._manifest
        return peaks(dtype, manifest.ceilings, manifest.profile, manifest.computed_peaks)

    def _bandwidths(self, level: str) -> tuple[Roof, ...]:
        return bandwidths(level, self._manifest.ceilings, self._manifest.profile)


def efficiency(side: Side, latency: Estimate | None, manifest: Manifest, machine: Machine) -> Efficiency:
    """What a side reached; `latency` is its time of one call, None where it has none."""
    point, facts = side.point, manifest.lowered.get(side.key)
    flop, moved = point.work.flop, traffic_bytes(point, facts)
    intensity = flop / moved if flop and moved else None
    known = {"flop": flop, "bytes": moved, "intensity": intensity}
    if latency is None or side.wrong:
        return Efficiency(**known, reason=side.failures or "no launch gave a time")  # type: ignore[arg-type]
    dtype = computed_in(side)
    level = "" if moved is None else machine.level(moved)
    flop_per_s = rate(flop, latency) if flop else None
    bytes_per_s = rate(moved, latency) if moved else None
    compute = _share(flop_per_s, machine.peaks(dtype))
    memory = _share(bytes_per_s, machine.bandwidths(level)) if level else None
    declared = [roof for roof in machine.peaks(dtype) if roof.origin != "measured"]
    return Efficiency(
        **known,  # type: ignore[arg-type]
        flop_per_s=flop_per_s,
        bytes_per_s=bytes_per_s,
        dtype=dtype,
        level=level,
        compute=compute,
        memory=memory,
        utilisation=_share(flop_per_s, declared),
        suspicious=_suspicious(compute, memory),
    )


def goodput(side: Side, reached: Efficiency) -> Goodput:
    """The goodput of a side and what it is made of."""
    availability = _availability(side)
    steady = _steady(side)
    share = reached.fraction
    ceiling = None if share is None else share.estimate
    missing = [
        why
        for why, value in (
            ("nothing was launched", availability),
            ("no launch had a timed window", steady),
            (reached.reason, ceiling),
        )
        if value is None and why
    ]
    factors = [factor for factor in (availability, steady, ceiling) if factor is not None]
    return Goodput(
        availability=availability,
        steady=steady,
        ceiling=ceiling,
        goodput=None if None in (availability, steady, ceiling) else product(factors),
        reason="; ".join(missing),
    )


def computed_in(side: Side) -> str:
    """The dtype in which a side computes, as its runtime says; the program's where it says nothing of use."""
    program = next(iter(side.point.programs.values()))
    proof = next((result.proof for result in reversed(side.results) if result.proof is not None), None)
    return proof.dtype if proof is not None and proof.dtype in DTYPE_BYTES else program.dtype


def _share(reached: Estimate | None, roofs: Sequence[Roof]) -> Share | None:
    """The share of the first of these roofs."""
    if reached is None or not roofs:
        return None
    return Share(of=roofs[0], estimate=quotient(reached, roofs[0].estimate))


def _suspicious(*shares: Share | None) -> str:
    """By how much which ceilings were passed: then the work was not done, the clock was wrong, or the ceiling is."""
    return "; ".join(
        f"{share.estimate.value:.2f} times its ceiling ({share.of.origin}: {share.of.label})"
        for share in shares
        if share is not None and beyond(share.estimate)
    )


def _availability(side: Side) -> Estimate | None:
    """The share of launches that ended ok."""
    total = len(side.results)
    if not total:
        return None
    ok = sum(result.status == "ok" for result in side.results)
    return Estimate(value=ok / total, interval=clopper_pearson(ok, total), n=total)


def _steady(side: Side) -> Estimate | None:
    """The share of a launch's time that was spent in calls after the warm-up cut: over phases and timed calls."""
    shares = []
    for launch in side.launched("latency_s"):
        result = next((r for r in side.results if r.place == launch.place and r.status == "ok"), None)
        if result is None:
            continue
        steady, calls = float(np.sum(launch.samples)), float(np.sum(np.asarray(launch.measurement.samples)))
        shares.append(steady / (calls + sum(result.phases.values())))
    return one_sample(shares) if shares else None
