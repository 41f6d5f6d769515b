"""A campaign from the outside: real launches of a numpy runner against itself, interrupted, gone on with, counted."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from steelyard.core.aa_counts import AaCounts
from steelyard.core.backend import Budget, Device
from steelyard.core.errors import UsageError
from steelyard.selftest.background_load import LONGEST_S, SHORTEST_S, background_load, rhythm
from steelyard.selftest.campaign import RARE_SHARE, CampaignTerms, folder_of, legs
from steelyard.store import list_runs, open_run
from steelyard.wire import read
from tests.fakes.numpy_work import PATH

ROOT = Path(__file__).parents[2]
SUITE = "tests.fakes.small_suite:SUITE"
ROUNDS = 5
"""Of a run at most, instead of twice as many: enough to be interrupted, gone on with and counted."""
SHORT = (
    f"from steelyard.selftest import campaign; campaign.ROUNDS = {ROUNDS}; from steelyard.cli.main import main; main()"
)
CPU = Device(kind="cpu", index=0, name="a CPU", memory_bytes=None)


def terms(*backends: str, suite: str = "llm") -> CampaignTerms:
    budget = Budget(threads=2, cpus=(0, 1))
    return CampaignTerms(suite=suite, size="tiny", backends=backends, device=CPU, budget=budget)


@pytest.mark.parametrize("wanted", [1, 10, 99, 200, 333])
def test_a_campaign_has_as_many_comparisons_as_asked_for_and_hardly_more(wanted: int) -> None:
    found = legs(wanted, terms("onnxruntime", "openvino", "eager", "inductor", "xla"))
    total = sum(leg.comparisons for leg in found)
    assert wanted <= total < wanted + 10
    assert len({(leg.backend, leg.seed) for leg in found}) == len(found)


def test_two_hundred_are_mostly_common_and_at_least_twenty_of_each_other() -> None:
    found = legs(200, terms("onnxruntime", "openvino", "eager", "inductor", "xla"))
    shares = {name: sum(leg.comparisons for leg in found if leg.backend == name) for name in {x.backend for x in found}}
    assert all(shares[name] >= RARE_SHARE for name in ("eager", "inductor", "xla"))
    assert shares["onnxruntime"] + shares["openvino"] > 100
    assert abs(shares["onnxruntime"] - shares["openvino"]) <= 10


def test_a_small_campaign_leaves_the_slow_ones_out_unless_they_are_all_there_is() -> None:
    assert {leg.backend for leg in legs(10, terms("onnxruntime", "eager"))} == {"onnxruntime"}
    assert {leg.backend for leg in legs(30, terms("eager", "xla"))} == {"eager", "xla"}
    with pytest.raises(UsageError, match="--backend"):
        legs(10, terms())


def test_the_background_load_spins_where_it_is_told_and_is_gone_afterwards() -> None:
    cpu = min(os.sched_getaffinity(0))
    with background_load(cpu, 0) as pid:
        assert os.sched_getaffinity(pid) == {cpu}
        before = _cpu_ticks(pid)
        time.sleep(0.3)
        assert _cpu_ticks(pid) > before
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(OSError, match="no background load can spin on CPU 99999"), background_load(99999, 0):
        pass


def test_the_background_load_spins_and_rests_for_some_seconds_each_as_its_seed_says() -> None:
    first, again, other = (list(islice(rhythm(seed), 200)) for seed in (1, 1, 2))
    assert first == again != other
    for periods in zip(*first, strict=True):
        assert SHORTEST_S <= min(periods) < 2.5 < 7.5 < max(periods) <= LONGEST_S


@pytest.mark.parametrize("turns", [True, False])
def test_each_protocol_is_asked_for_by_itself_and_has_a_folder_of_its_own(turns: bool) -> None:
    (leg, *_) = legs(1, terms("onnxruntime"))
    assert replace(terms("onnxruntime"), turns=turns).request(leg).turns is turns
    assert folder_of("quiet", turns=turns) != folder_of("quiet", turns=not turns)
    assert folder_of("quiet", turns=turns) != folder_of("switching", turns=turns)


def _cpu_ticks(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])


def command(output: Path, *more: str) -> list[str]:
    shared = ["--suite", SUITE, "--backend", PATH, "--window", "0.02", "--output", str(output)]
    return [sys.executable, "-c", SHORT, "selftest", "--aa", "4", *shared, *more]


@pytest.mark.full
def test_interrupted_and_started_again_it_goes_on_and_publishes_what_every_later_run_carries(tmp_path: Path) -> None:
    env = {**os.environ, "STEELYARD_CACHE": str(tmp_path / "cache")}
    output = tmp_path / "out"
    first = subprocess.Popen(
        command(output), cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert first.stderr is not None
    for line in first.stderr:
        if line.startswith("round 2"):
            first.send_signal(signal.SIGINT)
            break
    told = first.communicate(timeout=60)[1]
    assert first.returncode == 130, told
    assert "the same command goes on" in told
    folder = output / "selftest" / folder_of("quiet", turns=True)
    (entry,) = list_runs(folder)
    assert open_run(entry.path).segments[-1].ended == "interrupted"
    assert not (tmp_path / "cache" / "shams").exists()  # not whole: nothing to tell later runs

    done = subprocess.run(command(output, "--json"), cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (entry,) = list_runs(folder)
    run = open_run(entry.path)
    assert len(run.segments) == 2  # the interrupted run went on
    warm = [number for segment in run.segments for number in segment.rounds if number > 0]
    assert len(warm) == len(set(warm)) >= ROUNDS  # more where a background load touched some
    counts = read(folder / "shams.json", AaCounts)
    assert (counts.all.comparisons, counts.all.runs, counts.planned, counts.rounds) == (4, 1, 4, len(warm))
    assert (counts.protocol, counts.in_turns) == ("in turns", True)
    assert counts.wall_s is not None
    assert 0 < counts.wall_s < 120
    assert json.loads(done.stdout)["shams"]["all"]["comparisons"] == 4
    assert counts.all.equivalent + counts.all.inconclusive + counts.all.withheld + counts.all.guarded_false_alarms == 4

    again = subprocess.run(command(output), cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert again.returncode == 0, again.stderr
    assert len(list_runs(folder)) == 1  # nothing was left to measure

    words = [sys.executable, "-m", "steelyard", "run", "--suite", SUITE, "--backend", PATH, "--baseline", PATH]
    subprocess.run(
        [*words, "--rounds", "1", "--window", "0.02", "--no-report", "--output", str(output)],
        cwd=ROOT, env=env, check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    (later,) = list_runs(output)
    carried = open_run(later.path).manifest.calibration
    assert carried is not None
    assert carried.all.comparisons == 4
    shown = subprocess.run(
        [sys.executable, "-m", "steelyard", "show", "latest", "--runs", str(output)],
        cwd=ROOT, env=env, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "A/A comparisons on this machine, launches in turns: " in shown.stdout
