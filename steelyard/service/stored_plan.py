"""The plan of a stored run, made again from its manifest for the rounds that are still to come."""

from collections.abc import Mapping
from pathlib import Path

from steelyard import plugins
from steelyard.artifact.replay import points_here, settings
from steelyard.core.run import Manifest, Run
from steelyard.core.workload import Selection
from steelyard.engine.bundles import together_of
from steelyard.engine.own_code import own_code
from steelyard.engine.plan import COLD_START_ROUNDS, MAXIMUM_ROUNDS, Plan, Request
from steelyard.environments.kept import used
from steelyard.guard.contamination import unpaired_rounds


def rounds_done(run: Run, scenario: str) -> int:
    """How many rounds of a stored run count towards a plan: the whole warm ones without contamination, in which no
    launch of the baseline or the control arm lost its time to the host.

    Where nothing is timed each round counts, round 0 of every segment too: none of them is warm, and none is repeated.
    """
    if scenario != "single-stream":
        return sum(len(segment.rounds) for segment in run.segments)
    unpaired = unpaired_rounds(run.launches, run.manifest.arms, run.manifest.baseline)
    return sum(len({*segment.rounds} - {0, *segment.disturbed} - unpaired) for segment in run.segments)


def plan_of(
    manifest: Manifest,
    *,
    time_s: float | None,
    rounds: int | None,
    timeouts: Mapping[str, float],
    done: int,
    weights: Path | None = None,
    meter: str = "",
) -> Plan:
    """The plan of a stored run, for the rounds that are still to come.

    `done` rounds are measured already (`rounds_done`); they count towards the minimum and the maximum. Raises
    StoreError where the suite that is installed here does not make its points.
    """
    stored = settings(manifest, meter)
    suite = plugins.suite(stored.suite)
    request = Request(
        suite=stored.suite,
        backends=tuple(arm.backend.text for arm in manifest.arms if not arm.control and not arm.sham),
        device=manifest.device,
        budget=manifest.budget,
        selection=Selection(device_kind=manifest.device.kind),
        baseline=manifest.baseline,
        scenario=stored.scenario,
        rounds=rounds,
        quick=stored.quick,
        time_s=time_s if time_s is not None else stored.time_s,
        window_s=stored.window_s,
        energy=stored.energy,
        seed=stored.seed,
        turns=stored.turns,  # a run from before there were turns goes on as it began
        piece=stored.piece,
        timeouts=timeouts,
        aa_arms=sum(arm.sham for arm in manifest.arms),
        ladders=stored.ladders,
        latency_bound_s=stored.latency_bound_s,
    )
    backends = {arm.backend.text: arm.backend for arm in manifest.arms}
    maximum = rounds if rounds is not None else max(stored.maximum_rounds - done, 0)
    if rounds is None and maximum == 0:
        maximum = {"cold-start": COLD_START_ROUNDS, "correctness": 0, "traced": 1}.get(stored.scenario, MAXIMUM_ROUNDS)
    return Plan(
        request=request,
        suite=suite,
        points=points_here(manifest, suite, weights),
        arms=manifest.arms,
        baseline=next(arm for arm in manifest.arms if arm.label == manifest.baseline),
        left_out=manifest.left_out,
        formats={text: plugins.runner(spec.runner).needs(spec) for text, spec in backends.items()},
        minimum_rounds=max(0, stored.minimum_rounds - done),
        maximum_rounds=maximum,
        code=own_code(backends.values()),
        environments=used(backends.values()),
        done=done,
        together=together_of(suite, timed=request.timed),
    )
