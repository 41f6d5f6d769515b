"""The spin meter: its count of steps by a clock that a test moves, and the real process that waits to be asked."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from steelyard.guard import spin
from steelyard.guard.spin_meter import READ_NS, SpinMeter, some_of

HERE = min(os.sched_getaffinity(0))
LAST = max(os.sched_getaffinity(0))


@pytest.fixture
def meter() -> Iterator[SpinMeter]:
    with SpinMeter([HERE]) as found:
        yield found


def spun(monkeypatch: pytest.MonkeyPatch, *ticks: int) -> tuple[int, int, int, int]:
    """What `spin` counts on a clock that moves by these nanoseconds from one look to the next."""
    times = [1000]
    for tick in ticks:
        times.append(times[-1] + tick)
    looks = iter(times)
    monkeypatch.setattr(spin.time, "monotonic_ns", lambda: next(looks))
    return spin.spin(times[-1])


def test_time_in_gaps_is_lost_and_the_rest_gives_the_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    lost, total, longest, steps = spun(monkeypatch, 100, 100, 9_000, 100, 100, 20_000, 100)
    assert (lost, total, longest) == (29_000, 29_500, 20_000)
    assert steps / (total - lost) == pytest.approx(1 / 100), "whatever the gaps took"


def test_a_slower_clock_without_gaps_is_a_lower_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    lost, total, _, steps = spun(monkeypatch, *[120] * 50)
    assert (lost, steps / total) == (0, 1 / 120)


def test_the_answer_leaves_gaps_out(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(spin.sys, "stdin", ["100 200\n"])
    monkeypatch.setattr(spin.os, "sched_setaffinity", lambda process, cpus: None)
    monkeypatch.setattr(spin, "spin", lambda end_ns: (50_000, 150_000, 40_000, 1_000))
    spin._serve([0, 1])
    assert capsys.readouterr().out == "1000 100000 1000 100000\n"


def test_it_answers_whenever_it_is_asked(meter: SpinMeter) -> None:
    for rested in (True, False, False):
        reading = meter.read(rested=rested)
        assert reading.value is not None, reading.reason
        assert 1e5 < reading.value < 1e9
        assert reading.unit == "Hz"
        assert f"{READ_NS / 1e6:g} ms on each of the CPUs {HERE};" in reading.method


def test_it_reads_on_the_cpus_it_was_given_and_sleeps_in_between() -> None:
    with SpinMeter([HERE, LAST]) as meter:
        meter.read()
        process = psutil.Process(meter.process.pid)
        assert process.cpu_affinity() == [LAST], "the last one that it read"
        used_s = sum(process.cpu_times()[:2])
        time.sleep(0.1)
        assert sum(process.cpu_times()[:2]) == used_s
        assert os.getsid(process.pid) == process.pid, "a signal to our group is none to it"
        assert "STEELYARD_LAUNCH" not in process.environ()
    assert not psutil.pid_exists(process.pid)


def test_the_slowest_cpu_counts_and_one_that_others_had_does_not(
    meter: SpinMeter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter, "_asked", lambda question: [1500, READ_NS, 1000, READ_NS, 1, READ_NS // 100])
    assert meter.read().value == pytest.approx(1000 / READ_NS * 1e9)
    monkeypatch.setattr(meter, "_asked", lambda question: [1, READ_NS // 100])
    assert meter.read().reason == "others had the CPUs while the spin meter was to read"


def test_a_cpu_that_may_not_be_used_is_told_and_ends_nothing() -> None:
    with SpinMeter([4000]) as meter:
        for _ in range(2):
            reading = meter.read()
            assert reading.value is None
            assert reading.reason.startswith("no spin meter: OSError"), reading.reason


def test_one_that_hangs_is_ended_and_told(meter: SpinMeter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steelyard.guard.spin_meter._ANSWER_S", 0.05)
    meter.process.send_signal(signal.SIGSTOP)
    for _ in range(2):
        assert meter.read().reason == "no spin meter: it did not answer within 0.05 s"
    assert meter.process.returncode == -signal.SIGKILL


def test_one_that_ended_is_told(meter: SpinMeter) -> None:
    meter.read()
    meter.process.kill()
    meter.process.wait()
    assert meter.read().reason == "no spin meter: it ended with -9"


def test_of_many_cpus_four_are_read() -> None:
    assert some_of([3, 5]) == (3, 5)
    assert some_of(range(96)) == (0, 31, 63, 95)


_SUPERVISOR = f"""
import json, time
from steelyard.guard.spin_meter import SpinMeter
with SpinMeter([{HERE}]) as meter:
    print(json.dumps([meter.process.pid, meter.read().value]), flush=True)
    time.sleep(60)
"""


def test_it_is_gone_when_its_parent_is_killed() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", _SUPERVISOR], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert parent.stdout is not None
    pid, speed = json.loads(parent.stdout.readline())
    assert speed > 0
    os.kill(pid, signal.SIGSTOP)  # even then
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 20
    while not over(pid) and time.monotonic() < until:
        time.sleep(0.02)
    assert over(pid)


def over(pid: int) -> bool:
    """Whether a process has ended, waited for or not."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
