"""How long lowering is expected to take: from earlier steps, else from how fast the machine is, by what is missing."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from steelyard.core.metrics import Reading, absent
from steelyard.guard import cgroup
from steelyard.lowering import side_by_side as places
from steelyard.lowering.costs import LoweringCosts, task_s
from steelyard.lowering.expected import of_steps
from steelyard.lowering.side_by_side import side_by_side
from steelyard.lowering.steps import Step

WEIGHTS = Step(kind="weights", key="w", label="weights", makes="weights", gigabytes=0.5)
REFERENCES = replace(WEIGHTS, kind="points", key="r", makes="references", calls=32)
ONNX = replace(WEIGHTS, kind="programs", key="o", makes="onnx", program="prefill")
DECODE = replace(ONNX, key="d", program="decode")
GB = 1e9


def test_a_machine_that_has_seen_nothing_expects_as_fast_as_it_is(tmp_path: Path) -> None:
    one, two = (LoweringCosts(tmp_path, lambda s=s: s) for s in (0.1, 0.2))
    for step in (WEIGHTS, REFERENCES, ONNX, replace(ONNX, makes="onnx@20"), replace(ONNX, makes="another")):
        assert two.expected_s(step) == pytest.approx(2 * one.expected_s(step))


def test_what_a_kind_of_step_took_here_counts_more_than_how_fast_the_machine_is(tmp_path: Path) -> None:
    costs = LoweringCosts(tmp_path, lambda: 0.1)
    for seconds in (30.0, 31.0, 300.0):
        costs.add(ONNX, seconds)
    again = LoweringCosts(tmp_path, lambda: pytest.fail("measured, although this kind was seen"))
    assert again.expected_s(ONNX) == pytest.approx(31.0)  # one that was disturbed does not count
    assert 31.0 < again.expected_s(replace(ONNX, gigabytes=1.0)) < 62.0  # some of it is the same for any size
    other = LoweringCosts(tmp_path, lambda: 0.1)
    assert other.expected_s(WEIGHTS) == LoweringCosts(tmp_path / "empty", lambda: 0.1).expected_s(WEIGHTS)


def test_the_newest_count_and_a_line_that_was_cut_short_does_not(tmp_path: Path) -> None:
    costs = LoweringCosts(tmp_path)
    for seconds in (5.0, 5.0, 5.0, *[50.0] * 6):
        costs.add(ONNX, seconds)
    with (tmp_path / "costs.jsonl").open("a") as stream:
        stream.write('{"makes": "onnx", "giga')
    assert LoweringCosts(tmp_path).expected_s(ONNX) == pytest.approx(50.0)


def test_only_what_is_missing_costs_and_two_processes_share_it(tmp_path: Path) -> None:
    costs = LoweringCosts(tmp_path)
    for step, seconds in ((WEIGHTS, 20.0), (REFERENCES, 40.0), (ONNX, 30.0)):
        costs.add(step, seconds)
    alone = of_steps((WEIGHTS, REFERENCES, ONNX, DECODE), costs, 1)
    assert alone.terms == pytest.approx({"weights": 20.0, "references": 40.0, "lower onnx": 60.0})
    shared = of_steps((WEIGHTS, REFERENCES, ONNX, DECODE), costs, 2)
    assert alone.seconds - shared.seconds == pytest.approx(50.0)
    assert of_steps((DECODE,), costs, 1).seconds - of_steps((), costs, 1).seconds == pytest.approx(30.0, abs=3.0)
    assert of_steps((), costs).seconds == 0.0
    # References are made one after the other, however many processes there are.
    many = of_steps((WEIGHTS, REFERENCES, ONNX, DECODE), costs, 8)
    assert shared.seconds - many.seconds == pytest.approx(10.0)


def test_the_task_takes_as_long_as_it_takes() -> None:
    assert 0.0 < task_s() < 5.0


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    def has(cpus: int = 4, free_gb: float = 100.0, quota: float | None = None, limit_gb: float | None = None) -> None:
        monkeypatch.setattr(places.os, "sched_getaffinity", lambda _: set(range(cpus)), raising=False)
        monkeypatch.setattr(places.sys, "platform", "linux")
        free = type("Memory", (), {"available": free_gb * GB})
        monkeypatch.setattr(cgroup.psutil, "virtual_memory", lambda: free)
        if limit_gb is not None:
            (tmp_path / "memory.max").write_text(str(int(limit_gb * GB)))
            (tmp_path / "memory.current").write_text("0")
        monkeypatch.setattr(cgroup, "_directories", lambda *_: iter((tmp_path,)))
        monkeypatch.setattr(places, "cpu_quota", lambda: limit(quota, "1"))

    def limit(value: float | None, unit: str) -> Reading:
        return absent(unit, "no limit") if value is None else Reading(value=value, unit=unit, method="cgroup")

    return has


def test_there_are_as_many_processes_as_have_something_to_do_and_a_cpu(machine: Callable[..., None]) -> None:
    machine(cpus=4)
    found = side_by_side((WEIGHTS, REFERENCES, ONNX, DECODE))
    assert (found.processes, found.threads, found.reason) == (3, {"OMP_NUM_THREADS": "1"}, "")
    assert side_by_side((ONNX, DECODE)).processes == 2
    assert side_by_side((WEIGHTS, REFERENCES)).processes == side_by_side(()).processes == 1
    assert side_by_side((DECODE,)).threads == {}  # alone it has all CPUs
    machine(cpus=2)
    assert side_by_side((WEIGHTS, REFERENCES, ONNX, DECODE)).processes == 2
    machine(cpus=8, quota=1.5)
    assert side_by_side((WEIGHTS, REFERENCES, ONNX, DECODE)).processes == 1


def test_where_memory_is_short_there_are_fewer_and_it_is_said(machine: Callable[..., None]) -> None:
    steps = (WEIGHTS, REFERENCES, ONNX, DECODE)
    machine(cpus=2, free_gb=5.9)
    found = side_by_side(steps)
    assert found.processes == 1
    assert found.threads == {}
    assert found.reason == "2 processes side by side may need 6.0 GB, and 5.9 GB are free"
    machine(cpus=2, free_gb=6.5)
    assert side_by_side(steps).processes == 2
    machine(cpus=2, free_gb=50.0, limit_gb=4.0)
    assert side_by_side(steps).processes == 1
