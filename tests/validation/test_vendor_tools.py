"""The tools that are installed, each in its own process on a program so small that only its start takes time."""

import json
import os
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from steelyard import plugins, wire
from steelyard.core.backend import Budget, Device, parse_backend
from steelyard.core.lowered import LoweredPoint
from steelyard.core.turn_rule import spans
from steelyard.core.workload import Selection
from steelyard.engine.launch import run_launch
from steelyard.engine.lower import lower_points
from steelyard.engine.plan import DEFAULT_TIMEOUTS
from steelyard.engine.probe import probe
from steelyard.engine.protocol import CaseRequest, LaunchRequest, Pace
from tests.validation.__main__ import app
from tests.validation.child import TOLD
from tests.validation.interleaved import Match, VendorCampaign, VendorTerms
from tests.validation.tools import OURS, TOOLS, Told, Tool

CPU = Device(kind="cpu", index=0, name="a CPU", memory_bytes=None)
# torch.compile of even this program takes longer than all other tests of this file together.
CHILDREN = [tool for tool in TOOLS if tool.device_kind == "cpu" and tool.backend in ("onnxruntime", "xla", "eager")]
CHILDREN = [tool for tool in CHILDREN if tool.name != "onnxruntime_perf_test"]
BENCHMARK_APPS = [tool for tool in TOOLS if tool.name.startswith("benchmark_app")]


@pytest.fixture(scope="module")
def point(tmp_path_factory: pytest.TempPathFactory) -> LoweredPoint:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEELYARD_CACHE", str(tmp_path_factory.mktemp("cache")))
        points = plugins.suite("steelyard.selftest.suite:SUITE").points(Selection(device_kind="cpu"))
        formats = ("onnx", "openvino", "stablehlo")
        done, failed = lower_points(points, formats, weights_dir=None, device_kind="cpu", say=print)
    assert not failed
    return done[points[0].key]


def usable(tool: Tool) -> None:
    found = probe([tool.our_runner], "cpu")[tool.our_runner]
    if tool.missing() or not found.available:
        pytest.skip(tool.missing() or found.reason)


def budget() -> Budget:
    return Budget(threads=1, cpus=(min(os.sched_getaffinity(0)),))


@pytest.mark.backends
@pytest.mark.parametrize("tool", CHILDREN, ids=lambda tool: tool.key)
def test_a_tool_gives_times_of_right_answers(tool: Tool, point: LoweredPoint, tmp_path: Path) -> None:
    usable(tool)
    begun = time.time()
    told = run_child(tool, point, tmp_path)
    assert len(told.samples_s) * told.calls_per_sample >= 10
    assert 1e-7 < min(told.samples_s) < 0.1
    assert (told.calls_per_sample > 1) == (tool.name == "torch.utils.benchmark")
    artifacts = [artifact for program in point.programs.values() for artifact in program.artifacts.values()]
    assert all((Path(each.directory) / each.entry).stat().st_mtime < begun for each in artifacts), "nothing is written"


def run_child(tool: Tool, point: LoweredPoint, tmp_path: Path) -> Told:
    """The tool's process, whose scratch folder is `tmp_path`."""
    pace = Pace(seconds=0.05, minimum=10, maximum=5000, cap_s=1)
    request = LaunchRequest(
        launch="test", arm=tool.name, round=1, position=0, backend=parse_backend(tool.backend), device=CPU,
        budget=budget(), compile_cache=str(tmp_path / "compile"), scratch=str(tmp_path), seed=0, steady=True,
        cases=(CaseRequest(case_id="case", lowered=point, pace=pace),), worker=(tool.module, *tool.arguments),
    )  # fmt: skip
    outcome = run_launch(request, origin_s=0.0, timeouts=DEFAULT_TIMEOUTS)
    assert not outcome.results, [result.log_tail for result in outcome.results]
    assert outcome.record.exit_code == 0
    return wire.read(tmp_path / TOLD, Told)


@pytest.mark.backends
@pytest.mark.parametrize("tool", BENCHMARK_APPS, ids=lambda tool: tool.name)
def test_benchmark_app_and_our_requests_are_met_at_the_runtimes_own_layer(
    tool: Tool, point: LoweredPoint, tmp_path: Path
) -> None:
    usable(tool)
    match = Match(tool=tool, lowered=point)
    terms = VendorTerms(device=CPU, budget=budget(), window_s=0.05, seed=0)
    campaign = VendorCampaign(terms=terms, matches=(match,), folder=tmp_path)
    artifact = point.programs["main"].artifacts["openvino"]
    before = (Path(artifact.directory) / artifact.entry).read_bytes()
    assert campaign.measure(lambda match: True, 1, print)
    assert (Path(artifact.directory) / artifact.entry).read_bytes() == before, "its arguments are not ours"
    (sides,) = campaign.rounds(match).values()
    ours, theirs = sides[OURS].told, sides[tool.name].told
    assert ours is not None, sides[OURS].reason
    assert theirs is not None, sides[tool.name].reason
    assert not theirs.in_order
    by_turn = [theirs.samples_s[begin:end] for begin, end in spans(theirs.turns, len(theirs.samples_s))]
    assert all(sorted(turn) == list(turn) for turn in by_turn)
    assert len(by_turn) == 8
    assert len(theirs.samples_s) > 100
    assert ours.wall_s is not None
    assert ours.wall_s > sorted(ours.samples_s)[len(ours.samples_s) // 2], "the wall holds the runtime's own time"


@pytest.mark.backends
def test_a_tool_takes_turns_with_ours(point: LoweredPoint, tmp_path: Path) -> None:
    tool = CHILDREN[0]
    usable(tool)
    match = Match(tool=tool, lowered=point)
    terms = VendorTerms(device=CPU, budget=budget(), window_s=0.1, seed=0)
    campaign = VendorCampaign(terms=terms, matches=(match,), folder=tmp_path)
    assert campaign.measure(lambda match: True, 1, print)
    (sides,) = campaign.rounds(match).values()
    for side in sides.values():
        assert side.told is not None, side.reason
        assert len(side.told.turns) > 3
        assert side.record.stopped_s is not None
        assert side.record.handover_s is not None
    ours, theirs = sides[OURS].told, sides[tool.name].told
    assert ours is not None
    assert theirs is not None
    assert abs(len(ours.turns) - len(theirs.turns)) <= 3


@pytest.mark.alone
@pytest.mark.backends
@pytest.mark.parametrize("tool", BENCHMARK_APPS, ids=lambda tool: tool.name)
def test_benchmark_app_runs_with_the_interface_that_its_row_names(
    tool: Tool, point: LoweredPoint, tmp_path: Path
) -> None:
    usable(tool)
    run_child(tool, point, tmp_path)
    report = json.loads((tmp_path / "benchmark_report.json").read_text())
    assert report["configuration_setup"]["API"] == ("async" if tool.name.endswith("async") else "sync")


def test_an_unknown_backend_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    done = CliRunner().invoke(app, ["--backend", "onnxruntim"])
    assert done.exit_code == 2
    assert "did you mean 'onnxruntime'" in done.stderr


def test_the_dry_run_says_matches_and_minutes(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["--backend", "xla", "--dry-run", "--output", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "at most 20 rounds of two launches each; about" in done.output
    assert not (tmp_path / "out").exists()
