"""What stands between samples and a claim, through `bench compare`: without one of these guards a test fails."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from steelyard.cli.main import app
from steelyard.core.case import CONTROL_SUFFIX
from steelyard.core.run import Run
from tests.cli.test_show import store
from tests.fakes.runs import Outcome, Shape, llm_points, synthetic_run

QUIET = Shape(spread=0.003, within=0.01)
DECODE = llm_points(("decode",))


def small(**how) -> Run:
    return synthetic_run(
        **{"backends": ("eager", "xla"), "points": DECODE, "headline": "decode", "shape": QUIET, **how}
    )


def compared(root, *runs: Run) -> list[dict]:
    """The comparisons of stored runs that do not concern the control arm, as `bench compare --json` prints them."""
    names = []
    for index, run in enumerate(runs):
        names.append(f"run-{index}")
        store(root, replace(run, manifest=replace(run.manifest, run_id=names[-1])))
    ended = CliRunner().invoke(app, ["compare", *names, "--runs", str(root), "--json"])
    assert ended.exit_code == 0, ended.output
    return [row for row in json.loads(ended.output)["comparisons"] if CONTROL_SUFFIX not in row["candidate"]]


def test_launches_are_the_unit_so_that_identical_programs_are_not_told_apart(tmp_path) -> None:
    claims = []
    for seed in range(12):
        run = small(rounds=12, effect={"xla": 1.0}, seed=seed, shape=Shape(spread=0.05, within=0.01))
        (row,) = compared(tmp_path / str(seed), run)
        claims.append(row["verdict"] in ("faster", "slower"))
    assert not any(claims)


def test_only_whole_rounds_count(tmp_path) -> None:
    run = small(rounds=10, effect={"xla": 1.3})
    (segment,) = run.segments
    (row,) = compared(tmp_path, replace(run, segments=(replace(segment, rounds=segment.rounds[:-2]),)))
    assert row["ratio"]["n"] == 8


def test_few_rounds_claim_nothing_however_large_the_effect(tmp_path) -> None:
    (row,) = compared(tmp_path, small(rounds=3, effect={"xla": 0.3}))
    assert (row["verdict"], "3 of 4 rounds" in row["reason"]) == ("inconclusive", True)


def test_on_a_noisy_machine_verdicts_are_withheld_and_numbers_kept(tmp_path) -> None:
    (row,) = compared(tmp_path, small(rounds=12, effect={"xla": 0.5}, grade="F", evidence=("a background load",)))
    assert (row["verdict"], "a background load" in row["reason"]) == ("withheld", True)
    assert 0.4 < row["ratio"]["value"] < 0.6


def test_a_difference_below_the_noise_floor_is_none(tmp_path) -> None:
    (row,) = compared(tmp_path, small(rounds=12, effect={"xla": 1.05, "eager" + CONTROL_SUFFIX: 1.06}))
    assert (row["verdict"], "noise floor" in row["reason"]) == ("inconclusive", True)


def test_without_a_control_arm_nothing_is_claimed(tmp_path) -> None:
    (row,) = compared(tmp_path, small(rounds=12, effect={"xla": 0.5}, control=False))
    assert row["verdict"] == "inconclusive"


def test_one_wrong_answer_takes_the_speed_away(tmp_path) -> None:
    wrong = Outcome(status="incorrect", stage="check", reason="relative error 0.3", rounds=(4,))
    (row,) = compared(tmp_path, small(rounds=12, effect={"xla": 0.5}, statuses={("xla", "decode"): wrong}))
    assert (row["verdict"], "relative error 0.3" in row["reason"]) == ("incomparable", True)
    assert row["ratio"] is None


def test_unlike_weights_are_incomparable(tmp_path) -> None:
    newer = {"xla": {"jax": "0.11.0"}, "eager": {"torch": "2.14.0"}}
    rows = compared(tmp_path, small(seed=1), small(seed=2, versions=newer, identity={"weights": "other"}))
    assert {row["verdict"] for row in rows} == {"incomparable"}
    assert all("identity differs in weights" in row["reason"] for row in rows)


@pytest.mark.parametrize(("effect", "expected"), [(0.85, "inconclusive"), (0.5, "faster")])
def test_launches_that_never_settle_give_a_verdict_only_if_all_they_range_over_does(tmp_path, effect, expected) -> None:
    unsteady = Shape(spread=0.003, within=0.01, steady="slowed", drift=0.2)
    (row,) = compared(tmp_path, small(rounds=12, effect={"xla": effect}, shape=unsteady))
    assert (row["verdict"], "not steady" in row["reason"]) == (expected, True)


def test_many_comparisons_share_the_risk(tmp_path) -> None:
    """Eight rounds carry one comparison at 5 %, but not eight at once: the smallest p-value is 2 / 2^8."""
    backends = ("eager", *(f"xla[n={index}]" for index in range(8)))
    effect = dict.fromkeys(backends[1:], 0.5)
    rows = compared(tmp_path, small(backends=backends, rounds=8, effect=effect))
    assert {row["verdict"] for row in rows} == {"inconclusive"}
    assert all("not among 8 primary comparisons" in row["reason"] or "family of 8" in row["reason"] for row in rows)
