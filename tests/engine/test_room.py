"""Which launches may be alive together, by what the cold round says of their memory."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from steelyard.core.backend import Budget, Device
from steelyard.core.metrics import Reading, absent
from steelyard.core.result import Result
from steelyard.core.workload import Selection
from steelyard.engine import room
from steelyard.engine.plan import Plan, Request, make_plan
from steelyard.engine.room import Arrangement, Free, arranged
from steelyard.guard import cgroup
from tests.fakes.numpy_work import PATH

GB = 1e9


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(
        Request(
            suite="tests.fakes.small_suite:SUITE",
            backends=(PATH, SLOW, SLOWER),
            device=Device(kind="cpu", index=0, name="CPU", memory_bytes=None),
            budget=Budget(threads=1, cpus=()),
            selection=Selection(device_kind="cpu"),
            baseline=PATH,
        )
    )


TEN = Free(host_bytes=10 * GB, device_bytes=10 * GB)
BASELINE, SLOW, SLOWER, CONTROL = PATH, f"{PATH}[sleep=0.001]", f"{PATH}[sleep=0.002]", f"{PATH} (control)"


def cold(plan: Plan, *peaks_gb: float | None, metric: str = "host_peak_bytes", **fields) -> list[Result]:
    """A result of each arm with a phase of little memory and one of so much."""
    return [
        Result(
            case_id="case",
            arm=arm.label,
            round=0,
            position=0,
            launch="cold",
            stage="check",
            memory={
                f"{metric}/load": Reading(value=1.0, unit="B"),
                f"{metric}/compile": Reading(value=peak * GB, unit="B"),
            }
            if peak is not None
            else {f"{metric}/load": absent("B", "not told")},
            **{"status": "ok", **fields},
        )
        for arm, peak in zip(plan.arms, peaks_gb, strict=True)
    ]


def together(*groups: tuple[str, ...], why: str = "") -> Arrangement:
    return Arrangement(turns="on", groups=groups, why=why)


ALL = (BASELINE, SLOW, SLOWER, CONTROL)


def test_launches_take_turns_where_the_memory_of_all_is_free(plan: Plan) -> None:
    assert arranged(plan, cold(plan, 2.0, 2.0, 3.0, 1.9), TEN) == together(ALL)


def test_groups_share_the_baseline_where_memory_does_not_hold_all(plan: Plan) -> None:
    found = arranged(plan, cold(plan, 3.0, 2.0, 3.0, 3.0), TEN)
    assert found == together(
        (BASELINE, SLOW, SLOWER),
        (BASELINE, CONTROL),
        why="together they need 11.0 GB of memory, and 9.0 GB may be used; each group has its own launch of "
        f"{BASELINE}: {SLOW} and {SLOWER}; {CONTROL}",
    )
    found = arranged(plan, cold(plan, 4.0, 5.0, 3.0, 4.0), TEN)
    assert found.groups == ((BASELINE, SLOW), (BASELINE, SLOWER), (BASELINE, CONTROL))


def test_launches_run_one_after_the_other_where_one_does_not_fit_beside_the_baseline(plan: Plan) -> None:
    found = arranged(plan, cold(plan, 4.0, 1.0, 5.2, 4.0), TEN)
    reason = f"together {BASELINE} and {SLOWER} need 9.2 GB of memory, and 9.0 GB may be used"
    assert found == Arrangement(turns=reason, groups=(ALL,))


def test_what_was_not_measured_is_not_taken_to_be_little(plan: Plan) -> None:
    assert "needs was not measured" in arranged(plan, cold(plan, 1.0, None, 1.0, 1.0), TEN).turns
    assert "ran out of memory" in arranged(plan, cold(plan, *[1.0] * 4, status="out_of_memory"), TEN).turns
    assert "is not known" in arranged(plan, cold(plan, *[1.0] * 4), Free(host_bytes=None)).turns


def test_what_failed_otherwise_says_nothing_of_what_it_needs(plan: Plan) -> None:
    fine = cold(plan, *[1.0] * 4)
    _, failed, *_ = cold(plan, *[None] * 4, status="failed")
    assert arranged(plan, [fine[0], failed, *fine[2:]], TEN) == together(ALL)


def test_the_limit_of_the_container_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    device = Device(kind="cpu", index=0, name="CPU", memory_bytes=None)
    monkeypatch.setattr(cgroup.psutil, "virtual_memory", lambda: SimpleNamespace(available=10 * GB))
    monkeypatch.setattr(cgroup, "_directories", lambda *_: iter(()))
    assert room.free_now(device) == Free(host_bytes=10 * GB)
    (tmp_path / "memory.max").write_text(str(int(2 * GB)))
    (tmp_path / "memory.current").write_text(str(int(0.5 * GB)))
    monkeypatch.setattr(cgroup, "_directories", lambda *_: iter((tmp_path,)))
    assert room.free_now(device) == Free(host_bytes=1.5 * GB)


def test_an_accelerator_has_to_hold_all_contexts_as_well(plan: Plan) -> None:
    device = Device(kind="cuda", index=0, name="GPU", memory_bytes=int(10 * GB))
    on_gpu = replace(plan, request=replace(plan.request, device=device))
    host = cold(plan, *[1.0] * 4)

    def both(*peaks: float) -> list[Result]:
        told = cold(plan, *peaks, metric="device_peak_bytes")
        return [replace(one, memory={**one.memory, **other.memory}) for one, other in zip(host, told, strict=True)]

    assert arranged(on_gpu, both(*[2.0] * 4), TEN) == together(ALL)
    found = arranged(on_gpu, both(*[3.0] * 4), TEN)
    assert found.groups == ((BASELINE, SLOW, CONTROL), (BASELINE, SLOWER))
    assert "together they need 12.0 GB of memory of cuda:0" in found.why
    assert "16.0 GB of memory of cuda:0" in arranged(on_gpu, both(*[8.0] * 4), TEN).turns
    assert "memory of cuda:0" in arranged(on_gpu, host, TEN).turns, "and it has to be known"


def test_turns_can_be_switched_off(plan: Plan) -> None:
    off = replace(plan, request=replace(plan.request, turns=False))
    assert arranged(off, cold(plan, *[1.0] * 4), TEN) == Arrangement(turns="--turns off", groups=(ALL,))
