"""A search of a runtime's own: what it tells, what that cost, and how it ends."""

import os
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from steelyard.core.backend import BackendSpec, Budget, Device
from steelyard.core.errors import SteelyardError
from steelyard.core.tuning import Part, Trial
from steelyard.engine.tuning import trials
from tests.fakes.numpy_work import lowered_point

SEARCHES = """
import os, sys, time
from steelyard.core.runner import Runner
from steelyard.core.tuning import Part, Tried

class Searched(Runner):
    formats, tunings, keeps_cache = (), {}, ""
    def availability(*_): ...
    def start(self): print("the compiler says something on standard output")
    def load(self, program): ...

def search(runner, program, seed):
    yield (Part(name="kernel", calls=2),)
    time.sleep(0.3)
    yield Tried(candidate=f"first of {seed}", part="kernel", latency_s=0.5)
    yield Tried(candidate="second", part="kernel", reason="wrong")

def crashes(runner, program, seed):
    yield (Part(name="kernel"),)
    print("the last words", flush=True)
    os._exit(9)

def fails(runner, program, seed):
    yield (Part(name="kernel"),)
    raise ValueError("no such loop")

def loops(runner, program, seed):
    yield (Part(name="kernel"),)
    time.sleep(600)

""" + "\n".join(
    f"class {name.capitalize()}(Searched): tuner = 'searches:{name}'"
    for name in ("search", "crashes", "fails", "loops")
)


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """A search of one of these names."""
    (tmp_path / "searches.py").write_text(SEARCHES)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{Path(__file__).parents[2]}")
    program = lowered_point(tmp_path / "point").programs["main"]

    def asked(name, *, until_s=60.0, silence_s=30.0):
        return trials(
            BackendSpec(runner=f"searches:{name}"),
            Device(kind="cpu", index=0, name="a CPU", memory_bytes=None),
            Budget(threads=1, cpus=(min(os.sched_getaffinity(0)),)),
            program,
            7,
            until_s=time.monotonic() + until_s,
            silence_s=silence_s,
        )

    return asked


def test_parts_then_trials_each_with_all_that_passed_since_the_one_before(ask):
    begun = time.monotonic()
    parts, first, second = ask("Search")
    assert parts == (Part(name="kernel", calls=2),)
    assert isinstance(first, Trial)
    assert (first.candidate, first.latency_s) == ("first of 7", 0.5)
    assert (second.latency_s, second.reason) == (None, "wrong")
    assert 0.3 <= first.cost_s <= time.monotonic() - begun
    assert first.cost_s + second.cost_s <= time.monotonic() - begun


@pytest.mark.parametrize(
    ("name", "limits", "told"),
    [
        ("Crashes", {}, "ended its process: .*the last words"),
        ("Fails", {}, "failed: .*no such loop"),
        ("Loops", {"silence_s": 3.0}, "said nothing for 3 s"),
    ],
)
def test_one_that_goes_wrong_is_an_error_with_what_it_said(name, limits, told, ask):
    search = ask(name, **limits)
    assert next(search) == (Part(name="kernel"),)
    with pytest.raises(SteelyardError, match=f"(?s)the search of searches:{name} {told}"):
        next(search)


def test_it_ends_with_its_time_and_with_whoever_asked(ask):
    assert list(ask("Loops", until_s=4.0)) == [(Part(name="kernel"),)]
    with closing(ask("Loops")) as search:
        next(search)
        assert psutil.Process().children()
    assert not psutil.Process().children()
