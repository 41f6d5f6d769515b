"""The run of the stage `turns`: which it is, and what is read off it."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

from steelyard.analysis import set_aside
from steelyard.analysis.verdict import MARGIN, Question, as_ratio, decide
from steelyard.analysis.withheld import too_noisy
from steelyard.core.backend import Budget
from steelyard.core.errors import SteelyardError
from steelyard.core.result import LaunchRecord, Measurement, Result
from steelyard.core.run import Run
from steelyard.core.turn_rule import first_calls, spans
from steelyard.core.workload import Selection
from steelyard.engine.plan import Request
from steelyard.engine.turns import TURN_S, turn_s
from steelyard.hardware.choice import choose_cpus, pick_device
from steelyard.service.whole_runs import whole_run
from steelyard.stats.few import FEWEST, paired
from steelyard.store import prepare_root
from tests.calibration import files, turns
from tests.calibration.turns import InTurns, Tried

BACKENDS = ("onnxruntime", "openvino", "xla", "eager", "inductor")
"""The first is launched twice in each round, as baseline and as control arm: it starts fastest."""
WORKLOADS = ("decode", "prefill")
ROUNDS = 8
PIECE = 4
"""Turns that a piece lasts; three of them count."""
WINDOW_S = 8 * (1 + PIECE) * TURN_S
"""Eight turns, as in any window, and eight pieces."""
_FOLDER = Path("bench-results") / "selftest" / "turns"


def run(folder: Path, *, runs: Path = _FOLDER) -> None:
    """Measure from where it stopped and write what it says. Raises SteelyardError if interrupted."""
    prepare_root(runs)
    done = whole_run(request(), runs)
    if done is None:
        raise SteelyardError("interrupted; what was measured is kept, and `make calibrate STAGES=turns` goes on")
    files.write(folder / turns.FILE, judged(done))


def request(
    backends: Sequence[str] = BACKENDS, *, rounds: int = ROUNDS, window_s: float = WINDOW_S, size: str | None = None
) -> Request:
    """All backends at the suite's own size, with all cores as any run."""
    device, cpus = pick_device("cpu"), choose_cpus(None, None)
    return Request(
        suite="llm",
        backends=tuple(backends),
        device=device,
        budget=Budget(threads=len(cpus), cpus=cpus),
        selection=Selection(
            device_kind=device.kind, size=size, device_memory_bytes=device.memory_bytes, workloads=WORKLOADS
        ),
        baseline=backends[0],
        rounds=rounds,
        window_s=window_s,
        piece=PIECE,
    )


def judged(run: Run) -> Tried:
    """What a run says of its turns. Raises SteelyardError where its launches took none."""
    manifest = run.manifest
    apart = [segment.turns for segment in run.segments if segment.turns != "on"]
    if apart:
        raise SteelyardError(f"{manifest.run_id}: its launches were not alive together: {apart[0]}")
    return Tried(
        machine=manifest.device.name,
        created_utc=manifest.created_utc,
        size=str(manifest.cases[0].point.axes.get("size", "")),
        threads=manifest.budget.threads,
        turn_s=turn_s(manifest.plan["window_s"]),
        piece=manifest.plan["piece"],
        margin=MARGIN,
        grade="".join(sorted({segment.noise.grade for segment in run.segments})),
        rows=tuple(_rows(run)),
    )


def _rows(run: Run) -> Iterable[InTurns]:
    aside, noisy = set_aside(run), too_noisy(run)
    points = {case.id: case.point for case in run.manifest.cases}
    warm = {number for segment in run.segments for number in segment.rounds if number > 0}
    records = {record.launch: record for record in run.launches}
    workloads = dict.fromkeys(point.workload for point in points.values())
    for arm in run.manifest.arms:
        for workload in () if arm.control else workloads:
            found = [
                result
                for result in run.results
                if (result.arm, points[result.case_id].workload) == (arm.label, workload)
                and result.round in warm - aside[points[result.case_id].key].keys()
            ]
            yield _row(arm.label, workload, found, records, noisy)


def _row(backend: str, workload: str, found: Sequence[Result], records: dict[str, LaunchRecord], noisy: str) -> InTurns:
    logs, calls, firsts = [], [], []
    for result in found:
        latency = result.measurement("latency_s")
        turns = result.details.turns
        if result.status != "ok" or latency is None or turns is None:
            continue
        lengths = turns.lengths
        if (ratio := log_ratio(latency, lengths)) is not None:
            logs.append(ratio)
        calls += calls_of_turns(latency, lengths)
        firsts += first_call_ratios(latency, lengths)
    handovers = [records[result.launch].handover_s for result in found]
    known = [value for value in handovers if value is not None]
    failed = next((f"{result.status}: {result.reason}" for result in found if result.status != "ok"), "")
    verdict, reason, estimate = (
        "inconclusive",
        failed or "no launch has turns and pieces to hold against each other",
        None,
    )
    if logs:
        location = paired(logs)
        # Both sides are one process: what two launches of one program differ by is in neither.
        (answer,) = decide([Question(location=location, floor=0.0, p_value=None)], "primary")
        verdict, reason, estimate = answer.verdict, answer.reason, answer.ratio
        if len(logs) < FEWEST:
            estimate, reason = as_ratio(location.estimate()), f"{len(logs)} of {FEWEST} launches"
    if noisy and verdict != "inconclusive":
        verdict, reason = "withheld", noisy
    return InTurns(
        backend=backend,
        workload=workload,
        ratios=tuple(round(math.exp(value), 6) for value in logs),
        ratio=estimate,
        verdict=verdict,
        reason=reason,
        calls_a_turn=median(calls) if calls else None,
        first_call=median(firsts) if firsts else None,
        handover_s=median(known) if known else None,
    )


def log_ratio(latency: Measurement, lengths: Sequence[int]) -> float | None:
    """In turns / alone of one launch: the median over its turns of the log ratio of a turn's median to that of the
    piece beside it, the steady samples alone. `lengths` are those of its turns, of which every two that follow each
    other are a turn and a piece. None where no such two are left.
    """
    samples, starts = latency.samples, latency.starts_s
    left_out = set(first_calls(latency.turns, len(samples)))
    medians: dict[int, dict[bool, float]] = {}
    for number, (begin, end) in enumerate(spans(latency.turns, len(samples))):
        length = lengths[number]
        alone_s = starts[begin]
        if length > 1:
            alone_s += (starts[end - 1] + samples[end - 1] - starts[begin]) / length
        kept = [
            samples[index]
            for index in range(max(begin, latency.cut), end)
            if index not in left_out and starts[index] >= alone_s
        ]
        if kept:
            medians.setdefault(number // 2, {})[length > 1] = median(kept)
    ratios = [math.log(pair[False] / pair[True]) for pair in medians.values() if len(pair) == len({False, True})]
    return median(ratios) if ratios else None


def calls_of_turns(latency: Measurement, lengths: Sequence[int]) -> list[int]:
    """How many calls each turn has that is no piece."""
    found = spans(latency.turns, len(latency.samples))
    return [end - begin for (begin, end), length in zip(found, lengths, strict=True) if length == 1]


def first_call_ratios(latency: Measurement, lengths: Sequence[int]) -> list[float]:
    """Of each turn whose first call is left out, that call as a multiple of the median of the others."""
    left_out = set(first_calls(latency.turns, len(latency.samples)))
    found = zip(spans(latency.turns, len(latency.samples)), lengths, strict=True)
    return [
        latency.samples[begin] / median(latency.samples[begin + 1 : end])
        for (begin, end), length in found
        if length == 1 and begin in left_out
    ]
