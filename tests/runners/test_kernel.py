"""Kernels in the place of a workload's module, in real launches: those that compute, and those that cheat."""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from steelyard import plugins
from steelyard.core.backend import Budget, Device, parse_backend
from steelyard.core.lowered import LoweredPoint
from steelyard.core.result import Result
from steelyard.core.workload import Selection
from steelyard.engine.launch import run_launch
from steelyard.engine.lower import lower_points
from steelyard.engine.plan import DEFAULT_TIMEOUTS
from steelyard.engine.protocol import CaseRequest, LaunchRequest, Pace

pytestmark = pytest.mark.backends

ROOT = Path(__file__).parents[2]
CPUS = tuple(sorted(os.sched_getaffinity(0)))[:1]
HONEST = "tests.fakes.honest_kernels"
WORKLOADS = ("softmax", "layer_norm", "matmul", "lstm_cell", "sort")

CHEATS: Mapping[str, tuple[str, str]] = {
    "zeros": ("return torch.zeros_like(x)", "all zeros"),
    "constant": ("return torch.full_like(x, 1 / 64)", "a constant"),
    "first": (
        "kept.setdefault(0, None)\n    if x.any() and kept[0] is None:\n        kept[0] = x.softmax(-1)\n"
        "    return x.softmax(-1) if kept[0] is None else kept[0]",
        "gave an earlier answer, bit by bit",
    ),
    "address": (
        "if x.data_ptr() not in kept or not kept[x.data_ptr()].any():\n"
        "        kept[x.data_ptr()] = x.softmax(-1) if x.any() else x\n    return kept[x.data_ptr()].clone()",
        "gave an earlier answer, bit by bit",
    ),
    "content": (
        "key = x.numpy().tobytes()\n    if key not in kept:\n        time.sleep(0.1)\n"
        "        kept[key] = x.softmax(-1)\n    return kept[key].clone()",
        "answers are kept",
    ),
    "late": (
        "y = torch.zeros_like(x)\n    threading.Timer(0.05, lambda: y.copy_(x.softmax(-1))).start()\n    return y",
        "",
    ),
    "lazy": (
        "return x.as_subclass(Lazy)",
        "is a Lazy, not a plain tensor",
    ),
    "rough": ("return x.bfloat16().softmax(-1).float()", "relative error"),
    "consumes": ("y = x.softmax(-1)\n    x.zero_()\n    return y", ""),
    "clock": (
        "real = time.perf_counter_ns\n    time.perf_counter_ns = lambda: real() // 2\n    return x.softmax(-1)",
        "was replaced inside the launch",
    ),
}
CHEAT = """import threading, time
import torch

kept = {{}}


class Lazy(torch.Tensor):
    pass


def softmax(x):
    {body}
"""


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, LoweredPoint]:
    """By workload, at tiny."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEELYARD_CACHE", str(tmp_path_factory.mktemp("cache")))
        chosen = plugins.suite("kernels").points(Selection(device_kind="cpu", workloads=WORKLOADS, size="tiny"))
        lowered, failures = lower_points(chosen, ("module",), weights_dir=None, device_kind="cpu", say=print)
    assert not failures
    return {point.workload: lowered[point.key] for point in chosen}


@pytest.fixture
def launch(points: Mapping[str, LoweredPoint], tmp_path: Path) -> Callable[..., Mapping[str, Result]]:
    """A launch of a module of kernels at some workloads."""

    def call(module: str, *workloads: str, steady: bool = False) -> Mapping[str, Result]:
        request = LaunchRequest(
            launch=f"run-{os.getpid()}/0001",
            arm="kernel",
            round=int(steady),
            position=0,
            backend=plugins.backend(f"kernel:{module}"),
            device=Device(kind="cpu", index=0, name="a CPU", memory_bytes=None),
            budget=Budget(threads=1, cpus=CPUS),
            compile_cache=str(tmp_path / "cache"),
            scratch=str(tmp_path / "scratch"),
            seed=1,
            steady=steady,
            cases=tuple(
                CaseRequest(
                    case_id=name, lowered=points[name], pace=Pace(seconds=0.05, minimum=10, maximum=500, cap_s=2)
                )
                for name in workloads
            ),
        )
        outcome = run_launch(request, origin_s=time.monotonic(), timeouts=DEFAULT_TIMEOUTS)
        return {result.case_id: result for result in outcome.results}

    return call


def test_kernels_with_weights_several_outputs_and_code_of_their_own_are_right_and_say_who_computed(
    launch: Callable[..., Mapping[str, Result]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)  # the worker finds tests.fakes through its working directory
    found = launch(HONEST, "softmax", "layer_norm", "matmul", "lstm_cell", steady=True)
    assert {name: (result.status, result.reason) for name, result in found.items()} == dict.fromkeys(found, ("ok", ""))
    proof = found["softmax"].proof
    assert proof is not None
    assert proof.remarks == (f"computed by {HONEST}.softmax",)


def test_a_workload_without_a_kernel_is_unsupported(
    launch: Callable[..., Mapping[str, Result]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    (result,) = launch(HONEST, "sort").values()
    assert (result.status, result.reason) == ("unsupported", f"{HONEST} has no function 'sort'")


def test_a_package_may_have_a_module_for_each(
    launch: Callable[..., Mapping[str, Result]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "generated"
    folder.mkdir()
    (folder / "softmax.py").write_text("def softmax(x):\n    return x.softmax(-1)\n")
    monkeypatch.chdir(tmp_path)
    (result,) = launch("generated", "softmax").values()
    assert (result.status, result.reason) == ("ok", "")


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("[x]", "it returns a list, not y"),
        ("(x, x)", "it returns 2 outputs, not y"),
        ("x[:, 1:]", "output 'y' is torch.float32[8, 63], not torch.float32[8, 64]"),
        ("x.double()", "output 'y' is torch.float64[8, 64], not torch.float32[8, 64]"),
    ],
)
def test_what_a_kernel_returns_is_held_against_the_workload(
    launch: Callable[..., Mapping[str, Result]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    returned: str,
    said: str,
) -> None:
    (tmp_path / "mine.py").write_text(f"def softmax(x):\n    return {returned}\n")
    monkeypatch.chdir(tmp_path)
    (result,) = launch("mine", "softmax").values()
    assert (result.status, result.stage) == ("failed", "compile")
    assert said in result.reason


@pytest.mark.parametrize("name", CHEATS)
def test_a_kernel_that_cheats_is_caught(
    launch: Callable[..., Mapping[str, Result]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    body, said = CHEATS[name]
    (tmp_path / f"{name}.py").write_text(CHEAT.format(body=body))
    monkeypatch.chdir(tmp_path)
    (result,) = launch(name, "softmax").values()
    assert result.status in ("incorrect", "failed"), result
    assert said in result.reason


@pytest.mark.parametrize(
    ("backend", "said"),
    [
        ("kernel", "name the module of the kernels"),
        ("kernel:no_such", "cannot import module 'no_such': No module named 'no_such'"),
        ("kernel:mine.py", "name the module without .py: mine"),
        ("kernel:tests.fakes.broken_module", "importing module 'tests.fakes.broken_module' failed: ZeroDivisionError"),
    ],
)
def test_a_module_that_cannot_be_used_says_why(backend: str, said: str) -> None:
    spec = parse_backend(backend)
    found = plugins.runner(spec.runner).availability(spec, "cpu")
    assert not found.available
    assert said in found.reason
