"""Whoever is killed outright takes its children along: every kind of child, even one that is stopped just then."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from steelyard.guard.child import program_command

ROOT = Path(__file__).parents[2]

SLOW = """
import os, time
from pathlib import Path
from steelyard.core.runner import Runner

def hang(*_):
    Path(f"ready-{os.getpid()}").touch()
    time.sleep(600)

class Hangs(Runner):
    formats, tunings, keeps_cache = (), {}, ""
    availability = hang
    start = load = hang
"""
CASES = """
import dataclasses, os, sys, subprocess, time
from pathlib import Path

def probed():
    from steelyard.engine.probe import probe
    probe(["held.slow:Hangs"], "cpu")

def point():
    from tests.fakes.numpy_work import lowered_point
    return lowered_point(Path("point"))

def lowering():
    from steelyard.engine.lower import lower_points
    from steelyard.core.workload import Weights
    given = point().point
    program = dataclasses.replace(
        given.programs["main"], weights=Weights(source="held.slow:hang", arguments={}, origin="seeded")
    )
    given = dataclasses.replace(given, programs={"main": program})
    lower_points([given], ["onnx"], weights_dir=None, device_kind="cpu", say=print)

def worker():
    from steelyard.core.backend import Budget, Device, parse_backend
    from steelyard.engine.launch import run_launch
    from steelyard.engine.plan import DEFAULT_TIMEOUTS
    from steelyard.engine.protocol import CaseRequest, LaunchRequest, Pace
    pace = Pace(seconds=0.05, minimum=10, maximum=50, cap_s=1.0)
    request = LaunchRequest(
        launch=f"run/{os.getpid()}", arm="a", round=1, position=0, backend=parse_backend("held.slow:Hangs"),
        device=Device(kind="cpu", index=0, name="a CPU", memory_bytes=None),
        budget=Budget(threads=1, cpus=(min(os.sched_getaffinity(0)),)), compile_cache="compiled", scratch="scratch",
        seed=3, steady=True, cases=(CaseRequest(case_id="c", lowered=point(), pace=pace),),
    )
    run_launch(request, origin_s=0.0, timeouts=DEFAULT_TIMEOUTS)

def forks():
    from held.slow import hang
    from steelyard.render.forked import forked
    forked(hang, [1, 2], 2)

def another_program():
    from steelyard.guard.child import program_command
    subprocess.run(program_command(["sh", "-c", "touch ready-sh; exec sleep 600"]))

def loaded():
    from steelyard.selftest.background_load import background_load
    from held.slow import hang
    with background_load(min(os.sched_getaffinity(0)), 0):
        hang()

globals()[sys.argv[1]]()
"""


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run: one that has ended and waits for whoever inherited it counts as gone."""
    found = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def until(true, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not (met := true()) and time.monotonic() < end:
        time.sleep(0.02)
    return bool(met)


@pytest.mark.parametrize(
    ("kind", "count"),
    [("probed", 1), ("lowering", 1), ("worker", 1), ("forks", 2), ("another_program", 1), ("loaded", 1)],
)
def test_a_child_ends_with_its_parent_even_while_it_is_stopped(kind, count, tmp_path):
    (tmp_path / "held").mkdir()
    (tmp_path / "held" / "slow.py").write_text(SLOW)
    environment = {
        **os.environ,
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}",
        "STEELYARD_CACHE": str(tmp_path / "cache"),
    }
    parent = psutil.Popen([sys.executable, "-c", CASES, kind], cwd=tmp_path, env=environment)
    children: list[psutil.Process] = []
    try:
        # One that is stopped before it has asked to end with its parent does not.
        assert until(lambda: len(list(tmp_path.glob("ready-*"))) == count or parent.poll() is not None, 60)
        assert parent.poll() is None, "the child never came to where it hangs"
        children = parent.children(recursive=True)
        assert children
        for child in children:
            child.send_signal(signal.SIGSTOP)
        parent.kill()
        parent.wait()
        assert until(lambda: not alive(children), 10), f"left behind: {[child.cmdline() for child in alive(children)]}"
    finally:
        for process in alive([parent, *children]):
            process.kill()


def test_a_child_whose_parent_is_gone_before_it_begins_does_not_begin(tmp_path):
    *start, _, program, file = program_command(["touch", str(tmp_path / "begun")])
    gone = subprocess.Popen(["true"])
    gone.wait()
    done = subprocess.run([*start, str(gone.pid), program, file], check=False)
    assert done.returncode == 1
    assert not Path(file).exists()


def test_every_process_of_the_product_is_started_so():
    """Except what ends by itself: the spin meter within two seconds, and the fault that leaves a child behind.

    Environments and jobs for Slurm name the interpreter, and start it otherwise.
    """
    known = {"guard/child.py", "guard/preflight.py", "selftest/backends.py", "adapters/inductor_installation.py"}
    known |= {"environments/kept.py", "environments/made.py", "fleet/scripts.py", "service/bisecting.py"}
    engine = ROOT / "steelyard"
    starts = {str(path.relative_to(engine)) for path in engine.rglob("*.py") if "sys.executable" in path.read_text()}
    assert starts == known
