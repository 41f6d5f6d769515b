"""Changes of level in a history measured again, old version and new in turns, before anybody is alarmed."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from steelyard import plugins
from steelyard.analysis import compare_run
from steelyard.artifact.replay import points_here, settings
from steelyard.core.backend import BackendSpec
from steelyard.core.comparison import Estimate
from steelyard.core.errors import SteelyardError
from steelyard.core.run import Manifest
from steelyard.core.workload import Selection
from steelyard.engine.plan import Request, make_plan
from steelyard.environments.made import at_version, package_of
from steelyard.history.changes import Change
from steelyard.service.running import run_plan
from steelyard.service.screen import Screen
from steelyard.store import open_run

Outcome = Literal["confirmed", "refuted", "undecided", "not repeatable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A series that became slower, and what measuring old and new side by side says of it. `speedup` is the old
    version's time over the new one's, `told` the run, or why there is none."""

    change: Change
    outcome: Outcome
    told: str
    speedup: Estimate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """How changes are measured again: for `time_s` seconds each, stored in `output`, with the local `weights` and the
    patience of the run that showed them."""

    output: Path
    time_s: float
    say: Callable[[str], None]
    weights: Path | None = None
    wait: bool = False


def confirm(changes: Sequence[Change], manifest: Manifest, again: Again) -> tuple[Alarm, ...]:
    """Each change that an older version of its runtime may explain is measured again: that version, in an environment
    of its own, and the present one in turns in one run, as the run of `manifest` was measured.

    What no version explains belongs to the machine, and cannot be repeated.
    """
    groups: dict[tuple[str, str], list[Change]] = {}
    found = []
    for change in changes:
        old = _older(change)
        if old is None:
            if not change.matters:
                continue  # it was worth a measurement, which there is none of
            told = "no version of its runtime changed: look at the machine, or at what else is in it"
            found.append(Alarm(change=change, outcome="not repeatable", told=told))
        else:
            groups.setdefault((change.series.arm, old), []).append(change)
    for (arm, old), members in groups.items():
        try:
            found += _measured(plugins.backend(arm), old, members, manifest, again)
        except SteelyardError as error:
            found += [Alarm(change=change, outcome="not repeatable", told=str(error)) for change in members]
    return tuple(found)


def _older(change: Change) -> str | None:
    """The version of its runtime before the change; None where that did not change, or the runner names no package."""
    spec = plugins.backend(change.series.arm)
    needed = plugins.runner(spec.runner).requirements
    if not needed:
        return None
    name = package_of(needed[0])
    before, after = change.versions.get(name, ("", ""))
    return before if before not in ("", "none") and after not in ("", "none") else None


def _measured(
    new: BackendSpec,
    version: str,
    changes: Sequence[Change],
    manifest: Manifest,
    again: Again,
) -> list[Alarm]:
    old = at_version(new, version, say=again.say)
    stored = settings(manifest)
    suite = plugins.suite(stored.suite)
    keys = {change.series.point for change in changes}
    request = Request(
        suite=stored.suite,
        backends=(old.text, new.text),
        device=manifest.device,
        budget=manifest.budget,
        selection=Selection(device_kind=manifest.device.kind),
        baseline=old.text,
        time_s=again.time_s,
        wait=again.wait,
        window_s=stored.window_s,
        turns=stored.turns,
        seed=stored.seed + 1,
    )
    points = tuple(point for point in points_here(manifest, suite, again.weights) if point.key in keys)
    with Screen() as screen:
        plan, started_s = make_plan(request, points), time.monotonic()
        ended = run_plan(plan, again.output, screen, started_s=started_s, weights=again.weights)
    run = open_run(ended.path)
    verdicts = {(item.point, item.metric): item for item in compare_run(run) if item.candidate == new.text}
    alarms = []
    for change in changes:
        item = verdicts.get((change.series.point, change.series.metric))
        if item is None:
            told = f"{run.manifest.run_id} has no comparison of {change.series.metric}"
            alarms.append(Alarm(change=change, outcome="undecided", told=told))
            continue
        outcome: Outcome = "confirmed" if item.verdict == "slower" else "refuted" if item.decided else "undecided"
        told = f"{old.text} against {new.text}: {item.verdict}, {run.manifest.run_id}"
        alarms.append(Alarm(change=change, outcome=outcome, told=told, speedup=item.speedup))
    return alarms
