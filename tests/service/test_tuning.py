"""`bench tune`: candidates tried, kept, gone on with, and the best measured."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from steelyard import plugins
from steelyard.core.errors import UsageError
from steelyard.core.tuning import Trial
from steelyard.service import tried
from steelyard.service.tried import Limit
from steelyard.service.tuning import candidates

pytestmark = pytest.mark.backends
ASKED = ("--suite", "kernels", "--workload", "matmul", "--size", "tiny", "--rounds", "1", "--window", "0.05", "--quick")


def bench(*arguments, cwd, timeout=300):
    cache = os.environ.get("STEELYARD_CACHE") or str(cwd / "cache")
    return subprocess.run(
        [sys.executable, "-m", "steelyard", *arguments],
        cwd=cwd,
        env={**os.environ, "STEELYARD_CACHE": cache},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )


def test_a_limit_counts_what_was_tried_before():
    before = [Trial(candidate="a", cost_s=2.0), Trial(candidate="b", cost_s=2.0)]
    assert Limit(trials=3).left(before)
    assert not Limit(trials=2).left(before)
    assert Limit(seconds=5).left(before)
    assert not Limit(seconds=4).left(before)


def test_every_combination_once_the_named_ones_kept_and_what_does_not_go_together_left_out():
    found = [each.text for each in candidates(plugins.backend("inductor"), 0)]
    assert found[0] == "inductor"
    assert sorted(found) == [
        "inductor",
        "inductor[aot,max_autotune]",
        "inductor[aot]",
        "inductor[freezing,max_autotune]",
        "inductor[freezing]",
        "inductor[max_autotune]",
    ]
    assert {each.options["level"] for each in candidates(plugins.backend("iree[level=O1]"), 0)} == {"O1"}
    with pytest.raises(UsageError, match=r"nothing to search; what can be tuned: inductor, iree, .*tvm"):
        candidates(plugins.backend("eager"), 0)


def test_a_line_that_was_cut_is_tried_again_and_no_other_is_lost(tmp_path):
    file = tmp_path / tried.TRIALS
    whole = '{"candidate":"a","cost_s":1.0,"part":"","latency_s":0.5,"reason":"","run":""}\n'
    file.write_text(whole + whole[:30])
    assert [each.candidate for each in tried.trials_in(file)] == ["a"]
    assert file.read_text() == whole
    file.write_text(whole[:30])
    assert list(tried.trials_in(file)) == []
    assert file.read_text() == ""


def test_options_are_tried_and_the_same_command_goes_on(tmp_path):
    asked = (*ASKED, "--backend", "onnxruntime[kv_cache=in_place]", "--baseline", "onnxruntime")
    first = bench("tune", *asked, "--budget", "1", "--json", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    told = json.loads(first.stdout)
    assert [each["candidate"] for each in told["trials"]] == ["onnxruntime[kv_cache=in_place]"]
    again = bench("tune", *asked, "--budget", "3", "--json", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "going on after 1 trials" in again.stderr
    told = json.loads(again.stdout)
    assert len(told["trials"]) == len({each["candidate"] for each in told["trials"]}) == 3
    assert all(each["latency_s"] > 0 and each["run"] for each in told["trials"])
    assert told["tuned"] in [each["candidate"] for each in told["trials"]]
    (folder,) = (tmp_path / "bench-results/tuning").iterdir()
    assert (folder / "report/figures/tuning.pdf").read_bytes().startswith(b"%PDF")
    assert "What it was worth" in (folder / "report/report.md").read_text()


def test_what_cannot_be_tuned_is_said(tmp_path):
    several = bench("tune", "--suite", "kernels", "--size", "tiny", "--backend", "onnxruntime", cwd=tmp_path)
    assert several.returncode == 2
    assert "one configuration is tuned at a time" in several.stderr
    none = bench("tune", *ASKED, "--backend", "eager", cwd=tmp_path)
    assert none.returncode == 2
    assert "nothing to search" in none.stderr
    nothing = bench("tune", *ASKED, "--backend", "onnxruntime", "--budget", "0", cwd=tmp_path)
    assert nothing.returncode == 2
    assert "tries nothing" in nothing.stderr


@pytest.mark.full
def test_schedules_are_searched_checked_kept_and_compiled_with(tmp_path):
    pytest.importorskip("tvm")
    asked = (*ASKED, "--backend", "tvm[schedules=found]", "--baseline", "tvm_untuned[fusion=on]")
    done = bench("tune", *asked, "--budget", "6", "--json", cwd=tmp_path, timeout=500)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [part["name"] for part in told["search"]["parts"]] == ["matmul"]
    right = [each for each in told["trials"] if each["latency_s"] is not None]
    assert len(told["trials"]) >= 6
    assert right
    assert len((tmp_path / "found" / "records.json").read_text().splitlines()) == len(right)
    (run,) = (tmp_path / "bench-results").glob("*-kernels-*")
    report = (run / "report" / "report.md").read_text()
    assert "schedules of 1 functions" in report.replace("\\", "")
    shutil.rmtree(tmp_path / "found")
    without = bench("run", *ASKED, "--backend", "tvm[schedules=found]", cwd=tmp_path, timeout=300)
    assert "holds no schedules" in without.stdout + without.stderr
