"""Native-path overhead, our path against each runtime's native way: the runs it takes, and the rows that they give.

A pair is an ordinary run of `bench run` with our backend as the baseline and the native variant as the one candidate.
The log ratio ours / native of each round gives the Hodges-Lehmann estimate with the exact signed-rank interval; each
row stands by itself at 95 %, against a margin of 3 %. Where an interval reaches far below the margin but not above it,
ours is neither equivalent nor proved faster: it costs no more.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from steelyard.analysis.sides import Side, sides_of
from steelyard.analysis.verdict import Question, as_ratio, decide, percent
from steelyard.analysis.withheld import too_noisy
from steelyard.analysis.within import obstacle, pair, span
from steelyard.core.backend import Budget, Device
from steelyard.core.errors import unknown_name
from steelyard.core.run import Run
from steelyard.core.workload import Selection
from steelyard.engine.plan import Request
from steelyard.stats import signed_rank
from steelyard.stats.hodges_lehmann import paired
from steelyard.stats.planning import MINIMUM_ROUNDS
from tests.validation import agreement
from tests.validation.native_overhead_rows import OverheadRow, OverheadVerdict

MARGIN = agreement.MARGIN
SUITE = "llm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Our backend and the native variant of its runtime. `seconds` are what a warm round of both costs beside the
    windows, and how many of them the cold round takes: orders of magnitude from a 2-core machine at size tiny."""

    ours: str
    native: str
    workloads: tuple[str, ...] = ("prefill", "decode")
    seconds: tuple[float, float] = (4.0, 1.5)


_MODULE = "tests.validation"
PAIRS = (
    Pair(ours="eager", native=f"{_MODULE}.native_torch:Native", seconds=(16, 1)),
    Pair(ours="inductor", native=f"{_MODULE}.native_torch:NativeCompiled", seconds=(24, 4)),
    Pair(ours="xla", native=f"{_MODULE}.native_xla:Native", seconds=(6, 2)),
    Pair(ours="onnxruntime", native=f"{_MODULE}.native_onnxruntime:Native", seconds=(4, 1)),
    # A stateful model grows with each call: its decode steps are measured in the answer that they belong to.
    Pair(ours="openvino", native=f"{_MODULE}.native_openvino:Native", workloads=("generate",), seconds=(6, 1.5)),
)
_METRICS = {"prefill": ("latency_s",), "decode": ("latency_s",), "generate": ("ttft_s", "tpot_s")}
_PART_OF_ANSWER = {"ttft_s": "prefill", "tpot_s": "decode"}
_WORDS: dict[str, OverheadVerdict] = {
    "slower": "ours costs more",
    "faster": "ours is faster",
    "equivalent": "equivalent",
}

COLUMNS = ("runtime", "workload", "rounds", "ours", "native", "ours / native", "verdict", "native keeps its cache")
RIGHT = COLUMNS[2:6]


def requests(
    device: Device,
    budget: Budget,
    *,
    window_s: float,
    rounds: int,
    seed: int,
    backends: Sequence[str] = (),
    size: str = "tiny",
) -> tuple[Request, ...]:
    """What `bench run` is asked, one run for each of our `backends` (all if empty).

    None on other devices than a CPU: there are no native variants for them. Raises UsageError for a backend that
    has none.
    """
    known = [each.ours for each in PAIRS]
    for name in backends:
        if name not in known:
            raise unknown_name("backend with a native variant", name, known)
    if device.kind != "cpu":
        return ()
    return tuple(
        Request(
            suite=SUITE,
            backends=(each.ours, each.native),
            baseline=each.ours,
            device=device,
            budget=budget,
            selection=Selection(
                device_kind=device.kind,
                size=size,
                device_memory_bytes=device.memory_bytes,
                workloads=each.workloads,
                axes={"model": ("smollm2",)},
            ),
            rounds=rounds,
            window_s=window_s,
            seed=seed,
        )
        for each in PAIRS
        if not backends or each.ours in backends
    )


def minutes(asked: Sequence[Request]) -> float:
    """About how long the runs take at most."""
    seconds = 0.0
    costs = {each.ours: each.seconds for each in PAIRS}
    for request in asked:
        round_s, cold = costs[request.baseline]
        windows = 3 * request.window_s * len(request.selection.workloads)  # ours, native, control
        seconds += round_s * 1.5 * cold + (request.rounds or 0) * (round_s * 1.5 + windows)
    return seconds / 60


def rows(runs: Sequence[Run]) -> tuple[OverheadRow, ...]:
    """The rows of stored runs, in their order. A run whose baseline has no native variant gives none; one without the
    native arm gives rows that say why nothing was measured."""
    return tuple(row for run in runs for row in _rows(run))


def _rows(run: Run) -> Iterator[OverheadRow]:
    manifest = run.manifest
    found = next((each for each in PAIRS if each.ours == manifest.baseline), None)
    if found is None:
        return
    sides = sides_of(run)
    arm = next((arm for arm in sides.arms if arm.backend.text == found.native), None)
    noisy = too_noisy(run)
    for key, point in sides.points.items():
        for metric in _METRICS[point.workload]:
            if arm is None:
                reason = "; ".join(left.reason for left in manifest.left_out if left.backend == found.native)
                yield _not_measured(found, point.title, point.workload, metric, reason or "the run has no native arm")
            else:
                yield _row(found, sides.side(sides.baseline, key), sides.side(arm, key), metric, noisy)


def _row(found: Pair, ours: Side, native: Side, metric: str, noisy: str) -> OverheadRow:
    pairs = pair(native, ours, metric)  # ours / native
    workload = ours.point.workload
    blocked = obstacle(native, ours, metric, bool(pairs.rounds))
    if blocked or not pairs.rounds:
        reason = blocked or f"no round has steady samples of {metric} on both sides"
        return _not_measured(found, ours.title, workload, metric, reason)
    location = paired(pairs.log_ratios)
    estimate = as_ratio(location.estimate())
    verdict: OverheadVerdict = "inconclusive"
    unsteady = [side.unsteady(metric, pairs.places) for side in (ours, native)]
    if noisy:
        reason = noisy
    elif len(pairs.rounds) < MINIMUM_ROUNDS:
        reason = f"{len(pairs.rounds)} of {MINIMUM_ROUNDS} rounds"
    else:
        p_value = signed_rank.p_value(pairs.log_ratios)
        asked = Question(location=location, floor=0.0, p_value=p_value, margin=MARGIN, span=span(pairs))
        (answer,) = decide([asked], "primary")
        verdict, estimate = _WORDS.get(answer.verdict, "inconclusive"), answer.ratio
        judged = asked.judged(0.95)
        if verdict == "inconclusive" and judged is not None and judged.high <= math.log1p(MARGIN):
            verdict = "ours costs no more"
        told = [] if verdict in {"equivalent", "ours costs no more"} else [answer.reason]
        reason = "; ".join([*told, *(side.text for side in unsteady if side.too_many)])
    medians = [[side.medians(metric)[place] for place in pairs.places] for side in (ours, native)]
    return OverheadRow(
        runtime=found.ours,
        native=found.native,
        point=ours.title,
        workload=_part(workload, metric),
        metric=metric,
        ours_s=median(medians[0]),
        native_s=median(medians[1]),
        ratio=estimate,
        rounds=len(pairs.rounds),
        idiom=ours.results[-1].idiom,
        native_idiom=native.results[-1].idiom,
        verdict=verdict,
        reason=reason,
    )


def _not_measured(found: Pair, title: str, workload: str, metric: str, reason: str) -> OverheadRow:
    return OverheadRow(
        runtime=found.ours,
        native=found.native,
        point=title,
        workload=_part(workload, metric),
        metric=metric,
        verdict="not measured",
        reason=reason,
    )


def _part(workload: str, metric: str) -> str:
    """The workload that a metric stands for: an answer consists of a prefill and decode steps."""
    return f"{_PART_OF_ANSWER[metric]}, in an answer" if metric in _PART_OF_ANSWER else workload


def table(found: Sequence[OverheadRow]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and cells for the terminal."""
    return COLUMNS, [_cells(row) for row in found]


def _cells(row: OverheadRow) -> tuple[str, ...]:
    times = ("" if value is None else f"{value * 1e6:.0f} us" for value in (row.ours_s, row.native_s))
    kept = "" if row.native_idiom is None else row.native_idiom.get("kv_cache", "")
    return (row.runtime, row.workload, str(row.rounds), *times, ratio_text(row), row.verdict, kept)


def ratio_text(row: OverheadRow) -> str:
    """`1.0123 [0.9987, 1.0301]`; empty without a ratio."""
    if row.ratio is None:
        return ""
    interval = row.ratio.interval
    return f"{row.ratio.value:.4f}" + ("" if interval is None else f" [{interval.low:.4f}, {interval.high:.4f}]")


def costs_more(found: Sequence[OverheadRow]) -> tuple[str, ...]:
    """A sentence for each row in which our path costs more than the margin."""
    return tuple(
        f"{row.runtime}, {row.workload}: our path costs more than {percent(MARGIN)} ({ratio_text(row)})"
        for row in found
        if row.verdict == "ours costs more"
    )
