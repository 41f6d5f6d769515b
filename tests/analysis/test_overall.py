"""The geometric mean over all points: one set of points for all, named; nothing is taken over different ones."""

import math

import numpy as np
import pytest

from steelyard.analysis import compare_run, overall
from steelyard.core.run import Run
from tests.fakes.runs import Outcome, llm_points, synthetic_run

TRUTH = {"inductor": 0.8, "xla|prefill": 0.5, "xla|decode": 2.0}
POINTS = llm_points(workloads=("prefill", "decode"), batches=(1, 2, 4))


def run_of(**how) -> Run:
    return synthetic_run(**{"backends": ("eager", "inductor", "xla"), "effect": TRUTH, "points": POINTS, **how})


def test_the_mean_is_that_of_the_ratios_shown() -> None:
    run = run_of()
    found = {item.arm: item for item in overall(run)}
    assert set(found) == {"inductor", "xla"}
    for arm, item in found.items():
        ratios = [c.ratio.value for c in compare_run(run) if c.candidate == arm]
        assert len(ratios) == len(item.points) == len(POINTS)
        assert item.ratio.value == pytest.approx(math.exp(np.mean(np.log(ratios))))
        assert item.ratio.interval.low < item.ratio.value < item.ratio.interval.high
        assert (item.rounds, dict(item.left_out), item.reason) == (8, {}, "")
    assert found["inductor"].ratio.value == pytest.approx(0.8, rel=0.02)
    assert found["xla"].ratio.value == pytest.approx(1.0, rel=0.02)  # twice as fast here, half as fast there
    apart = found["xla"].ratio.interval, found["inductor"].ratio.interval
    assert apart[0].high / apart[0].low > 3 * apart[1].high / apart[1].low


def test_a_point_that_one_backend_lacks_is_left_out_for_all_and_named() -> None:
    statuses = {("xla", "decode"): Outcome(status="incorrect", reason="logits are off")}
    found = overall(run_of(statuses=statuses))
    assert len({item.points for item in found}) == 1
    assert len(found[0].points) == 3
    assert {title.split()[0] for title in found[0].left_out} == {"decode"}
    assert all("xla: incorrect in 9 of 9 launches: logits are off" in reason for reason in found[0].left_out.values())
    (inductor,) = [item for item in found if item.arm == "inductor"]
    assert inductor.ratio.value == pytest.approx(0.8, rel=0.02)


def test_a_backend_without_any_ratio_takes_no_point_from_the_others() -> None:
    statuses = {("xla", name): Outcome(status="crashed", stage="compile") for name in ("prefill", "decode")}
    found = {item.arm: item for item in overall(run_of(statuses=statuses))}
    assert len(found["inductor"].points) == len(POINTS)
    assert found["inductor"].ratio.interval is not None
    assert found["xla"].ratio is None
    assert "crashed in 9 of 9 launches" in found["xla"].reason


def test_without_two_common_points_there_is_no_mean() -> None:
    statuses = {
        ("xla", "decode"): Outcome(status="crashed", stage="compile"),
        ("inductor", "prefill"): Outcome(status="timed_out", stage="compile"),
    }
    for item in overall(run_of(statuses=statuses)):
        assert item.ratio is None
        assert item.reason == "all backends completed 0 of 6 configurations; a mean needs 2"
        assert len(item.left_out) == 6
    assert overall(run_of(points=POINTS[:1])) == ()


def test_two_points_have_a_mean_without_an_interval() -> None:
    for item in overall(run_of(points=POINTS[:2])):
        assert item.ratio.interval is None
        assert "2 cases of at least 8 rounds" in item.ratio.reason
