"""How noisy earlier runs of the same workloads were: what a pilot of three rounds cannot see of a machine."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from steelyard.compare import control_spreads
from steelyard.core.errors import StoreError
from steelyard.core.run import Manifest
from steelyard.hardware.machine import machine_key
from steelyard.store import open_run, read_manifest, run_folders

NEWEST = 10
_LOOKED_AT = 2 * NEWEST


def noise_seen(root: Path, manifest: Manifest) -> dict[tuple[str, str], float]:
    """The largest spread of the control arm in the ten newest earlier runs, by point key and timed metric.

    A run counts if it was made before this one, on the same machine and device, with the same budget, window and
    baseline, and has at least 8 rounds that count. If runs are alike, the next one's spread exceeds the largest of ten
    in 1 run of 11, whatever the noise is made of.
    """
    found: dict[tuple[str, str], float] = {}
    counted = 0
    for path in islice(_alike(root, manifest), _LOOKED_AT):
        try:
            spreads = control_spreads(open_run(path))
        except StoreError:  # a damaged run is told by `bench list runs` and `bench store verify`; it has no say here
            continue
        counted += bool(spreads)
        for name, spread in spreads.items():
            found[name] = max(spread, found.get(name, 0.0))
        if counted == NEWEST:
            break
    return found


def _alike(root: Path, manifest: Manifest) -> Iterator[Path]:
    """The runs made before this one in the same circumstances, newest first."""
    points = {case.point.key for case in manifest.cases}
    for path in reversed(run_folders(root)):
        try:
            other = read_manifest(path)
        except (StoreError, OSError):
            continue
        if (
            other.created_utc < manifest.created_utc
            and _terms(other) == _terms(manifest)
            and not points.isdisjoint(case.point.key for case in other.cases)
        ):
            yield path


def _terms(manifest: Manifest) -> tuple[object, ...]:
    baseline = next(arm.backend.text for arm in manifest.arms if arm.label == manifest.baseline)
    window_s = manifest.plan.get("window_s")
    return machine_key(manifest.environment), manifest.device, manifest.budget, window_s, baseline
