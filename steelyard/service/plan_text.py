"""The plan as text, and what its first rounds let it find."""

import math
from collections.abc import Iterator, Mapping

from steelyard.analysis import pilot
from steelyard.core.backend import parse_backend
from steelyard.core.run import Run
from steelyard.core.targets import EXPERIMENTAL, unseen
from steelyard.engine.estimate import TimeEstimate
from steelyard.engine.pacing import overtime_s, shortened
from steelyard.engine.plan import Plan
from steelyard.measure.driver import metrics_of
from steelyard.stats.planning import EarlierNoise, rounds_to_fire
from steelyard.tables.format import counted

PILOT_ROUNDS = 3
TARGET_HALF_WIDTH = 0.02


def describe(plan: Plan, guess: TimeEstimate) -> Iterator[str]:
    """What will run, what will not and why, and about how long it takes."""
    request = plan.request
    cpus = ",".join(map(str, request.budget.cpus))
    yield (
        f"suite {plan.suite.name} on {request.device.name} ({request.device.id}), "
        f"{counted(request.budget.threads, 'thread')} on CPUs {cpus}, tuning {request.budget.tuning}, "
        f"{request.scenario}"
    )
    if request.budget.memory_cap_bytes is not None:
        yield f"memory: at most {request.budget.memory_cap}; each case in launches of its own"
    labels = [arm.label for arm in plan.arms if not arm.control]
    control = "" if request.alone else f"; baseline {plan.baseline.label}, measured twice a round as control"
    yield f"backends: {', '.join(labels)}{control}"
    if not request.alone and plan.baseline.backend.text != parse_backend(request.baseline).text:
        yield f"the baseline {request.baseline} cannot run here: all are compared with {plan.baseline.label} instead"
    if told := unseen([arm.backend for arm in plan.arms], request.device.kind):
        yield f"{EXPERIMENTAL}: {', '.join(told)} on {request.device.kind}; read the proof before the numbers"
    if request.budget.l2 is not None:
        yield f"L2 cache of the device: {request.budget.l2} when a call begins"
    for entry in plan.left_out:
        yield f"left out: {entry.backend}: {entry.reason}"
    for point in plan.points:
        origin = ", ".join(sorted({weights.origin for weights in point.weights.values()}))
        stated = dict.fromkeys(filter(None, (plan.case(arm, point).stated for arm in plan.arms)))
        yield f"  {point.title} weights={origin}{''.join(f' tolerance={text}' for text in stated)}"
    always_cold = not request.timed
    rounds = f"one cold, then {plan.minimum_rounds} to {plan.maximum_rounds}"
    if always_cold:
        rounds = f"{plan.maximum_rounds or 1}, each with empty compile caches"
    if request.scenario == "traced":
        launches = counted(plan.maximum_rounds, "launch", "launches")
        yield f"{launches} of each backend with the profiler of its runtime, of which nothing is timed"
    else:
        yield f"rounds: {rounds}; {counted(len(plan.points), 'case')} x {len(plan.arms)} launches a round"
    if not always_cold:
        yield (
            "in turns: the launches of a warm round are alive together, one runs at a time, the others are stopped; if "
            f"the cold round shows that memory does not hold all, in groups with a launch of {plan.baseline.label} "
            "each, or one after the other"
            if request.turns
            else "the launches of a round run one after the other (--turns off)"
        )
    others = len(labels) - 1
    metrics = sum(len(metrics_of(point)) for point in plan.points)
    if not request.quick and others and not always_cold:
        yield _families(plan.primary, others * metrics - plan.primary)
    yield from _expected(plan, guess)


def _expected(plan: Plan, guess: TimeEstimate) -> Iterator[str]:
    """About how long it takes, and what the time that was given leaves of it."""
    lowering, rounds, request = guess.lowering, guess.rounds, plan.request
    # Steps in several processes take more, each by itself, than lowering does.
    terms = ", ".join(f"{name} {seconds / 60:.1f} min" for name, seconds in lowering.terms.items() if seconds >= 3)
    shared = f"in {lowering.processes} processes: " if lowering.processes > 1 else ""
    warm = f", a warm one {guess.round_s / 60:.1f} min" if request.timed else ""
    yield (
        f"estimate{' (rounds as in an earlier run here)' if rounds.earlier else ''}: lowering "
        f"{lowering.seconds / 60:.1f} min{f' ({shared}{terms})' if terms else ''}, the cold round "
        f"{rounds.cold_s / 60:.1f} min{warm}; with {counted(guess.count, 'more round')} {guess.total_s / 60:.0f} min; "
        f"disk {guess.disk_bytes / 1e9:.1f} GB, memory {guess.memory_bytes / 1e9:.1f} GB"
    )
    if request.time_s is None:
        return
    longer = f"; {overtime_s(plan) / 60:.1f} min more where verdicts need them" if plan.fewest_rounds else ""
    yield f"time: at most {request.time_s / 60:.0f} min, lowering included{longer}"
    if guess.schedule is not None and (told := shortened(plan, guess.schedule)):
        yield f"expected: {told}{_remedy(plan, guess)}"


def _remedy(plan: Plan, guess: TimeEstimate) -> str:
    """What to ask for instead where a run will not get to its verdicts."""
    schedule, time_s = guess.schedule, plan.request.time_s
    if schedule is None or time_s is None or not schedule.missing_s:
        return ""
    enough = f"--time {math.ceil((time_s + schedule.missing_s) * 1.1 / 60)}m"
    enough_alone = guess.alone is not None and not guess.alone.missing_s
    fewer = f", or --workload {plan.suite.headline}" if enough_alone else ""
    return f": ask for {enough}{fewer}"


def _families(primary: int, exploratory: int) -> str:
    """The smallest number of rounds at which each family can give a verdict."""
    parts = [f"primary ({counted(primary, 'comparison')}): {rounds_to_fire(max(1, primary))} rounds"]
    if exploratory:
        # Benjamini-Hochberg may fire on one member alone only at the level that Holm asks of it.
        parts.append(f"exploratory ({exploratory}): {rounds_to_fire(exploratory)} rounds for a single effect")
    return "verdicts become possible at: " + "; ".join(parts)


def detectable_effects(run: Run, rounds: int, seen: Mapping[tuple[str, str], EarlierNoise]) -> Iterator[str]:
    """What the pilot says of the primary comparisons: spread, minimum detectable effect, rounds needed.

    `seen` is the noise of earlier runs.
    """
    for entry in pilot(run, rounds=rounds, seen=seen):
        if entry.family != "primary" or entry.spread is None:
            continue
        found = f"none ({entry.reason})" if entry.detectable is None else f"a slowdown of {entry.detectable:.1%}"
        needed = "more than 10000" if entry.rounds_needed is None else f"{entry.rounds_needed}"
        yield (
            f"pilot: {entry.arm}, {entry.title}: spread between rounds {entry.spread:.1%}{_earlier(entry.seen)}; "
            f"minimum detectable effect in {rounds} rounds at this noise: {found}; "
            f"{needed} rounds for an interval of +-{TARGET_HALF_WIDTH:.0%}"
        )


def _earlier(seen: EarlierNoise | None) -> str:
    return "" if seen is None else f" (up to {seen.spread:.1%} in {counted(seen.runs, 'earlier run')})"
