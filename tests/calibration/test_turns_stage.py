"""What the stage `turns` reads off a run whose windows consist of turns and pieces, and what the page says of it."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from steelyard.core.details import TurnFacts
from steelyard.core.errors import SteelyardError
from steelyard.core.result import Measurement
from steelyard.core.run import Run
from steelyard.core.turn_rule import spans
from tests.calibration import files, page, turns, turns_runs
from tests.calibration.turns_runs import judged, log_ratio
from tests.fakes.runs import llm_points, synthetic_run

CALL_S, TURN, PIECE = 0.025, 10, 40
"""Seconds of a call, and the calls of a turn and of a piece."""


def window(
    seed: int, *, lost: float = 0.0, first: float = 1.0, drift: float = 0.0, spread: float = 0.02
) -> tuple[Measurement, list[int]]:
    """A window of eight turns and eight pieces whose calls take longer by `lost` in the first turn's worth of each; the
    first call of each takes `first` times as long, and from turn to turn all get slower by `drift`."""
    rng = np.random.default_rng(seed)
    samples: list[float] = []
    firsts, lengths, starts, now = [], [], [], 0.0
    for number in range(16):
        lengths.append((1, 4)[(number + number // 2) % 2])
        firsts.append(len(samples))
        calls = TURN if lengths[-1] == 1 else PIECE
        times = CALL_S * np.exp(rng.normal(0, spread, calls) + drift * number)
        times[:TURN] *= 1 + lost
        times[0] *= first
        starts += (now + np.concatenate(([0.0], np.cumsum(times)[:-1]))).tolist()
        samples += times.tolist()
        now = starts[-1] + samples[-1] + 0.3
    latency = Measurement(
        metric="latency_s", layer="bound_wall", samples=tuple(samples), starts_s=tuple(starts),
        cut=0, steady="flat", stop="time", turns=tuple(firsts), begun_s=0.0,
    )  # fmt: skip
    return latency, lengths


def tried(rounds: int = 8, *, grade: str = "A", **effect: float) -> Run:
    """A run of the stage in which turns do this to every launch."""
    run = synthetic_run(
        backends=turns_runs.BACKENDS[:2],
        rounds=rounds,
        points=llm_points(workloads=turns_runs.WORKLOADS),
        headline="decode",
        grade=grade,
    )
    results = []
    for seed, result in enumerate(run.results):
        if result.round > 0:
            latency, lengths = window(seed, **effect)
            turns = TurnFacts(number=len(lengths), first_calls_left_out=len(lengths), lengths=tuple(lengths))
            details = dataclasses.replace(result.details, turns=turns)
            result = dataclasses.replace(result, measurements=(latency,), details=details)
        results.append(result)
    plan = {**run.manifest.plan, "window_s": turns_runs.WINDOW_S, "piece": turns_runs.PIECE}
    return dataclasses.replace(
        run,
        manifest=dataclasses.replace(run.manifest, plan=plan),
        segments=tuple(dataclasses.replace(segment, turns="on") for segment in run.segments),
        launches=tuple(dataclasses.replace(record, handover_s=0.003) for record in run.launches),
        results=tuple(results),
    )


def test_turns_that_lose_nothing_are_equivalent_and_a_dear_first_call_is_told() -> None:
    found = judged(tried(first=1.5))
    assert [(row.backend, row.workload) for row in found.rows] == [
        (backend, workload) for backend in turns_runs.BACKENDS[:2] for workload in turns_runs.WORKLOADS
    ], "and no control arm"
    for row in found.rows:
        assert row.verdict == "equivalent", row.reason
        assert len(row.ratios) == 8
        assert (row.calls_a_turn, row.handover_s) == (TURN, 0.003)
        assert row.first_call == pytest.approx(1.5, abs=0.05)
    text = "\n".join(turns.section(found))
    assert "| onnxruntime | decode | equivalent | " in text
    assert "| 8 | 10 | 1.5" in text
    assert "| 3.0 |" in text
    assert "of which the calls of the first 0.25 s are left out" in text


def test_what_every_call_of_a_turn_loses_is_seen_although_the_beginning_of_a_piece_loses_it_too() -> None:
    found = judged(tried(lost=0.05))
    for row in found.rows:
        assert row.ratio is not None
        assert row.verdict == "slower"
        assert row.ratio.value == pytest.approx(1.05, abs=0.004)
    assert "| slower in turns | 1.0" in "\n".join(turns.section(found))


def test_what_drifts_from_turn_to_turn_is_no_loss() -> None:
    latency, lengths = window(1, drift=0.01, spread=0.001)
    found = log_ratio(latency, lengths)
    assert found is not None
    assert abs(found) < 0.02, "a turn and its piece lie one apart, where the window drifts by 16 %"


@pytest.mark.statistical
def test_rows_of_equal_times_are_hardly_ever_called_different() -> None:
    rows = [row for seed in range(40) for row in judged(_shifted(tried(spread=0.05), seed)).rows]
    assert sum(row.verdict in ("slower", "faster") for row in rows) == 0
    missed = [row for row in rows if not row.ratio.interval.low <= 1 <= row.ratio.interval.high]
    assert len(missed) <= 0.05 * len(rows) + 3 * (0.05 * 0.95 * len(rows)) ** 0.5


def _shifted(run: Run, seed: int) -> Run:
    """The same run with other noise."""
    results = tuple(
        result if result.round == 0 else dataclasses.replace(
            result, measurements=(window(1000 * (seed + 1) + number, spread=0.05)[0],)
        )
        for number, result in enumerate(run.results)
    )  # fmt: skip
    return dataclasses.replace(run, results=results)


def test_a_turn_whose_piece_was_cut_short_gives_no_ratio() -> None:
    latency, lengths = window(2)
    (begin, end), *_ = spans(latency.turns, len(latency.samples))
    alone = dataclasses.replace(
        latency, samples=latency.samples[begin:end], starts_s=latency.starts_s[begin:end], turns=(0,)
    )
    assert log_ratio(alone, lengths[:1]) is None


def test_no_verdict_on_a_noisy_machine_and_none_where_launches_took_no_turns() -> None:
    assert {row.verdict for row in judged(tried(grade="F")).rows} == {"withheld"}
    run = tried()
    apart = tuple(dataclasses.replace(segment, turns="together they need 3 GB") for segment in run.segments)
    with pytest.raises(SteelyardError, match="not alive together: together they need 3 GB"):
        judged(dataclasses.replace(run, segments=apart))


def test_launches_that_failed_are_told() -> None:
    run = tried()
    failed = tuple(
        dataclasses.replace(result, status="crashed", reason="no", measurements=())
        if result.arm == "openvino" and result.round > 0
        else result
        for result in run.results
    )
    rows = {row.backend: row for row in judged(dataclasses.replace(run, results=failed)).rows}
    assert (rows["openvino"].ratio, rows["openvino"].reason) == (None, "crashed: no")
    assert "openvino, decode: crashed: no" in "\n".join(turns.section(judged(dataclasses.replace(run, results=failed))))


def test_the_page_holds_it(tmp_path: Path) -> None:
    files.write(tmp_path / turns.FILE, judged(tried()))
    assert "## What taking turns does to what is measured" in page.render(page.load(tmp_path))
