"""What a new run says of itself before anything is measured."""

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from steelyard import __version__, plugins
from steelyard.core.aa_counts import AaCounts
from steelyard.core.backend import TUNINGS, Device
from steelyard.core.ceilings import Ceilings
from steelyard.core.errors import StoreError
from steelyard.core.lowered import LoweredPoint
from steelyard.core.run import Manifest, TuningRow
from steelyard.core.settings import Settings
from steelyard.engine.lower import facts
from steelyard.engine.plan import Plan
from steelyard.hardware.ceilings.kept import newest as newest_ceilings
from steelyard.hardware.computed_peak import computed_peaks
from steelyard.hardware.fingerprint import fingerprint
from steelyard.hardware.kept_aa_counts import newest as newest_aa_counts
from steelyard.hardware.profiles import declared
from steelyard.service.command import stored_command
from steelyard.store import new_run_id

Say = Callable[[str], None]


def manifest_of(
    plan: Plan, lowered: Mapping[str, LoweredPoint], say: Say, command: Sequence[str] | None = None
) -> Manifest:
    """The manifest of a plan, now and on this machine. `command` is how it was asked for; by default, by this process.

    What was measured of the machine before and cannot be read is told and left out.
    """
    request = plan.request
    environment = fingerprint()
    profile = declared(request.device)
    return Manifest(
        run_id=new_run_id(plan.suite.name),
        tool_version=__version__,
        created_utc=now(),
        command=stored_command(sys.argv[1:]) if command is None else tuple(command),
        suite=plan.suite.name,
        suite_version=plan.suite.version,
        headline=plan.suite.headline,
        device=request.device,
        budget=request.budget,
        baseline=plan.baseline.label,
        arms=plan.arms,
        cases=plan.cases,
        left_out=plan.left_out,
        tunings=_tunings(plan),
        lowered={key: facts(point) for key, point in lowered.items()},
        plan=Settings(
            suite=request.suite,
            scenario=request.scenario,
            minimum_rounds=plan.minimum_rounds,
            maximum_rounds=plan.maximum_rounds,
            quick=request.quick,
            time_s=request.time_s,
            window_s=request.window_s,
            energy=request.energy,
            seed=request.seed,
            turns=request.turns,
            piece=request.piece,
            shard=request.shard,
            ladders=request.ladders,
            latency_bound_s=request.latency_bound_s,
            allow_foreign=None if request.device.kind == "cpu" else request.allow_foreign,
        ).stored,
        environment=environment,
        calibration=_aa_counts(environment, say, turns=request.turns),
        ceilings=_ceilings(environment, request.device, request.budget.threads, say),
        profile=profile,
        computed_peaks=computed_peaks(request.budget.cpus) if request.device.kind == "cpu" and profile is None else (),
        code=plan.code,
        environments=plan.environments,
    )


def now() -> str:
    """This second, UTC, as stored documents say it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _tunings(plan: Plan) -> tuple[TuningRow, ...]:
    return tuple(
        TuningRow(
            backend=arm.backend.text,
            tuning=tuning,
            options=plugins.runner(arm.backend.runner).tunings[tuning],
            keeps_cache=plugins.runner(arm.backend.runner).keeps_cache,
            formats=plan.formats[arm.backend.text],
        )
        for arm in plan.arms
        if not arm.control and not arm.sham
        for tuning in TUNINGS
    )


def _aa_counts(environment: Mapping[str, Any], say: Say, *, turns: bool) -> AaCounts | None:
    """The newest counts of this machine by the same protocol."""
    try:
        return newest_aa_counts(environment, turns=turns)
    except StoreError as error:
        say(f"the counts of A/A comparisons are left out: {error}; bench selftest --aa makes them anew")
        return None


def _ceilings(environment: Mapping[str, Any], device: Device, threads: int, say: Say) -> Ceilings | None:
    """The newest ceilings of this machine for so many threads."""
    try:
        return newest_ceilings(environment, device, threads)
    except StoreError as error:
        say(f"the ceilings are left out: {error}; bench hardware ceilings makes them anew")
        return None
