"""What one run says of each of its cases, small enough to be kept for years."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median

from steelyard.analysis.sides import Side, sides_of
from steelyard.analysis.withheld import too_noisy
from steelyard.core.hashing import stable_hash
from steelyard.core.run import Manifest, Run
from steelyard.hardware.machine import machine_key
from steelyard.measure.driver import metrics_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """What is measured again and again: a metric of a backend at a configuration, on one machine under one budget.

    `point` is the configuration's key, so that a suite that changes what it computes begins another series; `terms` is
    a hash of what else a time hangs on (device, budget, window, turns).
    """

    suite: str
    title: str
    point: str
    arm: str
    metric: str
    machine: str
    device: str
    terms: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """A series in one run. `value` is the median over `launches` of the medians of a launch, in the metric's unit; None
    where there is none, for the `reason`. `reason` with a value says why it counts for nothing.

    `stack` are the versions below the number: the runtime's packages, the kernel, the driver.
    """

    run: str
    created_utc: str
    series: Series
    value: float | None
    launches: int
    stack: Mapping[str, str] = field(hash=False)
    reason: str = ""

    @property
    def key(self) -> tuple[str, Series]:
        """A run counts once in a series."""
        return self.run, self.series


def nights_of(run: Run) -> Iterator[Night]:
    """A record for each timed metric of each case; control arms have none, traced runs no time. What was joined from
    the runs of shards counts with these."""
    if run.traced or "joined" in run.manifest.plan:
        return
    manifest, sides, noisy = run.manifest, sides_of(run), too_noisy(run)
    machine, terms = machine_key(manifest.environment), _terms(manifest)
    for key, point in sides.points.items():
        for arm in sides.arms:
            if arm.control or arm.sham:
                continue
            side = sides.side(arm, key)
            for metric in metrics_of(point):
                found = tuple(side.medians(metric).values())
                yield Night(
                    run=manifest.run_id,
                    created_utc=manifest.created_utc,
                    series=Series(
                        suite=manifest.suite,
                        title=point.title,
                        point=key,
                        arm=arm.label,
                        metric=metric,
                        machine=machine,
                        device=manifest.device.id,
                        terms=terms,
                    ),
                    value=median(found) if found else None,
                    launches=len(found),
                    stack=_stack(manifest, side),
                    reason=_reason(side, found, noisy or side.withheld),
                )


def _reason(side: Side, found: tuple[float, ...], noisy: str) -> str:
    if side.wrong or not found:
        return side.failures or "no launch gave a number"
    return side.approximate or (noisy and f"too noisy: {noisy}")


def _terms(manifest: Manifest) -> str:
    """Memory counts in GiB: what a kernel leaves of it differs from one to the next."""
    settings, device = manifest.settings, manifest.device
    memory = None if device.memory_bytes is None else round(device.memory_bytes / 2**30)
    how = None if settings is None else [settings.window_s, settings.turns]
    return stable_hash([device.kind, device.name, memory, manifest.budget, how], 16)


def _stack(manifest: Manifest, side: Side) -> Mapping[str, str]:
    """The versions that the runtime tells of itself, and those of the system below it."""
    proof = next((result.proof for result in side.results if result.proof is not None), None)
    versions = {} if proof is None else dict(proof.versions)
    environment = manifest.environment
    below = {name: environment.get(name) for name in ("kernel", "libc", "python")}
    boards = environment.get("gpus")
    for board in boards if isinstance(boards, list) else ():
        below["driver"] = board.get("driver")
    return versions | {name: value for name, value in below.items() if isinstance(value, str)}
