"""The measurement of all ceilings: a process for each runtime, asked in turn, in rounds of random order."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from steelyard import __version__
from steelyard.core.backend import Budget, Device
from steelyard.core.ceilings import Ceiling, Ceilings, Unit, What
from steelyard.core.comparison import Estimate, Interval
from steelyard.core.errors import SteelyardError, Unsupported, UsageError, unknown_name
from steelyard.guard import proc
from steelyard.guard.preflight import preflight
from steelyard.hardware.ceilings.build import SOURCES, Library, library
from steelyard.hardware.ceilings.child import MODULES
from steelyard.hardware.ceilings.jobs import MeasurementOffer, MeasurementTerms, Ready, Start
from steelyard.hardware.ceilings.levels import levels
from steelyard.hardware.ceilings.process import Lost, Process
from steelyard.hardware.cpu import memory_bytes
from steelyard.hardware.fingerprint import fingerprint
from steelyard.hardware.machine import machine_key
from steelyard.stats.hodges_lehmann import one_sample

RUNTIMES = tuple(MODULES)
ROUNDS, QUICK_ROUNDS = 16, 6
"""Six values are the fewest that have a 95 % interval."""
_LOST_WITH: Mapping[str, tuple[tuple[What, Unit], ...]] = {
    "native": (("read", "B/s"), ("chase", "s"), ("fma", "1/s")),
    "instructions": (("independent", "cycles"),),
}
_SETTLE_S = 0.05
"""Between two processes: threads of the one that still spin for more work must have gone to sleep."""
_MEMORY_SHARE = 8
"""The working sets of all threads together take at most this part of the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CeilingRequest:
    """What the user asked of `bench hardware ceilings`. `most_bytes` bounds the working set of one thread, None: a
    share of the memory. Samples and preflight last less when `quick`."""

    device: Device
    budget: Budget
    runtimes: tuple[str, ...] = RUNTIMES
    rounds: int = ROUNDS
    quick: bool = False
    most_bytes: int | None = None
    seed: int = 0


@dataclass
class _Watched:
    """One process and what it has said. `lost` says why it is asked no more."""

    process: Process
    ready: Ready
    values: dict[int, list[float]] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)
    lost: str = ""


def measure(request: CeilingRequest, say: Callable[[str], None], root: Path = proc.ROOT) -> Ceilings:
    """Measure everything once a round. What cannot be measured is a row with its reason.

    `say` is told what happens. Raises UsageError for an unknown runtime.
    """
    for name in request.runtimes:
        if name not in MODULES:
            raise unknown_name("runtime", name, MODULES)
    if request.rounds < 1:
        raise UsageError(f"{request.rounds} rounds measure nothing: at least 1 is needed")
    environment = fingerprint(root)
    spin_s, idle_s = (0.4, 0.3) if request.quick else (1.0, 0.5)
    noise = preflight(request.budget.cpus, gpu=_board(request.device), spin_s=spin_s, idle_s=idle_s)
    say(f"machine noise: grade {noise.grade}" + "".join(f"; {text}" for text in noise.evidence))
    terms = _terms(request, root)
    absent: list[Ceiling] = []
    watched: list[_Watched] = []
    compiled: dict[str, Library] = {}
    try:
        for by in request.runtimes:
            found, reason = _started(by, terms, compiled)
            if found is None:
                absent += _absent(by, terms, reason)
            else:
                watched.append(found)
            say(f"{by}: {reason or _offered(found)}")
        _rounds(watched, request, say)
    finally:
        for each in watched:
            each.process.close()
    return Ceilings(
        machine=request.device.name,
        machine_key=machine_key(environment),
        device=request.device.id,
        threads=request.budget.threads,
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        tool_version=__version__,
        rounds=request.rounds,
        grade=noise.grade,
        rows=(
            *(row for each in watched for row in ceilings(each.process.by, each.ready, each.values, each.failures)),
            *absent,
        ),
        capacity_bytes=_capacities(request, root, watched),
        versions=environment["packages"],
        compiler="; ".join(dict.fromkeys(each.compiler for each in compiled.values())),
        evidence=noise.evidence,
        notes=tuple(note for each in watched for note in (*each.ready.notes, *([each.lost] if each.lost else []))),
    )


def ceilings(
    by: str, ready: Ready, values: Mapping[int, Sequence[float]], failures: Mapping[int, str]
) -> tuple[Ceiling, ...]:
    """The offers of a process as ceilings: the values of all rounds as an estimate, or the reason why there is none."""
    return tuple(
        _ceiling(by, offer, values.get(place, ()), failures.get(place, "")) for place, offer in enumerate(ready.offers)
    )


def settled(values: Sequence[float]) -> Estimate:
    """The Hodges-Lehmann location on the log scale, with its interval; rates and times give the same answer."""
    found = one_sample(np.log(values))
    ends = found.interval
    interval = None
    if ends is not None:
        interval = Interval(low=float(np.exp(ends.low)), high=float(np.exp(ends.high)), confidence=ends.confidence)
    reason = "" if interval is not None else f"{len(values)} rounds are too few for an interval; 6 would do"
    return replace(found, value=float(np.exp(found.value)), interval=interval, reason=reason)


def _ceiling(by: str, offer: MeasurementOffer, values: Sequence[float], failure: str) -> Ceiling:
    return Ceiling(
        what=offer.what,
        by=by,
        unit=offer.unit,
        threads=offer.threads,
        dtype=offer.dtype,
        instruction=offer.instruction,
        size=offer.size,
        level=offer.level,
        estimate=settled(values) if values else None,
        reason=offer.reason or failure or ("" if values else "its process ended before it was measured"),
    )


def _rounds(watched: Sequence[_Watched], request: CeilingRequest, say: Callable[[str], None]) -> None:
    """Every process once a round, and in it every offer once: both in random order, so that drift hits all alike."""
    dice = random.Random(request.seed)  # noqa: S311 (an order, no secret)
    for number in range(request.rounds):
        for each in dice.sample(watched, len(watched)):
            if each.lost:
                continue
            usable = [
                place
                for place, offer in enumerate(each.ready.offers)
                if not offer.reason and place not in each.failures
            ]
            time.sleep(_SETTLE_S)
            try:
                seen = each.process.visit(dice.sample(usable, len(usable)))
            except Lost as error:
                each.lost = f"{error} (in round {number + 1} of {request.rounds})"
                say(each.lost)
                continue
            for place, value in seen.values.items():
                each.values.setdefault(place, []).append(value)
            each.failures.update(seen.failures)
        say(f"round {number + 1} of {request.rounds}")


def _started(by: str, terms: MeasurementTerms, compiled: dict[str, Library]) -> tuple[_Watched | None, str]:
    """The process, ready, and its library in `compiled` where it has one of its own; or why there is none."""
    if by in SOURCES and terms.device_kind == "cpu":
        try:
            compiled[by] = library(by)
        except Unsupported as error:
            return None, str(error)
    process = Process(Start(by=by, terms=terms, library=str(compiled[by].path) if by in compiled else ""))
    try:
        ready = process.ready()
    except SteelyardError as error:
        process.close()
        return None, str(error)
    if ready.reason:
        process.close()
        return None, ready.reason
    return _Watched(process=process, ready=ready), ""


def _capacities(request: CeilingRequest, root: Path, watched: Sequence[_Watched]) -> dict[str, int]:
    """What the caches hold: those of a CPU as the system describes them, a device's as a runtime does."""
    if request.device.kind == "cpu":
        return {level.name: level.total_bytes for level in levels(request.budget.cpus, root)}
    return {name: size for each in watched for name, size in each.ready.capacity_bytes.items()}


def _absent(by: str, terms: MeasurementTerms, reason: str) -> list[Ceiling]:
    """Who could not be asked: a row for each kind of what it would have measured."""
    return [
        Ceiling(what=what, by=by, unit=unit, threads=terms.threads, reason=reason)
        for what, unit in _LOST_WITH.get(by, (("gemm", "1/s"),))
    ]


def _terms(request: CeilingRequest, root: Path) -> MeasurementTerms:
    memory = memory_bytes(root) if request.device.kind == "cpu" else request.device.memory_bytes
    fair = (memory or 1 << 30) // _MEMORY_SHARE // (request.budget.threads if request.device.kind == "cpu" else 1)
    return MeasurementTerms(
        device_kind=request.device.kind,
        device_index=request.device.index,
        threads=request.budget.threads,
        cpus=request.budget.cpus,
        sample_s=0.004 if request.quick else 0.012,
        product_s=0.012 if request.quick else 0.06,
        most_bytes=fair if request.most_bytes is None else min(fair, request.most_bytes),
        seed=request.seed,
    )


def _board(device: Device) -> int | None:
    return device.index if device.kind == "cuda" else None


def _offered(found: _Watched | None) -> str:
    offers = () if found is None else found.ready.offers
    refused = sum(1 for offer in offers if offer.reason)
    return f"{len(offers) - refused} things to measure" + (f", {refused} it cannot" if refused else "")
