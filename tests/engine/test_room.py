"""Whether launches may be alive together, by what the cold round says of their memory."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from steelyard.core.backend import Budget, Device
from steelyard.core.metrics import Reading, absent
from steelyard.core.result import Result
from steelyard.core.workload import Selection
from steelyard.engine import room
from steelyard.engine.plan import Plan, Request, make_plan
from tests.fakes.numpy_work import PATH

GB = 1e9


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(
        Request(
            suite="tests.fakes.small_suite:SUITE",
            backends=(PATH,),
            device=Device(kind="cpu", index=0, name="CPU", memory_bytes=None),
            budget=Budget(threads=1, cpus=()),
            selection=Selection(device_kind="cpu"),
            baseline=PATH,
        )
    )


@pytest.fixture(autouse=True)
def _ten_gigabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room.psutil, "virtual_memory", lambda: SimpleNamespace(available=10 * GB))
    monkeypatch.setattr(room, "memory_limit", lambda: absent("B", "no limit"))


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


def test_launches_take_turns_where_the_memory_of_all_is_free(plan: Plan) -> None:
    assert room.apart(plan, cold(plan, 4.0, 4.9)) == ""
    assert "together they need 9.2 GB of memory, and 9.0 GB may be used" in room.apart(plan, cold(plan, 4.2, 5.0))


def test_what_was_not_measured_is_not_taken_to_be_little(plan: Plan) -> None:
    assert "needs was not measured" in room.apart(plan, cold(plan, 4.0, None))
    assert "ran out of memory" in room.apart(plan, cold(plan, 1.0, 1.0, status="out_of_memory"))


def test_what_failed_otherwise_says_nothing_of_what_it_needs(plan: Plan) -> None:
    fine, _ = cold(plan, 1.0, 1.0)
    _, failed = cold(plan, 1.0, None, status="failed")
    assert room.apart(plan, [fine, failed]) == ""


def test_the_limit_of_the_container_counts(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "memory_limit", lambda: Reading(value=2 * GB, unit="B"))
    assert "GB of memory" in room.apart(plan, cold(plan, 1.0, 1.0))


def test_an_accelerator_has_to_hold_all_contexts_as_well(plan: Plan) -> None:
    device = Device(kind="cuda", index=0, name="GPU", memory_bytes=int(10 * GB))
    on_gpu = replace(plan, request=replace(plan.request, device=device))
    host = cold(plan, 1.0, 1.0)

    def both(*peaks: float) -> list[Result]:
        told = cold(plan, *peaks, metric="device_peak_bytes")
        return [replace(one, memory={**one.memory, **other.memory}) for one, other in zip(host, told, strict=True)]

    assert room.apart(on_gpu, both(4.0, 4.0)) == ""
    assert "16.0 GB of memory of cuda:0" in room.apart(on_gpu, both(8.0, 8.0))
    assert "memory of cuda:0" in room.apart(on_gpu, host), "and it has to be known"


def test_turns_can_be_switched_off(plan: Plan) -> None:
    off = replace(plan, request=replace(plan.request, turns=False))
    assert room.apart(off, cold(plan, 1.0, 1.0)) == "--turns off"
