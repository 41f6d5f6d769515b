"""Probing in child processes: a runner that crashes, hangs or babbles is unavailable or heard, and nothing else."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from steelyard.core.errors import UsageError
from steelyard.engine.probe import probe

RUNNERS = """
import os, signal, sys, time
from steelyard.core.backend import Availability
from steelyard.core.runner import Runner

class Base(Runner):
    formats = ()
    tunings = {}
    keeps_cache = ""
    def start(self): raise NotImplementedError
    def load(self, program): raise NotImplementedError

class Good(Base):
    @classmethod
    def availability(cls, backend, device_kind):
        return Availability(available=True, versions={"it": "1.2"}, devices=(device_kind,))

class Babbles(Base):
    @classmethod
    def availability(cls, backend, device_kind):
        print("loading ..."); print("half a line", end=""); print("warning", file=sys.stderr)
        return Availability(available=False, reason="no compiler")

class Crashes(Base):
    @classmethod
    def availability(cls, backend, device_kind):
        os.kill(os.getpid(), signal.SIGSEGV)

class Exits(Base):
    @classmethod
    def availability(cls, backend, device_kind):
        print("the driver is too old", file=sys.stderr); sys.stderr.flush(); os._exit(7)

class Raises(Base):
    @classmethod
    def availability(cls, backend, device_kind):
        raise ImportError("libnothing.so: cannot open shared object file")

class Slow(Good):
    @classmethod
    def availability(cls, backend, device_kind):
        open("asked", "w").close(); time.sleep(1)
        return super().availability(backend, device_kind)

class Hangs(Base):
    @classmethod
    def availability(cls, backend, device_kind):
        time.sleep(600)

class Leaves(Base):
    @classmethod
    def availability(cls, backend, device_kind):
        import subprocess
        subprocess.Popen(["sleep", "600"])  # which holds this process's output
        time.sleep(600)
"""


@pytest.fixture
def own_runners(tmp_path, monkeypatch):
    """A user's module in the working directory; beside it a file with a runtime's name that must not be taken."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "probed_runners.py").write_text(textwrap.dedent(RUNNERS))
    (tmp_path / "numpy.py").write_text("raise SystemExit('the wrong numpy')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])


def test_every_way_to_answer(own_runners):
    names = [f"own.probed_runners:{name}" for name in ("Good", "Babbles", "Crashes", "Exits", "Raises")]
    found = probe(names, "cpu")
    assert list(found) == names
    good, babbles, crashes, exits, raises = found.values()
    assert (good.available, good.versions, good.devices) == (True, {"it": "1.2"}, ("cpu",))
    assert (babbles.available, babbles.reason) == (False, "no compiler")
    assert crashes.reason == "asking it crashed (killed by signal 11)"
    assert exits.reason == "asking it crashed (exit code 7): the driver is too old"
    assert re.fullmatch(
        r"ImportError: libnothing.so: cannot open shared object file \(own/probed_runners.py:\d+\)", raises.reason
    )
    assert not any(answer.available for answer in (crashes, exits, raises))


def test_a_runner_is_not_asked_of_kinds_that_it_is_not_written_for(own_runners):
    (answer,) = probe(["own.probed_runners:Crashes"], "cuda").values()
    assert (answer.available, answer.reason) == (False, "it runs on cpu, not on cuda")


def test_a_hanging_runner_costs_its_timeout_only(own_runners):
    begun = time.monotonic()
    found = probe(["own.probed_runners:Hangs", "own.probed_runners:Good"], "cpu", timeout_s=3.0)
    assert time.monotonic() - begun < 30
    assert found["own.probed_runners:Hangs"].reason == "it did not answer within 3 s of being asked"


def test_what_a_hanging_runner_has_started_is_not_waited_for(own_runners):
    begun = time.monotonic()
    (answer,) = probe(["own.probed_runners:Leaves"], "cpu", timeout_s=3.0).values()
    assert time.monotonic() - begun < 60
    assert answer.reason == "it did not answer within 3 s of being asked"


def test_a_terminal_that_is_closed_meanwhile_makes_no_backend_unusable(own_runners, tmp_path):
    asking = """
import sys
from steelyard.cli.interruption import ended_only_when_asked
from steelyard.engine.probe import probe
sys.path.append("")
with ended_only_when_asked():
    (answer,) = probe(["own.probed_runners:Slow"], "cpu").values()
open("answer", "w").write(answer.reason or "available")
"""
    process = subprocess.Popen([sys.executable, "-P", "-c", asking], start_new_session=True)
    while not (tmp_path / "asked").exists():
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGHUP)  # as the kernel does to all that the terminal has in front
    assert process.wait(60) == 0
    assert (tmp_path / "answer").read_text() == "available"


def test_an_unknown_backend_is_the_users_error():
    with pytest.raises(UsageError, match="unknown backend 'onnxruntim'; did you mean 'onnxruntime'"):
        probe(["onnxruntim"], "cpu")
