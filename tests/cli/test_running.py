"""What `bench run` holds while it runs, and what it answers for at its end."""

import os
import signal
import sys
import tempfile
import time
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from steelyard import plugins
from steelyard.cli.interruption import ended_only_when_asked
from steelyard.cli.main import app
from steelyard.core.errors import SteelyardError
from steelyard.core.workload import Selection
from steelyard.engine.estimate import estimate, guessed
from steelyard.hardware.occupied import occupied
from steelyard.lowering.cache import Cache, cache_root
from steelyard.lowering.expected import Expected
from steelyard.service import running
from steelyard.service.plan_text import describe
from steelyard.service.recorder import Recorder
from steelyard.service.screen import Screen
from tests.engine.test_contaminated_rounds import plan_of  # noqa: F401 (a fixture)
from tests.fakes.runs import Outcome, llm_points, synthetic_run
from tests.fakes.stored import store

NOTHING_TO_LOWER = Expected(seconds=0.0, processes=1, terms={})


def test_nothing_is_cleaned_between_lowering_and_the_first_launch(monkeypatch, tmp_path, plan_of):  # noqa: F811
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(running, "_lower", lambda *_: ({}, {}, {}))
    plan = plan_of(1)
    plan = replace(plan, request=replace(plan.request, budget=replace(plan.request.budget, cpus=(0,))))

    def allow(_) -> None:
        Cache(cache_root()).clean(0)

    with pytest.raises(SteelyardError, match="a run is using the cache"):
        running.run_plan(plan, tmp_path / "runs", Screen(), started_s=time.monotonic(), allow=allow)
    Cache(cache_root()).clean(0)


class Reached(Exception):
    """The run has got so far."""


def test_a_run_that_waits_begins_when_the_other_has_ended(monkeypatch, tmp_path, plan_of):  # noqa: F811
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path / "cache"))
    plan = plan_of(1)
    request = replace(plan.request, budget=replace(plan.request.budget, cpus=(0,)), wait=True)
    told = []

    def reached(*_):
        raise Reached

    monkeypatch.setattr(running, "_lower", reached)
    with ExitStack() as other:
        other.enter_context(occupied(request.device, request.budget))
        screen = SimpleNamespace(line=lambda text: (told.append(text), other.close()))
        with pytest.raises(Reached):
            running.run_plan(replace(plan, request=request), tmp_path / "runs", screen, started_s=time.monotonic())
    assert len(told) == 1
    assert f"the process {os.getpid()} is measuring on CPU 0" in told[0]


def test_what_killed_processes_left_is_removed_and_told_by_the_next_run(monkeypatch, tmp_path):
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    draft = Cache(cache_root()).root / "tmp" / f"programs-p-onnx-{os.geteuid()}"
    left = [tmp_path / "steelyard.work-abc", draft]
    for folder in left:
        folder.mkdir()
    told = []
    running._clear(told.append)
    assert told == [f"removed {folder}, which a killed process had left" for folder in left]
    assert not any(folder.exists() for folder in left)


def test_a_resumed_run_answers_for_cases_that_it_need_not_launch_again(plan_of):  # noqa: F811
    failed = Outcome(status="failed", stage="compile", reason="no such operator")
    run = synthetic_run(
        backends=("eager", "xla"), rounds=2, points=llm_points(("decode",)), statuses={("xla", "decode"): failed}
    )
    recorder = Recorder(None, None, run.manifest, plan_of(1), run, noise=run.segments[0].noise)
    assert {arm for (arm, _), result in recorder.last.items() if result.status == "failed"} == {"xla"}


@pytest.mark.parametrize(
    ("asked", "looks"),
    [({"window_s": 2.0}, 2), ({"window_s": 2.0, "quick": True}, 1), ({"window_s": 0.01}, 1)],
    ids=["whole", "quick", "short"],
)
def test_a_run_that_can_give_verdicts_looks_twice_at_a_noisy_machine(asked, looks, plan_of, monkeypatch):  # noqa: F811
    noisy = synthetic_run(backends=("eager", "xla"), grade="F").segments[0].noise
    seen = []

    def twice(look, say):
        look()
        return look()

    class Began(Exception):
        """The run goes on with what was seen last."""

    def begin(**given):
        assert given["noise"] is noisy
        raise Began

    monkeypatch.setattr(running, "preflight", lambda *_, **__: seen.append(1) or noisy)
    monkeypatch.setattr(running, "twice_if_noisy", twice)
    plan = plan_of(8)
    plan = replace(plan, request=replace(plan.request, **asked))
    writer, screen = SimpleNamespace(begin_segment=begin), SimpleNamespace(line=lambda _: None)
    with pytest.raises(Began):
        running._Measured(plan, {}, {}, started_s=0.0).segment(None, writer, screen)
    assert len(seen) == looks


def expected(plan):
    return estimate(plan, NOTHING_TO_LOWER, guessed(plan, 1.0))


def test_a_plan_of_cold_starts_promises_no_warm_round_and_no_verdict(plan_of):  # noqa: F811
    warm = plan_of(8)
    cold = replace(warm, request=replace(warm.request, scenario="cold-start"), minimum_rounds=8, maximum_rounds=8)
    assert any("rounds: one cold, then 8 to 8" in line for line in describe(warm, expected(warm)))
    said = "\n".join(describe(cold, expected(cold)))
    assert "rounds: 8, each with empty compile caches" in said
    assert "verdicts" not in said


@pytest.fixture(params=[signal.SIGTERM, signal.SIGHUP])
def number(request):
    before = signal.signal(request.param, signal.SIG_DFL)  # the tests themselves may run under nohup
    yield request.param
    signal.signal(request.param, before)


def test_who_is_asked_to_end_ends_as_on_ctrl_c_and_a_closed_terminal_ends_nothing(number):
    ends = number == signal.SIGTERM
    with pytest.raises(KeyboardInterrupt) if ends else nullcontext(), ended_only_when_asked():
        signal.raise_signal(number)
    assert signal.getsignal(number) is signal.SIG_DFL


@pytest.mark.parametrize(
    ("verb", "called"),
    [
        ("run", "steelyard.service.asked.request_of"),
        ("replay bundle", "steelyard.artifact.verify.opened"),
        ("selftest", "steelyard.cli.faults.run_faults"),
        ("hardware ceilings", "steelyard.hardware.choice.choose_cpus"),
    ],
)
def test_every_verb_that_measures_is_ended_only_when_asked(verb, called, number, monkeypatch):
    seen = []
    monkeypatch.setattr(called, lambda *_, **__: seen.append(signal.getsignal(number)) or sys.exit(0))
    CliRunner().invoke(app, verb.split())
    assert seen
    assert seen[0] is not signal.SIG_DFL


def test_a_signal_that_is_ignored_stays_so(number):
    signal.signal(number, signal.SIG_IGN)
    with ended_only_when_asked():
        signal.raise_signal(number)
    assert signal.getsignal(number) is signal.SIG_IGN


def test_code_that_only_a_stored_file_names_is_not_run_by_going_on(tmp_path):
    (point, *_) = plugins.suite("llm").points(Selection(device_kind="cpu", size="tiny", workloads=("decode",)))
    program = replace(point.programs["main"], source="os:abort")
    run = synthetic_run(backends=("eager",), points=(replace(point, programs={"main": program}),), rounds=1)
    plan = {"suite": "llm", "scenario": "single-stream", "minimum_rounds": 8, "maximum_rounds": 12, "quick": False}
    manifest = replace(run.manifest, plan={**plan, "time_s": None, "window_s": 0.5, "seed": 3})
    stored = store(replace(run, manifest=manifest), tmp_path)
    done = CliRunner().invoke(app, ["run", "--resume", stored.name, "--output", str(tmp_path)])
    assert "makes it otherwise: programs" in str(done.exception)
