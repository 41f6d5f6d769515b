"""`bench show` on stored synthetic runs: the table, the data, and hostile text."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from steelyard.cli.main import app
from steelyard.core.run import LeftOut
from steelyard.store import create_run
from tests.fakes.ceilings import held_against, synthetic_ceilings
from tests.fakes.runs import Outcome, llm_points, synthetic_run


def bench(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False).output


def store(root, run) -> None:
    with create_run(root, run.manifest) as writer:
        writer.begin_segment(started_utc="2026-01-01T00:00:00Z", noise=run.segments[0].noise)
        for record in run.launches:
            writer.launch(record)
        for result in run.results:
            writer.result(result)
        writer.finish(ended="rounds", rounds=run.segments[0].rounds)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    crashed = Outcome(status="crashed", stage="compile", reason="killed by signal 11 (SIGSEGV)")
    run = synthetic_run(
        backends=("eager", "xla", "openvino"), rounds=8, points=llm_points(("decode",)), headline="decode",
        statuses={("openvino", "decode"): crashed}, seed=3,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("runs")
    store(path, run)
    return path


def test_the_table(root):
    output = bench("show", "latest", "--runs", root)
    for told in (
        "faster",
        "eager (control)",
        "crashed",
        "no CUDA device",
        "machine noise: grade A",
        "decode: latency [ms]",
    ):
        assert told in output
    assert "openvino: crashed at compile: killed by signal 11 (SIGSEGV)" in output
    assert "\x1b" not in output  # it is no terminal
    assert max(map(len, output.splitlines())) <= 80


def test_what_lies_above_its_ceiling_is_marked_and_told(tmp_path):
    run = synthetic_run(
        backends=("eager", "xla"), rounds=8, points=llm_points(("decode",)), headline="decode", effect={"xla": 0.2},
    )  # fmt: skip
    store(tmp_path, held_against(run, synthetic_ceilings(bandwidth={"memory": 25e9})))
    output = bench("show", "latest", "--runs", tmp_path)
    assert "faster ?" in output
    assert "xla: suspicious: 1.79 times its ceiling" in output
    rows = {row["arm"]: row for row in json.loads(bench("show", "latest", "--runs", tmp_path, "--json"))["rows"]}
    assert "times its ceiling" in rows["xla"]["suspicious"]
    assert rows["eager"]["suspicious"] is None


def test_the_mean_over_all_points(tmp_path):
    statuses = {("openvino", "generate"): Outcome(status="crashed", stage="compile")}
    store(tmp_path, synthetic_run(backends=("eager", "xla", "openvino"), rounds=8, statuses=statuses))
    output = bench("show", "latest", "--runs", tmp_path)
    shown = output[output.index("all 2 configurations: geometric mean of the speed-ups") :]
    assert "2 cases of at least 8 rounds support no interval" in shown
    assert "without generate" in shown
    mean = {item["arm"]: item for item in json.loads(bench("show", "latest", "--runs", tmp_path, "--json"))["overall"]}
    assert mean["xla"]["ratio"]["value"] == pytest.approx(0.42, rel=0.05)
    assert len(mean["xla"]["left_out"]) == 1


def test_the_same_as_data(root):
    data = json.loads(bench("show", "latest", "--runs", root, "--json"))
    assert data["overall"] == []
    assert (data["kind"], data["version"]) == ("steelyard-run", 1)
    rows = {row["arm"]: row for row in data["rows"]}
    assert set(rows) == {"eager", "xla", "openvino", "eager (control)"}
    xla = rows["xla"]["metrics"]["latency_s"]
    assert xla["estimate"]["value"] == pytest.approx(0.42 * 0.06, rel=0.03)
    assert xla["comparison"]["verdict"] == "faster"
    assert xla["comparison"]["ratio"]["interval"]["low"] < 0.42 < xla["comparison"]["ratio"]["interval"]["high"] * 1.03
    assert rows["openvino"]["status"] == "crashed"
    assert rows["openvino"]["launches_ok"] == 0
    assert rows["openvino"]["metrics"].get("latency_s", {}).get("estimate") is None
    assert data["left_out"] == [
        {"backend": "tensorrt", "reason": "no CUDA device", "point": "", "status": "unsupported"}
    ]
    assert data["segments"][0]["noise"]["grade"] == "A"


def test_generate_shows_its_three_times(tmp_path):
    store(tmp_path, synthetic_run(backends=("eager", "xla"), rounds=3, points=llm_points(("generate",))))
    output = bench("show", "latest", "--runs", tmp_path)
    for metric in ("latency", "ttft", "tpot"):
        assert f"generate: {metric} [" in output


def test_stored_text_cannot_move_the_cursor(tmp_path):
    run = synthetic_run(backends=("eager",), rounds=1, points=llm_points(("decode",)))
    evil = LeftOut(backend="[red]evil[/red]", reason="\x1b[2J\x1b]0;title\x07gone")
    store(tmp_path, replace(run, manifest=replace(run.manifest, left_out=(evil,))))
    output = bench("show", "latest", "--runs", tmp_path)
    assert "\x1b" not in output
    assert "\x07" not in output
    assert "[red]evil[/red]" in output


def test_an_unfinished_run_is_shown_with_a_note(tmp_path):
    run = synthetic_run(backends=("eager", "xla"), rounds=2, points=llm_points(("decode",)))
    with create_run(tmp_path, run.manifest) as writer:
        writer.begin_segment(started_utc="2026-01-01T00:00:00Z", noise=run.segments[0].noise)
        for result in run.results:
            writer.result(result)
    output = bench("show", run.manifest.run_id, "--runs", tmp_path)
    assert "note: segment 0 was not finished" in output
    assert "ended by recovered" in output
