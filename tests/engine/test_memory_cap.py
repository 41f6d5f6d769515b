"""A case under a limit of memory: what ends there is `out_of_memory`, and no capped case passes for another."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from steelyard.analysis.factor import find_factor
from steelyard.core.backend import Budget, Device, parse_backend
from steelyard.core.case import Case
from steelyard.core.details import MemoryCap
from steelyard.core.exhaustion import out_of_memory
from steelyard.core.workload import Selection
from steelyard.engine.ends import why
from steelyard.engine.launch import run_launch
from steelyard.engine.plan import DEFAULT_TIMEOUTS, Plan, Request
from steelyard.engine.protocol import CaseRequest, LaunchRequest, Pace
from tests.fakes.numpy_work import PATH, lowered_point
from tests.fakes.runs import llm_points, synthetic_run

ROOT = Path(__file__).parents[2]
CAP = 512 << 20
CAPPED = Budget(threads=1, cpus=(0,), memory_cap_bytes=CAP, memory_cap_by="rlimit")


def launch(tmp_path: Path, fault: str, budget: Budget):
    backend = f"{PATH}[fault={fault}]"
    request = LaunchRequest(
        launch=f"run-{os.getpid()}/0001",
        arm=backend,
        round=0,
        position=0,
        backend=parse_backend(backend),
        device=Device(kind="cpu", index=0, name="a CPU", memory_bytes=None),
        budget=replace(budget, cpus=(min(os.sched_getaffinity(0)),)),
        compile_cache=str(tmp_path / "cache"),
        scratch=str(tmp_path / "scratch"),
        seed=3,
        steady=False,
        cases=(
            CaseRequest(
                case_id="case",
                lowered=lowered_point(tmp_path / "point"),
                pace=Pace(seconds=0.05, minimum=10, maximum=100, cap_s=1.0),
            ),
        ),
    )
    (result,) = run_launch(request, origin_s=time.monotonic(), timeouts=DEFAULT_TIMEOUTS).results
    return result


def test_what_does_not_fit_is_out_of_memory_with_the_cap_in_its_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    result = launch(tmp_path, "greedy", CAPPED)
    assert (result.status, result.stage) == ("out_of_memory", "first_run")
    assert result.details.memory_cap == MemoryCap(bytes=CAP, by="rlimit", how="RLIMIT_DATA")
    assert "Unable to allocate" in result.reason


def test_the_same_without_a_limit_completes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = launch(tmp_path, "greedy", replace(CAPPED, memory_cap_bytes=None, memory_cap_by=None))
    assert result.status == "ok"
    assert result.details.memory_cap is None


@pytest.mark.parametrize(
    "text",
    [
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
        "RuntimeError: [enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you "
        "tried to allocate 1099511627776 bytes. Error code 12 (Cannot allocate memory)",
        "XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory allocating 17179869184 bytes.",
        "RuntimeException: [ONNXRuntimeError] : 6 : Failed to allocate memory for requested buffer of size 8589934592",
        "terminate called after throwing an instance of 'std::bad_alloc'",
        "RuntimeError: cuBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED",
        "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 1.00 GiB for an array",
        "OSError: [Errno 12] Cannot allocate memory",
        "OpenBLAS error: Memory allocation still failed after 10 retries, giving up.",
    ],
)
def test_each_runtimes_way_of_saying_it_is_known(text: str) -> None:
    assert out_of_memory(text)


@pytest.mark.parametrize(
    "text",
    [
        "RuntimeError: shapes do not fit",
        "CUDA error: an illegal memory access was encountered",
        "INVALID_ARGUMENT: rank",
    ],
)
def test_other_failures_are_not_taken_for_it(text: str) -> None:
    assert not out_of_memory(text)


def test_a_kill_is_out_of_memory_only_if_the_kernel_counted_one() -> None:
    group = replace(CAPPED, memory_cap_by="cgroup")
    starved = why("exited", -signal.SIGKILL, "compile", True, "", group)
    assert starved[0] == "out_of_memory"
    assert "512 MiB by cgroup" in starved[1]
    assert why("exited", -signal.SIGKILL, "compile", False, "", group)[0] == "crashed"
    assert why("exited", -signal.SIGSEGV, "compile", True, "", group)[0] == "crashed"
    assert why("timed_out", -signal.SIGKILL, "compile", True, "", group)[0] == "timed_out"


def test_a_crash_under_a_limit_that_says_nothing_is_not_called_out_of_memory_but_hints_at_it() -> None:
    status, reason = why("exited", -signal.SIGSEGV, "first_run", False, "all is well\n", CAPPED)
    assert status == "crashed"
    assert "may be for want of memory" in reason


def test_a_capped_case_is_another_case_and_an_uncapped_one_keeps_its_id() -> None:
    (point,) = llm_points(("decode",))
    plain = Case(
        point=point,
        backend=parse_backend("eager"),
        device_kind="cpu",
        scenario="single-stream",
        budget=Budget(threads=2, cpus=(0, 1)),
    )
    capped = replace(plain, budget=replace(plain.budget, memory_cap_bytes=CAP, memory_cap_by="cgroup"))
    other = replace(plain, budget=replace(plain.budget, memory_cap_bytes=2 * CAP, memory_cap_by="cgroup"))
    assert len({plain.id, capped.id, other.id}) == 3
    assert plain.id == "afa9fe9159781557", "as it was before there were limits"


def test_runs_that_differ_in_the_cap_differ_in_a_factor_that_is_named() -> None:
    run = synthetic_run(points=llm_points(("decode",)), headline="decode", backends=("eager",), rounds=3)
    budget = replace(run.manifest.budget, memory_cap_bytes=CAP, memory_cap_by="rlimit")
    capped = replace(run, manifest=replace(run.manifest, budget=budget))
    assert find_factor([run], [capped]).name == "memory_cap"
    by_group = replace(run, manifest=replace(run.manifest, budget=replace(budget, memory_cap_by="cgroup")))
    assert find_factor([by_group], [capped]).name == "memory_cap", "another way to keep it is another limit"


def test_a_capped_case_has_launches_of_its_own() -> None:
    points = llm_points(("prefill", "decode"))
    request = Request(
        suite="llm",
        backends=("eager",),
        device=Device(kind="cpu", index=0, name="a CPU", memory_bytes=None),
        budget=CAPPED,
        selection=Selection(device_kind="cpu"),
    )
    plan = Plan(
        request=request,
        suite=None,  # type: ignore[arg-type]
        points=points,
        arms=(),
        baseline=None,  # type: ignore[arg-type]
        left_out=(),
        formats={},
        minimum_rounds=1,
        maximum_rounds=1,
    )
    assert plan.bundles == ((points[0],), (points[1],))
    free = replace(plan, request=replace(request, budget=Budget(threads=1, cpus=(0,))))
    assert free.bundles == (points,)
