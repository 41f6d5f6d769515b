"""Agreement with the vendors' tools: the statistics on launches of known truth, and a campaign of real processes."""

import dataclasses
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.core.backend import Budget, Device, parse_backend
from steelyard.core.errors import SteelyardError, StoreError
from steelyard.core.lowered import LoweredPoint
from steelyard.core.metrics import Reading
from steelyard.core.result import LaunchRecord
from steelyard.engine.turns import FEWEST_TURNS
from tests.fakes.numpy_work import PATH, lowered_point
from tests.validation import agreement, benchmark_app, perf_test, tools, torch_timer, trtexec
from tests.validation.agreement import is_open, level, row
from tests.validation.interleaved import Match, SideLaunch, VendorCampaign, VendorTerms
from tests.validation.tools import OURS, TOOLS, Told, Tool

ROOT = Path(__file__).parents[2]
TOOL = Tool(
    name="their tool",
    backend=PATH,
    layer="bound_wall",
    device_kind="cpu",
    module="tests.fakes.vendor_tool",
    missing=lambda: "",
    differs="it is not ours",
)


@pytest.fixture(scope="module")
def lowered(tmp_path_factory: pytest.TempPathFactory) -> LoweredPoint:
    return lowered_point(tmp_path_factory.mktemp("point"))


@pytest.fixture(scope="module")
def match(lowered: LoweredPoint) -> Match:
    return Match(tool=TOOL, lowered=lowered)


def flat(seconds: float, calls: int = 60) -> Told:
    return Told(samples_s=tuple(seconds * (1 + 0.001 * (index % 3 - 1)) for index in range(calls)))


def record(side: str, number: int, busy: float = 0.0) -> LaunchRecord:
    noise = {"measured_cpus": 1.0, "watched_s": 5.0, "foreign_cpu_share": busy}
    return LaunchRecord(
        launch=f"{number}/{side}",
        arm=side,
        round=number,
        position=0,
        started_s=0.0,
        ended_s=1.0,
        exit_code=0,
        supervisor_cpu_s=0.0,
        noise={f"during/{name}": Reading(value=value, unit="1") for name, value in noise.items()},
    )


def launches(match: Match, logs: Sequence[float], *, busy: Sequence[int] = ()) -> list[SideLaunch]:
    """Rounds in which ours takes exp(log) times theirs."""
    found = []
    for number, log in enumerate(logs, start=1):
        for side, seconds in ((OURS, 1e-4 * math.exp(log)), (TOOL.name, 1e-4)):
            share = 0.9 if number in busy and side == OURS else 0.0
            found.append(
                SideLaunch(match=match.title, side=side, told=flat(seconds), record=record(side, number, share))
            )
    return found


def noise(rounds: int, spread: float = 0.004) -> list[float]:
    return np.random.default_rng(3).normal(0, spread, rounds).tolist()


@pytest.mark.parametrize(
    ("shift", "verdict"), [(0.0, "equivalent"), (0.02, "equivalent"), (0.06, "slower"), (-0.06, "faster")]
)
def test_the_verdict_is_the_truth(match: Match, shift: float, verdict: str) -> None:
    found = row(launches(match, [shift + value for value in noise(12)]), match)
    assert (found.verdict, found.rounds, found.unsteady) == (verdict, 12, 0)
    assert found.ratio is not None
    assert found.ratio.interval is not None
    assert found.ratio.interval.low <= math.exp(shift) <= found.ratio.interval.high
    assert (found.reason == "") == (verdict == "equivalent")
    if verdict != "equivalent":
        assert "it is not ours" in found.reason


def test_on_the_edge_of_the_margin_nothing_is_claimed(match: Match) -> None:
    found = row(launches(match, [math.log(1.03) + value for value in noise(12)]), match)
    assert found.verdict == "inconclusive"
    assert "nor within 3 %" in found.reason


def test_too_few_rounds_give_a_ratio_and_no_verdict(match: Match) -> None:
    found = row(launches(match, noise(7)), match)
    assert (found.verdict, found.reason) == ("inconclusive", "7 of 8 rounds")
    assert found.ratio is not None


def test_what_a_load_touched_and_what_has_no_steady_state_is_left_out(match: Match) -> None:
    kept = launches(match, [*noise(10), 3.0, 3.0], busy=(11,))
    rising = Told(samples_s=tuple(1e-4 * (1 + index / 60) for index in range(120)))
    kept[-1] = dataclasses.replace(kept[-1], told=rising)
    found = row(kept, match)
    assert (found.rounds, found.disturbed, found.unsteady) == (10, 1, 1)
    assert found.verdict == "equivalent"


def test_a_side_that_fails_is_a_row_with_its_reason(match: Match) -> None:
    failed = SideLaunch(
        match=match.title, side=TOOL.name, told=None, reason="it ended with 1: no licence", record=record(TOOL.name, 0)
    )
    found = row([failed], match)
    assert (found.verdict, found.reason) == ("not measured", "their tool: it ended with 1: no licence")
    assert (found.ours_s, found.ratio) == (None, None)


@settings(max_examples=8)
@given(shift=st.floats(-1, 1), spread=st.floats(0.0005, 0.2), rounds=st.integers(8, 15))
def test_when_to_stop_is_told_by_the_width_alone(match: Match, shift: float, spread: float, rounds: int) -> None:
    logs = noise(rounds, spread)
    assert is_open(launches(match, logs), match) == is_open(launches(match, [shift + x for x in logs]), match)


def test_it_stays_open_below_eight_rounds_and_closes_when_narrow(match: Match) -> None:
    assert is_open(launches(match, noise(7)), match)
    assert not is_open(launches(match, noise(8)), match)
    assert is_open(launches(match, noise(8, 0.05)), match)


def in_turns(levels: Sequence[float], first: float = 1.0) -> Told:
    """A launch with a turn of ten calls at each of these levels, whose first call takes `first` times as long."""
    samples = [level * (first if index == 0 else 1 + 0.001 * (index % 3)) for level in levels for index in range(10)]
    return Told(samples_s=tuple(samples), turns=tuple(range(0, len(samples), 10)), in_order=first != 1.0)


def test_the_ratio_of_turns_leaves_out_what_both_met_in_them_and_a_burst_that_one_met() -> None:
    machine = [1e-4 * (1 + 0.05 * (turn % 3)) for turn in range(8)]
    theirs = in_turns(machine)
    ours = in_turns([*(1.02 * level for level in machine[:7]), 2e-4])
    found = agreement.pair(ours, theirs)
    assert found is not None
    assert found.log_ratio == pytest.approx(math.log(1.02), abs=1e-6)
    shorter = agreement.pair(in_turns([1.02 * level for level in machine[:5]]), theirs)
    assert shorter is not None
    assert shorter.log_ratio == pytest.approx(math.log(1.02), abs=1e-6), "the turns that both had"


def test_the_first_call_of_a_turn_is_left_out_where_it_is_known() -> None:
    parts = agreement.steady_parts(in_turns([1e-4] * 8, first=3.0))
    assert {len(values) for values in parts.values()} == {9}
    assert max(values.max() for values in parts.values()) < 1.01e-4
    assert {len(values) for values in agreement.steady_parts(in_turns([1e-4] * 8)).values()} == {10}


def test_blocks_of_turns_are_put_together_to_the_longest() -> None:
    found = torch_timer.block_means([([1e-4, 3e-4] * 10 + [9.0], 1), ([5.0], 1), ([2e-4, 4e-4], 2)])
    assert (found.calls_per_sample, found.turns) == (2, (0, 10, 10))
    assert found.samples_s == pytest.approx([2e-4] * 10 + [2e-4, 4e-4])
    assert list(agreement.steady_parts(dataclasses.replace(found, in_order=False))) == [0, 2], (
        "turns keep their numbers"
    )


def test_ours_is_averaged_over_blocks_where_theirs_are() -> None:
    """One call in ten is ten times slower: the median does not see it, a mean of blocks does, and so does theirs."""
    samples = tuple(1e-3 if index % 10 == 9 else 1e-4 for index in range(200))
    assert level(Told(samples_s=samples, in_order=False)) == pytest.approx(1e-4)
    assert level(Told(samples_s=samples, in_order=False), 10) == pytest.approx(1.9e-4)
    assert level(Told(samples_s=(1.9e-4,) * 20, calls_per_sample=10, in_order=False), 10) == pytest.approx(1.9e-4)
    assert level(Told(samples_s=(1e-4, 3e-4), in_order=False), 1000) == pytest.approx(2e-4)
    assert level(Told(samples_s=())) is None


@pytest.fixture
def campaign(match: Match, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VendorCampaign:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("XDG_VENDOR_TOOL", "0.0001")
    cpu = min(os.sched_getaffinity(0))
    device = Device(kind="cpu", index=0, name="a CPU", memory_bytes=None)
    terms = VendorTerms(device=device, budget=Budget(threads=1, cpus=(cpu,)), window_s=0.02, seed=0)
    return VendorCampaign(terms=terms, matches=(match,), folder=tmp_path / "vendor")


def test_a_campaign_of_real_processes_goes_on_where_it_stopped(campaign: VendorCampaign, match: Match) -> None:
    before = os.sched_getaffinity(0)
    said: list[str] = []
    assert campaign.measure(lambda match: True, 1, said.append)
    assert os.sched_getaffinity(0) == before
    assert len(campaign.rounds(match)) == 1
    again = VendorCampaign(terms=campaign.terms, matches=(match,), folder=campaign.folder)
    again.load()
    assert again.launches == campaign.launches
    assert again.measure(lambda match: True, 2, said.append)
    rounds = again.rounds(match)
    assert list(rounds) == [1, 2]
    assert {sides[OURS].record.position for sides in rounds.values()} == {0, 1}, "each side is first once in two rounds"
    for sides in rounds.values():
        assert all(side.told is not None and side.record.exit_code == 0 for side in sides.values())
        theirs = sides[TOOL.name]
        assert "during/foreign_cpu_share" in theirs.record.noise
        assert theirs.record.stopped_s is not None
        assert theirs.told is not None
        assert len(theirs.told.turns) == FEWEST_TURNS
        assert sides[OURS].told is not None
        assert len(sides[OURS].told.turns) > 1, "both take turns"
    found = row(again.launches, match)
    assert found.theirs_s == pytest.approx(1e-4, rel=0.01) or found.verdict == "not measured"
    other = dataclasses.replace(campaign.terms, window_s=0.03)
    assert VendorCampaign(terms=other, matches=(match,), folder=campaign.folder).file != campaign.file


def test_a_tool_that_cannot_stand_is_measured_before_or_after_ours(campaign: VendorCampaign, match: Match) -> None:
    whole = Match(tool=dataclasses.replace(TOOL, in_turns=False), lowered=match.lowered)
    campaign.matches = (whole,)
    assert campaign.measure(lambda match: True, 1, lambda text: None)
    (sides,) = campaign.rounds(whole).values()
    for side in sides.values():
        assert side.record.stopped_s is None
    (first, second) = sorted(sides.values(), key=lambda side: side.record.position)
    assert first.record.ended_s <= second.record.started_s


@pytest.mark.alone
def test_a_tool_that_fails_is_not_launched_again(
    campaign: VendorCampaign, match: Match, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_VENDOR_TOOL", "crash")
    said: list[str] = []
    assert campaign.measure(lambda match: True, 5, said.append)
    assert [(item.side, item.told) for item in campaign.launches] == [(TOOL.name, None)]
    assert "the tool has no licence" in said[-1]
    assert "the tool has no licence" in row(campaign.launches, match).reason


def test_a_damaged_line_is_named_and_one_cut_short_is_dropped(campaign: VendorCampaign, match: Match) -> None:
    campaign.keep(launches(match, [0.0])[0])
    whole = campaign.file.read_bytes()
    campaign.file.write_bytes(whole + whole[:40])
    campaign.load()
    assert len(campaign.launches) == 1
    campaign.keep(campaign.launches[0])
    campaign.load()
    assert len(campaign.launches) == 2
    campaign.file.write_bytes(whole[:40] + b"\n" + whole)
    with pytest.raises(StoreError, match="line 1"):
        campaign.load()


def test_every_tool_has_a_backend_to_be_held_against() -> None:
    assert {tool.runner for tool in TOOLS} == {"onnxruntime", "openvino", "eager", "inductor", "xla"}
    assert len({tool.key for tool in TOOLS}) == len(TOOLS)
    for tool in TOOLS:
        assert parse_backend(tool.our_runner).text
        assert (tool.our_runner == tool.backend) == (tool.layer != "runtime_internal")


def test_what_is_not_there_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    told = {tool.name: tools.absent(tool, "cpu", {}) for tool in TOOLS}
    assert told["onnxruntime_perf_test"].startswith("no program onnxruntime_perf_test on PATH")
    assert told["trtexec"] == told["cuda-bench"] == "it needs a cuda device; this is cpu"
    on_cuda = {tool.name: tools.absent(tool, "cuda", {}) for tool in TOOLS}
    assert on_cuda["trtexec"].startswith("no program trtexec on PATH")
    assert "no runner records that layer" in on_cuda["cuda-bench"]
    (loop,) = [tool for tool in TOOLS if tool.backend == "xla"]
    assert tools.absent(loop, "cpu", {"xla": "JAX is broken"}) in ("JAX is broken", loop.missing())


def test_the_programs_of_the_vendors_are_read_as_they_write() -> None:
    rows = "model,0.000123,1000,50,0\nmodel,0.000125,1000,50,1\n\nMin Latency is 0.000123sec\n"
    assert perf_test.samples(rows) == (0.000123, 0.000125)
    with pytest.raises(SteelyardError, match="no samples"):
        perf_test.samples("failed to open\n")
    times = [{"computeMs": 1.0, "latencyMs": 1.25}, {"computeMs": 1.0, "latencyMs": 1.5}]
    assert trtexec.samples(json.dumps(times)) == pytest.approx((1.25e-3, 1.5e-3))
    with pytest.raises(SteelyardError, match="no times"):
        trtexec.samples("[]")


def test_the_budget_is_passed_on(tmp_path: Path) -> None:
    line = perf_test.command(tmp_path / "model.onnx", tmp_path / "result", 3, 0.2)
    assert line[line.index("-x") + 1] == "3"
    assert line[line.index("-t") + 1] == "1"
    line = benchmark_app.arguments(tmp_path / "model.xml", {"x": tmp_path / "x.npy"}, 3, 2.2, tmp_path)
    wanted = {"-nthreads": "3", "-nstreams": "1", "-hint": "none", "-api": "sync", "-infer_precision": "f32", "-t": "2"}
    assert {name: line[line.index(name) + 1] for name in wanted} == wanted
    assert "-nireq" not in line
    assert line[-2:] == ["-i", f"x:{tmp_path / 'x.npy'}"]
    line = benchmark_app.arguments(tmp_path / "model.xml", {"x": tmp_path / "x.npy"}, 3, 2.2, tmp_path, api="async")
    wanted |= {"-api": "async", "-nireq": "1"}
    assert {name: line[line.index(name) + 1] for name in wanted} == wanted


def test_what_benchmark_app_printed_is_held_against_the_latencies_of_all_turns() -> None:
    turns = [0.05, 0.06, 0.30, 0.04, 0.05, 0.90]  # sorted within each of two
    benchmark_app.insist(turns, 0.06)
    for kept, printed in ((turns, 0.07), ([], 0.06)):
        with pytest.raises(SteelyardError, match="not that of the latencies"):
            benchmark_app.insist(kept, printed)


def test_the_margin_is_three_per_cent() -> None:
    assert agreement.MARGIN == 0.03
