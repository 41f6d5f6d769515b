"""`bench compare`: within a run, across runs, and what CI gets as exit code."""

import json
from dataclasses import replace

import pytest
from test_show import store
from typer.testing import CliRunner

from steelyard.cli import compare
from steelyard.cli.main import app
from steelyard.core.comparison import Comparison
from steelyard.core.errors import UsageError
from tests.fakes.runs import llm_points, synthetic_run


def bench(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def stored(root, run_id, **arguments) -> str:
    arguments = {"backends": ("eager", "xla"), "rounds": 8, "headline": "decode"} | arguments
    run = synthetic_run(points=llm_points(("decode",)), **arguments)
    store(root, replace(run, manifest=replace(run.manifest, run_id=run_id)))
    return run_id


@pytest.mark.parametrize(
    ("effect", "fail_on", "code"),
    [
        (1.3, None, 0),
        (1.3, "slower", 1),
        (1.3, "slower,inconclusive", 1),
        (0.5, "slower,inconclusive", 0),
    ],
)
def test_one_run_alone(tmp_path, effect, fail_on, code):
    stored(tmp_path, "a", effect={"xla": effect}, seed=2)
    options = ["--fail-on", fail_on] if fail_on else []
    ended = bench("compare", "a", "--runs", tmp_path, *options)
    assert ended.exit_code == code, ended.output
    assert ("slower" if effect > 1 else "faster") in ended.output


def test_too_few_rounds_are_inconclusive(tmp_path):
    stored(tmp_path, "a", effect={"xla": 1.3}, rounds=3)
    assert bench("compare", "a", "--runs", tmp_path, "--fail-on", "slower").exit_code == 0
    ended = bench("compare", "a", "--runs", tmp_path, "--fail-on", "inconclusive")
    assert ended.exit_code == 4
    assert "of 8 rounds" in ended.output


def test_two_runs_alone_cannot_tell_faster_from_slower(tmp_path):
    versions = {"xla": {"jax": "0.11.0"}}
    stored(tmp_path, "old", seed=1)
    stored(tmp_path, "new", seed=2, effect={"xla": 0.9}, versions=versions)
    ended = bench("compare", "old", "new", "--runs", tmp_path, "--json")
    assert ended.exit_code == 0, ended.output
    data = json.loads(ended.output)
    assert (data["kind"], data["version"], data["sides"]) == ("steelyard-comparison", 1, [["old"], ["new"]])
    assert data["comparisons"]
    assert {entry["scope"] for entry in data["comparisons"]} == {"across runs"}
    assert not {entry["verdict"] for entry in data["comparisons"]} & {"faster", "slower"}


def test_runs_that_differ_in_nothing_need_a_factor(tmp_path):
    stored(tmp_path, "a", seed=1)
    stored(tmp_path, "b", seed=2)
    with pytest.raises(UsageError, match="Name the factor that is meant"):
        CliRunner().invoke(app, ["compare", "a", "b", "--runs", str(tmp_path)], catch_exceptions=False)
    ended = bench("compare", "a", "b", "--runs", tmp_path, "--factor", "version", "--fail-on", "slower")
    assert ended.exit_code == 0, ended.output
    assert "across runs" in ended.output


def comparison(verdict, factor="backend") -> Comparison:
    return Comparison(
        point="p", title="decode", workload="decode", metric="latency_s", factor=factor, baseline="eager",
        candidate="xla", scope="within run", ratio=None, verdict=verdict, reason="", family="primary",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("verdicts", "wanted", "code"),
    [
        (["faster", "slower", "inconclusive"], ["slower", "inconclusive"], 1),
        (["faster", "withheld"], ["slower", "inconclusive"], 4),
        (["incomparable"], ["inconclusive"], 4),
        (["incomparable", "slower"], ["inconclusive"], 4),
        (["slower"], [], 0),
        (["equivalent", "faster"], ["slower", "inconclusive"], 0),
        ([], ["slower", "inconclusive"], 4),
        ([], ["slower"], 0),
    ],
)
def test_exit_codes(verdicts, wanted, code):
    assert compare.exit_code([comparison(verdict) for verdict in verdicts], wanted) == code


def test_the_control_arm_is_not_a_regression():
    assert compare.exit_code([comparison("slower", "control"), comparison("faster")], ["slower"]) == 0


def test_wrong_usage(tmp_path):
    stored(tmp_path, "a", rounds=1)
    with pytest.raises(UsageError, match="did you mean 'slower'"):
        CliRunner().invoke(app, ["compare", "a", "--runs", str(tmp_path), "--fail-on", "slow"], catch_exceptions=False)
    with pytest.raises(UsageError, match="need another side"):
        CliRunner().invoke(app, ["compare", "a,a", "--runs", str(tmp_path)], catch_exceptions=False)
    with pytest.raises(UsageError, match="a side without a run"):
        CliRunner().invoke(app, ["compare", ",", "--runs", str(tmp_path)], catch_exceptions=False)
