"""A stored plan on this machine: which of its points and backends can be run here, and what is not the same.

Nothing of a bundle is executed: points are made by the suite that is installed here and must come out with the key
of the stored one, and a backend or suite that names code (`module.path:Class`) is used only where the user trusts it.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard import __version__, plugins
from steelyard.core.backend import Budget, Device
from steelyard.core.errors import CheckpointError, StoreError, SuiteError, UsageError, unknown_name
from steelyard.core.run import LeftOut, Manifest
from steelyard.core.settings import Settings, missing, read
from steelyard.core.workload import STREAMS, Point, Selection, Suite
from steelyard.engine.plan import Request
from steelyard.lowering.points import points_of
from steelyard.store.differences import differences


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What will be run again: the request, the points, and what of the original is left out, with reasons."""

    request: Request
    points: tuple[Point, ...]
    left_out: tuple[LeftOut, ...]


def replay_of(
    stored: Manifest,
    *,
    device: Device,
    cpus: Sequence[int],
    rounds: int | None,
    time_s: float | None,
    workloads: Sequence[str],
    weights: Path | None,
    trust: bool,
) -> Replay:
    """The plan of a stored run for this machine. The limit of time is not taken over: other machines need other times.

    Raises StoreError for a run that does not say its plan, UsageError where nothing of it can be run here.
    """
    plan = settings(stored)
    suite = suite_of(plan.suite, trust=trust)
    points, gone = _points(stored, suite, workloads, weights)
    backends, absent = _backends(stored, trust=trust)
    baseline = next(arm.backend.text for arm in stored.arms if arm.label == stored.baseline)
    left_out = (*absent, *gone)
    if not points or not backends:
        raise UsageError(
            "nothing of this run can be run here: " + "; ".join(_left_out_text(entry) for entry in left_out)
        )
    request = Request(
        suite=plan.suite,
        backends=backends,
        device=device,
        budget=dataclasses.replace(stored.budget, threads=len(cpus), cpus=tuple(cpus)),
        selection=Selection(device_kind=device.kind, device_memory_bytes=device.memory_bytes),
        baseline=baseline if baseline in backends else backends[0],
        scenario=plan.scenario,
        rounds=rounds if rounds is not None else None if plan.quick else plan.maximum_rounds,
        quick=plan.quick,
        time_s=time_s,
        window_s=plan.window_s,
        energy=plan.energy,
        seed=plan.seed,
        turns=plan.turns,
        piece=plan.piece,
        ladders=plan.ladders,
    )
    return Replay(request=request, points=points, left_out=left_out)


def points_here(stored: Manifest, suite: Suite, weights: Path | None) -> tuple[Point, ...]:
    """The points of a stored run, each as the installed suite makes it: what a file says of code is never called.

    Raises StoreError for those that the suite makes otherwise or not at all.
    """
    points, gone = _points(stored, suite, (), weights)
    if gone:
        raise StoreError(
            f"run {stored.run_id} cannot be gone on with here: "
            + "; ".join(_left_out_text(entry) for entry in gone)
            + "; use the same versions and --weights"
        )
    return points


def settings(stored: Manifest, meter: str = "") -> Settings:
    """What a run stored of its request. Raises StoreError naming what is missing."""
    found = read(stored.plan, meter)
    if found is None:
        lacking = ", ".join(missing(stored.plan))
        raise StoreError(f"run {stored.run_id}: its plan does not say {lacking}; it cannot be run again")
    return found


def unlike_here(stored: Manifest, device: Device, budget: Budget, environment: Mapping[str, Any]) -> tuple[str, ...]:
    """What differs between the machine and versions of a run and these, as `name: stored -> here`."""
    here = dataclasses.replace(stored, tool_version=__version__, device=device, budget=budget, environment=environment)
    return tuple(text for text in differences(stored, here) if not text.startswith("case "))


def refuse_unlike(stored: Manifest, here: Manifest) -> None:
    """Raises StoreError that names each point which is not the same work here, and in what it differs."""
    found = []
    for key, facts in here.lowered.items():
        original = stored.lowered.get(key)
        if original is None:
            continue
        if parts := facts.identity.unlike(original.identity):
            title = next(case.point.title for case in here.cases if case.point.key == key)
            found.append(f"{title}: the identity differs in {' and '.join(parts)}")
    if found:
        raise StoreError(
            "nothing was measured, as it would not be the same work: "
            + "; ".join(found)
            + "; use the same checkpoint and versions, or choose others with --workload"
        )


def suite_of(name: str, *, trust: bool) -> Suite:
    """The suite of a stored run; code of its own only with `trust`. Raises UsageError."""
    if ":" in name and not trust:
        raise UsageError(f"the suite is code of its own, '{name}': look at it, install it, then use --trust")
    return plugins.suite(name)


def _backends(stored: Manifest, *, trust: bool) -> tuple[tuple[str, ...], tuple[LeftOut, ...]]:
    """The backends that are known here, and the others with the reason."""
    known, absent = [], []
    for arm in stored.arms:
        if arm.control or arm.sham:
            continue
        spec = arm.backend
        if ":" in spec.runner and not trust:
            reason = "it is code of its own: look at it, install it, then replay with --trust"
            absent.append(LeftOut(backend=spec.text, reason=reason))
            continue
        try:
            plugins.runner(spec.runner).check_options(spec)
        except UsageError as error:
            absent.append(LeftOut(backend=spec.text, reason=str(error)))
        else:
            known.append(spec.text)
    return tuple(known), tuple(absent)


def _points(
    stored: Manifest, suite: Suite, workloads: Sequence[str], weights: Path | None
) -> tuple[tuple[Point, ...], tuple[LeftOut, ...]]:
    """The stored points as the installed suite makes them, and those that it makes otherwise or not at all."""
    wanted = {case.point.key: case.point for case in stored.cases}
    names = {point.workload for point in wanted.values()}
    for name in workloads:
        if name not in names:
            raise unknown_name("workload of this run", name, names)
    made, missing = [], []
    for key, point in wanted.items():
        if workloads and point.workload not in workloads:
            missing.append(LeftOut(backend="all", reason="not chosen with --workload", point=point.title))
            continue
        try:
            candidates = points_of(suite, _selection(stored, suite, point, weights))
        except (UsageError, CheckpointError, SuiteError) as error:
            missing.append(LeftOut(backend="all", reason=str(error), point=point.title))
            continue
        same = next((candidate for candidate in candidates if candidate.key == key), None)
        if same is not None:
            made.append(same)
        else:
            reason = _unlike(point, candidates)
            missing.append(LeftOut(backend="all", reason=reason, point=point.title))
    return tuple(made), tuple(missing)


def _selection(stored: Manifest, suite: Suite, point: Point, weights: Path | None) -> Selection:
    """The user's words that led to a point."""
    own = [axis.name for axis in suite.axes if not axis.workloads or point.workload in axis.workloads]
    axes = {name: (str(point.axes[name]),) for name in (*own, STREAMS) if name in point.axes}
    size = point.axes.get("size")
    return Selection(
        device_kind=stored.device.kind,
        size=size if size in suite.sizes else None,
        device_memory_bytes=stored.device.memory_bytes,
        workloads=(point.workload,),
        axes=axes,
        weights_dir=None if weights is None else str(weights),
    )


def _unlike(point: Point, candidates: Sequence[Point]) -> str:
    """In what the suite's own point differs from the stored one."""
    twin = next((candidate for candidate in candidates if candidate.title == point.title), None)
    if twin is None:
        return "the suite that is installed here has no such configuration"
    parts = [
        field.name
        for field in dataclasses.fields(point)
        if field.name != "programs" and getattr(twin, field.name) != getattr(point, field.name)
    ]
    origins = [next(iter(item.programs.values())).weights for item in (point, twin)]
    if origins[0] != origins[1]:
        parts.append(f"weights ({origins[0].origin} there, {origins[1].origin} here)")
    elif twin.programs != point.programs:
        parts.append("programs")
    return f"the suite that is installed here makes it otherwise: {', '.join(parts)}"


def _left_out_text(entry: LeftOut) -> str:
    return f"{entry.point or entry.backend}: {entry.reason}"
