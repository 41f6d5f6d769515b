"""How noisy earlier runs of the same workloads were: what a pilot of three rounds cannot see of a machine."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from steelyard.analysis import control_spreads
from steelyard.core.errors import StoreError
from steelyard.core.run import Manifest
from steelyard.engine.estimate import Rounds, seen
from steelyard.engine.plan import Plan
from steelyard.hardware.fingerprint import fingerprint
from steelyard.hardware.machine import machine_key
from steelyard.stats.planning import ENOUGH_RUNS, EarlierNoise
from steelyard.store import open_run, read_manifest, runs_once

_LOOKED_AT = 3 * ENOUGH_RUNS
"""Runs that were interrupted have too few rounds, which only their data tells; so many are opened at most."""


def noise_seen(root: Path, manifest: Manifest) -> dict[tuple[str, str], EarlierNoise]:
    """The noise of the ten newest earlier runs under `root`, by point key and timed metric.

    A run counts where it was made before this one, on the same machine and device, with the same budget, window, time,
    turns and baseline, and has at least 8 rounds that count. `--quick` and cold starts have none.
    """
    found: dict[tuple[str, str], list[float]] = {}
    for path in islice(_alike(root, manifest), _LOOKED_AT):
        try:
            spreads = control_spreads(open_run(path))
        except (StoreError, OSError):  # told by `bench list runs` and `bench store verify`; it has no say here
            continue
        for name, spread in spreads.items():
            found.setdefault(name, []).append(spread)
        if found and min(len(values) for values in found.values()) >= ENOUGH_RUNS:
            break
    newest = {name: values[:ENOUGH_RUNS] for name, values in found.items()}
    return {name: EarlierNoise(spread=max(values), runs=len(values)) for name, values in newest.items()}


def rounds_seen(root: Path, plan: Plan) -> Rounds | None:
    """What the rounds of the newest earlier run of the same plan took on this machine; None where there is none."""
    here, cases = machine_key(fingerprint()), {case.id for case in plan.cases}
    for path in islice(reversed(runs_once(root)), _LOOKED_AT):
        try:
            other = read_manifest(path)
            alike = (
                machine_key(other.environment) == here
                and other.device == plan.request.device
                and {case.id for case in other.cases} == cases
                and {arm.label for arm in other.arms} == {arm.label for arm in plan.arms}
                and other.settings is not None
                and other.settings.energy.stored == plan.request.energy.stored
            )
            if alike and (found := seen(plan, open_run(path))) is not None:
                return found
        except (StoreError, OSError):  # as above
            continue
    return None


def _alike(root: Path, manifest: Manifest) -> Iterator[Path]:
    """The runs made before this one in the same circumstances, newest first."""
    points = {case.point.key for case in manifest.cases}
    for path in reversed(runs_once(root)):
        try:
            other = read_manifest(path)
        except (StoreError, OSError):
            continue
        if (
            other.created_utc < manifest.created_utc
            and not (other.settings and other.settings.quick)
            and _terms(other) == _terms(manifest)
            and not points.isdisjoint(case.point.key for case in other.cases)
        ):
            yield path


def _terms(manifest: Manifest) -> tuple[object, ...]:
    """`time_s` is among them because it may shorten the windows."""
    baseline = next(arm.backend.text for arm in manifest.arms if arm.label == manifest.baseline)
    asked = manifest.settings
    planned = None if asked is None else (asked.scenario, asked.window_s, asked.time_s, asked.turns)
    return machine_key(manifest.environment), manifest.device, manifest.budget, planned, baseline
