"""The runs of the stage `effect`: which they are, measuring what is missing, and what is read off them."""

import dataclasses
import sys
from pathlib import Path

from steelyard import plugins
from steelyard.analysis import compare_run, pilot
from steelyard.analysis.verdict import MARGIN
from steelyard.core.backend import Budget
from steelyard.core.errors import SteelyardError
from steelyard.core.run import Run, protocol
from steelyard.core.workload import Selection
from steelyard.engine.plan import MINIMUM_ROUNDS, Request
from steelyard.hardware.choice import choose_cpus, pick_device
from steelyard.service.earlier import noise_seen
from steelyard.service.whole_runs import whole_run
from steelyard.store import prepare_root
from tests.calibration import effect, files
from tests.calibration.effect import Compared, Found, Injected, Trial
from tests.calibration.slowed import PATH, slowed

BACKEND = "onnxruntime"
TRIALS = 20
PILOT_ROUNDS = 3
ROUNDS = MINIMUM_ROUNDS
"""The number of rounds for which `bench run` prints the minimum detectable effect."""
WINDOW_S = 1.0
SIZE = "tiny"
AXES = {"batch": ("32",)}
"""Calls of half a millisecond and more, so that a window is as long as it says: the 5,000 calls that it has at most
would be over in 0.3 s, and a shared host may give half a core for so long to what was at rest before."""
WORKLOADS = ("decode", "prefill")
SUITE = dataclasses.replace(plugins.suite("llm"), headline=WORKLOADS[0])
"""The suite `llm` with a headline whose sample is one call and nothing else, so that all of it is slowed."""
SUITE_PATH = f"{__name__}:SUITE"
_FOLDER = Path("bench-results") / "selftest" / "effect"
_KINDS = ("pilot", "full", "third")


def run(folder: Path, *, trials: int = TRIALS, runs: Path = _FOLDER) -> None:
    """Measure the trials from where they stopped; the counts are written after each. Raises SteelyardError if
    interrupted."""
    prepare_root(runs)
    full: list[Trial] = []
    third: list[Trial] = []
    unpromised: list[int] = []
    last: Run | None = None
    number = 0
    while len(full) < trials:
        number += 1
        promised = promise(_measured(pilot_request(number), runs), runs)
        if promised is None:
            unpromised.append(number)
            continue
        for name, by, into in (("full", promised, full), ("third", round(promised / 3, 5), third)):
            last = _measured(slowed_request(number, name, by), runs)
            into.append(judged(last, number, promised, by))
        found = Found(
            machine=last.manifest.device.name,
            created_utc=last.manifest.created_utc,
            window_s=WINDOW_S,
            setting=" ".join([SIZE, *(f"{name}={','.join(values)}" for name, values in AXES.items())]),
            rows=(Injected(backend=BACKEND, workloads=WORKLOADS, full=tuple(full), third=tuple(third)),),
            unpromised=tuple(unpromised),
            protocol=protocol(last.launches),
        )
        files.write(folder / effect.FILE, found)
        print(
            f"trial {len(full)} of {trials} (pilot {number}): {promised:.1%} promised; "
            f"{sum(trial.found for trial in full)} of {len(full)} found",
            file=sys.stderr,
        )


def pilot_request(number: int) -> Request:
    """The backend against itself, in as many comparisons as the run that it is for has."""
    return _request(number, "pilot", (BACKEND,), rounds=PILOT_ROUNDS, aa_arms=1)


def slowed_request(number: int, kind: str, by: float) -> Request:
    """The backend, and the same slowed down."""
    return _request(number, kind, (BACKEND, slowed(BACKEND, by)), rounds=ROUNDS, aa_arms=0)


def _request(number: int, kind: str, backends: tuple[str, ...], *, rounds: int, aa_arms: int) -> Request:
    device = pick_device("cpu")
    return Request(
        suite=SUITE_PATH,
        backends=backends,
        device=device,
        budget=Budget(threads=1, cpus=choose_cpus(1, None)),
        selection=Selection(
            device_kind=device.kind,
            size=SIZE,
            device_memory_bytes=device.memory_bytes,
            workloads=WORKLOADS,
            axes=AXES,
        ),
        baseline=BACKEND,
        rounds=rounds,
        window_s=WINDOW_S,
        seed=100 * number + _KINDS.index(kind),
        aa_arms=aa_arms,
    )


def _measured(request: Request, runs: Path) -> Run:
    run = whole_run(request, runs)
    if run is None:
        raise SteelyardError("interrupted; what was measured is kept, and `make calibrate STAGES=effect` goes on")
    return run


def promise(run: Run, runs: Path) -> float | None:
    """The largest slowdown that `bench run` prints for its primary comparisons after these rounds, as printed.

    `runs` is where the earlier runs of this machine lie. None where a pilot does not say what would be found.
    """
    printed = [
        entry.detectable
        for entry in pilot(run, rounds=ROUNDS, seen=noise_seen(runs, run.manifest))
        if entry.family == "primary" and entry.detectable is not None and not entry.arm.endswith("(control)")
    ]
    return round(max(printed), 3) if printed else None


def judged(run: Run, number: int, promised: float, by: float) -> Trial:
    """What a run with a slowdown of `by` says."""
    slow = {arm.label for arm in run.manifest.arms if arm.backend.runner == PATH}
    headline, others = None, []
    for item in compare_run(run):
        if item.candidate in slow and item.workload == run.manifest.headline:
            headline = item
            continue
        truly = by if item.candidate in slow else 0.0
        others.append(
            Compared(
                candidate="slowed" if item.candidate in slow else "control" if item.factor == "control" else "sham",
                workload=item.workload,
                verdict=item.verdict,
                slower_by=truly,
                ratio=None if item.ratio is None else item.ratio.value,
                wrong=effect.wrong(item.verdict, truly, MARGIN),
            )
        )
    if headline is None:
        raise SteelyardError(f"{run.manifest.run_id}: no comparison of the slowed backend at the headline")
    return Trial(
        number=number,
        promised=promised,
        by=by,
        rounds=int(headline.evidence["rounds"]),
        spread=headline.evidence.get("spread"),
        verdict=headline.verdict,
        ratio=None if headline.ratio is None else headline.ratio.value,
        grade="".join(sorted({segment.noise.grade for segment in run.segments})),
        elsewhere=tuple(others),
    )
