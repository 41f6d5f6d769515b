"""What others did while a launch ran: process trees, shares, the rule of contaminated rounds, the grade at the end."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.metrics import Reading, absent
from steelyard.core.result import LaunchRecord
from steelyard.core.run import Noise
from steelyard.guard import during
from steelyard.guard.contamination import contaminated_rounds, contamination
from steelyard.guard.grades import graded_at_end
from steelyard.guard.tree import tree_cpu_s

HZ = os.sysconf("SC_CLK_TCK")


class Tree:
    """A /proc with processes and CPUs that a test sets."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def process(self, pid: int, parent: int, session: int, ticks: int, name: str = "worker", waited: int = 0) -> None:
        directory = self.root / "proc" / str(pid)
        directory.mkdir(parents=True, exist_ok=True)
        head = f"{pid} ({name}) S {parent} {session} {session} 0 -1 0 0 0 0 0"
        (directory / "stat").write_text(f"{head} {ticks} 0 {waited} 0 20 0 1 0 99\n")

    def cpus(self, *busy_idle_steal: tuple[int, int, int]) -> None:
        (self.root / "proc").mkdir(parents=True, exist_ok=True)
        lines = [f"cpu{n} {busy} 0 0 {idle} 0 0 0 {stolen}" for n, (busy, idle, stolen) in enumerate(busy_idle_steal)]
        (self.root / "proc/stat").write_text("\n".join(lines) + "\n")


@pytest.fixture
def tree(tmp_path) -> Tree:
    return Tree(tmp_path)


def test_the_tree_is_the_leader_its_session_and_its_descendants(tree):
    tree.process(10, 1, 10, ticks=100, waited=7)
    tree.process(11, 10, 10, ticks=20, name="a (b) c")
    tree.process(12, 1, 10, ticks=3, name="orphan of the session")
    tree.process(13, 11, 13, ticks=500, name="session of its own")
    tree.process(14, 13, 13, ticks=1000)
    tree.process(20, 1, 20, ticks=10_000, name="another")
    assert tree_cpu_s(10, tree.root) == pytest.approx((100 + 7 + 20 + 3 + 500 + 1000) / HZ)
    assert tree_cpu_s(20, tree.root) == pytest.approx(10_000 / HZ)


def test_a_leader_that_is_not_there_gives_no_number(tree, tmp_path):
    tree.process(10, 1, 10, ticks=1)
    assert tree_cpu_s(11, tree.root) is None
    assert tree_cpu_s(10, tmp_path / "nowhere") is None


def test_parents_that_form_a_ring_end(tree):
    tree.process(10, 1, 10, ticks=1)
    tree.process(30, 31, 30, ticks=5)
    tree.process(31, 30, 30, ticks=5)
    assert tree_cpu_s(10, tree.root) == pytest.approx(1 / HZ)


def test_a_real_tree_counts_a_child_that_left_the_session_and_a_zombie():
    code = (
        "import subprocess, sys, time\n"
        "spin = 'import time\\nt = time.process_time()\\nwhile time.process_time() - t < 0.2: pass\\n'\n"
        "subprocess.run([sys.executable, '-c', spin])\n"
        "late = subprocess.Popen([sys.executable, '-c', spin + 'print(flush=True); time.sleep(60)'],\n"
        "                        start_new_session=True, stdout=subprocess.PIPE)\n"
        "late.stdout.readline()\n"
        "print(late.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True) as worker:
        late = int(worker.stdout.readline())
        try:
            together = tree_cpu_s(worker.pid)
            assert 0.4 - 4 / HZ <= together < 2
            worker.kill()
            os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet waited for
            assert tree_cpu_s(worker.pid) is not None
        finally:
            os.kill(late, 9)


def test_the_foreign_share_is_what_neither_the_worker_nor_the_supervisor_used(tree):
    tree.cpus((1000, 5000, 0), (1000, 5000, 0))
    watch = during.begin([0, 1], tree.root)
    tree.cpus((1100, 5000, 0), (1060, 5030, 10))
    tree.process(10, 1, 10, ticks=100)
    own = (time.process_time() - watch.own_s) * HZ
    found = during.end(watch, 10)
    assert found["foreign_cpu_share"].value == pytest.approx((160 - 100) / 200, abs=(own + 5) / 200)
    assert found["steal_share"].value == pytest.approx(10 / 200)
    assert found["measured_cpus"].value == 2
    assert found["throttled_share"].value is None
    assert during.end(watch, 99)["foreign_cpu_share"].reason.startswith("the CPU time of the worker")


def test_a_real_load_beside_a_real_worker_is_more_than_the_limit_and_alone_it_is_the_tree():
    cpu = min(os.sched_getaffinity(0))
    spin = f"import os, time\nos.sched_setaffinity(0, {{{cpu}}})\nt = time.time()\nwhile time.time() - t < 0.6: pass"
    watch = during.begin([cpu])
    worker, load = (subprocess.Popen([sys.executable, "-c", spin]) for _ in range(2))
    os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
    both = during.end(watch, worker.pid)
    worker.wait()
    load.wait()
    assert both["foreign_cpu_share"].value > 0.25
    assert "other processes used" in contamination({f"during/{name}": reading for name, reading in both.items()})


def noise(cpus: float = 2, seconds: float = 10.0, **values: float | None) -> dict[str, Reading]:
    """Readings of a launch of so many seconds: `during`, `before`, `after` are foreign shares, the others over it."""
    keys = {
        "during": "during/foreign_cpu_share",
        "before": "before/foreign_cpu_share",
        "after": "after/foreign_cpu_share",
        "steal": "during/steal_share",
        "throttled": "during/throttled_share",
    }
    found = {
        "during/measured_cpus": Reading(value=cpus, unit="1"),
        "during/watched_s": Reading(value=seconds, unit="s"),
    }
    for name, value in values.items():
        found[keys[name]] = absent("1", "not told") if value is None else Reading(value=value, unit="1")
    return found


@pytest.mark.parametrize(
    ("readings", "said"),
    [
        (noise(during=0.041, before=0.2, after=0.2, steal=0.05, throttled=0.05), ""),
        (noise(during=0.07), "other processes used 0.14 of 2 CPUs while it ran"),
        (noise(seconds=0.25, during=0.10), ""),  # 0.05 s of both CPUs: not more than ticks may lie
        (noise(seconds=0.25, during=0.13), "other processes used 0.26 of 2 CPUs while it ran"),
        (noise(64, during=0.01), ""),
        (noise(64, during=0.02), "other processes used 1.28 of 64 CPUs while it ran"),
        (noise(before=0.5), "other processes used 1.00 of 2 CPUs just before it"),
        (noise(after=0.5), "other processes used 1.00 of 2 CPUs just after it"),
        (noise(1, before=0.4), ""),
        (noise(steal=0.06), "the hypervisor gave 6% of the CPU time to other guests"),
        (noise(throttled=0.2), "a CPU quota stopped it in 20% of the scheduler periods"),
        (noise(during=None, before=None, after=None, steal=None, throttled=None), ""),
        ({"before/foreign_cpu_share": Reading(value=0.9, unit="1")}, ""),  # stored before launches were watched
    ],
)
def test_the_rule(readings, said):
    assert contamination(readings) == said


@given(
    st.sampled_from(["during", "before", "after", "steal", "throttled"]),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(1, 256),
)
def test_more_noise_never_contaminates_less(name, one, other, cpus):
    low, high = sorted((one, other))
    assert bool(contamination(noise(cpus, **{name: low}))) <= bool(contamination(noise(cpus, **{name: high})))


def launch(number: int, arm: str = "a", **values: float | None) -> LaunchRecord:
    return LaunchRecord(
        launch=f"{number}-{arm}",
        arm=arm,
        round=number,
        position=0,
        started_s=0.0,
        ended_s=1.0,
        exit_code=0,
        supervisor_cpu_s=0.0,
        noise=noise(**values),
    )


def test_a_round_is_contaminated_if_any_of_its_launches_is():
    found = contaminated_rounds(
        [launch(1), launch(1, "b"), launch(2), launch(2, "b", during=0.4), launch(3, steal=0.2)]
    )
    assert found == {
        2: "b: other processes used 0.80 of 2 CPUs while it ran",
        3: "a: the hypervisor gave 20% of the CPU time to other guests",
    }
    many = contaminated_rounds([launch(1, name, during=0.4) for name in "abcd"])
    assert many[1].startswith("a: other")
    assert many[1].endswith("; and in 2 more launches")


QUIET = Noise(grade="B", readings={"hiccup_share": Reading(value=0.02, unit="1")}, evidence=("B: a little",))


@pytest.mark.parametrize(
    ("shares", "grade"),
    [
        ((0.0, 0.01, 0.02), "B"),
        ((0.0, 0.0, 0.9), "B"),  # it came and went: the rounds are marked, the grade stays
        ((0.0, 0.4, 0.4), "F"),
        ((0.1, 0.1, 0.1), "C"),
        ((None, None), "B"),
        ((), "B"),
    ],
)
def test_the_grade_at_the_end_is_the_worse_of_the_preflight_and_the_typical_launch(shares, grade):
    at_end = graded_at_end(QUIET, [launch(1, during=share) for share in shares])
    assert at_end.grade == grade
    assert at_end.evidence[:1] == QUIET.evidence
    assert (grade == "B") == (len(at_end.evidence) == 1)
    assert at_end.readings["hiccup_share"].value == 0.02
    if shares:
        reading = at_end.readings["during/foreign_cpu_share"]
        assert reading.value is not None or reading.reason == "not told"


def test_a_quiet_run_does_not_mend_a_noisy_preflight():
    loud = Noise(grade="F", readings={}, evidence=("F: loud",))
    assert graded_at_end(loud, [launch(1, during=0.0)]).grade == "F"


def test_what_others_do_while_a_launch_is_stopped_is_not_told_of_it(tree, monkeypatch):
    clock = iter([0.0, 2.0, 9.0, 10.0])
    monkeypatch.setattr(during.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(during.time, "process_time", lambda: 0.0)
    tree.process(10, 1, 10, ticks=0)
    tree.cpus((0, 0, 0))
    watch = during.begin([0], tree.root)
    tree.cpus((100, 100, 0))
    stopped = during.begin([0], tree.root)
    tree.cpus((900, 150, 50))  # another launch of the round at work, and the hypervisor with it
    watch = during.resumed(watch, stopped)
    tree.process(10, 1, 10, ticks=150)
    tree.cpus((1000, 200, 50))
    found = {name: reading.value for name, reading in during.end(watch, 10).items()}
    assert found["watched_s"] == 3.0
    assert found["foreign_cpu_share"] == pytest.approx((200 - 150) / 350)
    assert found["steal_share"] == 0.0
