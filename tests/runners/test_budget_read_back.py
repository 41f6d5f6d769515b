"""What a runtime does with its budget is read back from it: real workers, some of them made to break it."""

import os
import time
from pathlib import Path

import pytest

from steelyard.core.backend import Budget, Device, parse_backend
from steelyard.core.lowered import LoweredPoint
from steelyard.core.result import READ_BACK, Result
from steelyard.core.workload import Selection
from steelyard.engine.launch import run_launch
from steelyard.engine.lower import lower_points
from steelyard.engine.plan import DEFAULT_TIMEOUTS
from steelyard.engine.protocol import CaseRequest, LaunchRequest, Pace
from steelyard.measure.surroundings import cpus_of_threads, misplaced, variables
from tests.fakes import numpy_work
from tests.fakes.small_suite import SUITE

ROOT = Path(__file__).parents[2]
UNFAIR = "tests.fakes.unfair"
CPUS = tuple(sorted(os.sched_getaffinity(0)))[:2]


@pytest.fixture(scope="module")
def point(tmp_path_factory: pytest.TempPathFactory) -> LoweredPoint:
    """The small suite's point in every format, in a cache of its own."""
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setenv("STEELYARD_CACHE", str(cache))
        points = SUITE.points(Selection(device_kind="cpu", workloads=("wide",)))
        formats = ("onnx", "openvino", "stablehlo")
        lowered, failures = lower_points(points, formats, weights_dir=None, device_kind="cpu", say=lambda line: None)
    assert not failures
    return next(iter(lowered.values()))


@pytest.fixture
def launch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(ROOT)  # the worker finds tests.fakes through its working directory

    def call(lowered: LoweredPoint, backend: str, **budget) -> Result:
        budget = {"threads": len(CPUS), "cpus": CPUS, **budget}
        request = LaunchRequest(
            launch=f"run-{os.getpid()}/0001",
            arm=backend,
            round=1,
            position=0,
            backend=parse_backend(backend),
            device=Device(kind="cpu", index=0, name="a CPU", memory_bytes=None),
            budget=Budget(**budget),
            compile_cache=str(tmp_path / "cache"),
            scratch=str(tmp_path / "scratch"),
            seed=3,
            steady=False,
            cases=(
                CaseRequest(case_id="case", lowered=lowered, pace=Pace(seconds=0.01, minimum=10, maximum=100, cap_s=1)),
            ),
        )
        outcome = run_launch(request, origin_s=time.monotonic(), timeouts=DEFAULT_TIMEOUTS)
        (result,) = outcome.results
        return result

    return call


@pytest.mark.backends
@pytest.mark.parametrize("backend", ["eager", "xla", "onnxruntime", "openvino"])
def test_every_word_of_the_budget_has_a_value_or_a_reason(point, launch, backend):
    result = launch(point, backend)
    assert (result.status, result.reason) == ("ok", "")
    proof = result.proof
    assert proof is not None
    assert set(READ_BACK) <= set(proof.budget)
    for word in READ_BACK:
        value = proof.budget[word]
        if isinstance(value, dict) and set(value) == {"value", "reason"}:
            assert value["value"] is None
            assert value["reason"]
    assert proof.threads == len(CPUS)
    assert proof.budget["cpus"] == list(CPUS)
    assert proof.budget["denormals"] in ("kept", "count as zero")
    assert not any("/" in text for text in proof.budget["environment"].values())
    if backend == "eager":
        assert proof.budget["environment"]["OMP_NUM_THREADS"] == str(len(CPUS))


@pytest.mark.backends
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("EagerMoreThreads", "3 threads compute, the budget says 2"),
        ("EagerLessPrecision", "float32 matrix products in 'oneDNN bf16, CUDA "),
        ("InductorMoreThreads", "3 threads compute, the budget says 2"),
        ("XlaMoreThreads", "3 threads compute, the budget says 2"),
        ("XlaLessPrecision", "jax_default_matmul_precision is bfloat16, not highest"),
        ("OrtMoreThreads", "3 threads compute, the budget says 2"),
        ("OrtWithoutDenormals", "the session has session.set_denormal_as_zero = 1, not None"),
        ("OpenVinoMoreStreams", "NUM_STREAMS is 2, asked for was 1"),
        ("OpenVinoFewerThreads", "1 threads compute, the budget says 2"),
    ],
)
def test_a_broken_budget_is_a_fallback_with_the_reason(point, launch, fault, said):
    if len(CPUS) < 2:
        pytest.skip("needs two CPUs: on one, runtimes do not take the threads that they are told to")
    result = launch(point, f"{UNFAIR}:{fault}")
    assert result.status == "fallback", result.reason
    assert said in result.reason
    assert set(READ_BACK) <= set(result.proof.budget)


@pytest.mark.backends
@pytest.mark.parametrize(
    ("backend", "said"),
    [
        ("tests.fakes.eagerly:fn", "the compiler was given no graph"),
        ("tests.fakes.compilers:switched_off", "torch.compiler has the stance 'force_eager' instead of 'default'"),
    ],
)
def test_compilation_that_is_switched_off_is_a_fallback(point: LoweredPoint, launch, backend: str, said: str) -> None:
    result = launch(point, f"torch_compile:{backend}")
    assert result.status == "fallback", result.reason
    assert said in result.reason


@pytest.mark.backends
def test_a_graph_that_is_returned_as_it_is_is_legal_and_told(point: LoweredPoint, launch) -> None:
    result = launch(point, "torch_compile:tests.fakes.compilers:untouched")
    assert (result.status, result.reason) == ("ok", "")
    assert result.proof.graphs == 1
    assert result.proof.remarks == ("the backend returned the graph itself: PyTorch executes its operators one by one",)
    compiled = launch(point, "inductor")
    assert (compiled.status, compiled.proof.graphs, compiled.proof.remarks) == ("ok", 1, ())


@pytest.mark.backends
def test_openvino_in_bfloat16_is_a_fallback_and_a_hundred_times_less_exact(point, launch):
    """What OpenVINO does unasked on a CPU with bfloat16, made to happen on others; docs/fairness.md has the figures."""
    exact, unasked, narrow = (launch(point, f"openvino{hint}") for hint in ("", "[precision=auto]", "[precision=bf16]"))
    assert (exact.status, exact.proof.dtype) == ("ok", "float32")
    assert (unasked.status == "fallback") == (unasked.proof.dtype != "float32")
    if narrow.proof.dtype == "float32":  # this CPU computes no bfloat16: OpenVINO says so, and that is no fault
        assert narrow.status == "ok"
        return
    assert narrow.status == "fallback"
    assert "INFERENCE_PRECISION_HINT is bfloat16, the program is float32" in narrow.reason
    assert "nodes compute in bfloat16" in narrow.reason
    assert narrow.correctness.outputs[0].relative_l2 > 100 * exact.correctness.outputs[0].relative_l2
    allowed = launch(point, "openvino[precision=bf16]", precision="runtime")
    assert allowed.proof.dtype == "bfloat16"
    assert allowed.proof.mismatches == ()


def test_threads_beyond_the_cpus_of_the_budget_are_a_fallback(launch, tmp_path):
    if len(CPUS) < 2:
        pytest.skip("needs two CPUs")
    lowered = numpy_work.lowered_point(tmp_path / "point")
    inside = launch(lowered, numpy_work.PATH, threads=1, cpus=CPUS[:1])
    assert inside.status == "ok"
    assert inside.proof.budget["cpus"] == [CPUS[0]]
    outside = launch(lowered, f"{UNFAIR}:Elsewhere", threads=1, cpus=CPUS[:1])
    assert outside.status == "fallback"
    assert f"besides those of the budget ({CPUS[0]})" in outside.reason


def test_the_cpus_of_all_threads_are_counted(tmp_path):
    for name, cpus in (("1", "0-1"), ("2", "5,7-8")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "status").write_text(f"Name:\tx\nCpus_allowed_list:\t{cpus}\n")
    assert cpus_of_threads(tmp_path) == (0, 1, 5, 7, 8)
    assert cpus_of_threads(tmp_path / "absent") is None


def test_what_is_wrong_with_cpus():
    assert misplaced([0, 1], (0, 1), 2) == ()
    assert misplaced([0], (0, 1), 1) == ()
    assert misplaced([0, 1, 2], (0, 1), 2) == ("threads may run on the CPUs 2 besides those of the budget (0, 1)",)
    assert misplaced([1], (0, 1), 2) == ("all threads are held on the CPUs 1, the budget has 0, 1 for 2 of them",)
    assert misplaced([0, 1, 2], (), 2) == ()
    assert misplaced({"value": None, "reason": "not listed"}, (0,), 1) == ()


def test_paths_are_not_stored():
    found = variables({"OMP_NUM_THREADS": "2", "TRITON_CACHE_DIR": "/somebody/cache", "HOME": "/somebody", "LANG": "C"})
    assert found == {"OMP_NUM_THREADS": "2", "TRITON_CACHE_DIR": "(a path)"}
