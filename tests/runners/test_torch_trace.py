"""The tracer of the runners on PyTorch: through the real profiler, and from what a profiler may give."""

from types import SimpleNamespace

import pytest

from steelyard import wire
from steelyard.adapters.recorded import MARK
from steelyard.adapters.torch_graph import eager
from steelyard.adapters.torch_trace import TorchTracer, on_device, on_host
from steelyard.contract.launch import ContractRequest
from steelyard.contract.runner import lowered_programs
from steelyard.core.backend import Budget, Device, parse_backend
from steelyard.core.errors import SteelyardError, Unsupported
from tests.runners.test_torch import launch
from tests.runners.test_xla_trace import in_calls

pytestmark = pytest.mark.backends

TRACED = """
    import dataclasses
    import numpy as np
    from tests.runners import block
    tracer = runner.tracer(block.original(home))
    runner.stop()
    given = block.inputs()
    binding = tracer.executable.bind(given)
    for _ in range(3):
        binding.run()
        binding.settle()
    told = []
    for calls in (4, 2):
        tracer.begin()
        for _ in range(calls):
            tracer.call(binding.run)
            answer = binding.read()["y"]
            binding.settle()
            binding.run()
            binding.settle()
        told.append(tracer.end())
        binding.run()
        binding.settle()
    def raised(call):
        try:
            call()
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    wrong = {"end first": raised(tracer.end)}
    tracer.begin()
    wrong["begun twice"] = raised(tracer.begin)
    wrong["no call"] = raised(tracer.end)
    print(json.dumps({
        "told": [dataclasses.asdict(each) for each in told],
        "error": float(np.linalg.norm(answer - block.reference(given)) / np.linalg.norm(answer)),
        "cached": [path.name for path in (home / "inductor").rglob("*.so")],
        "wrong": wrong,
    }))
    """


@pytest.fixture(scope="module", params=["eager", "inductor"])
def traced(request, tmp_path_factory):
    told = launch(TRACED, backend=request.param, tmp_path=tmp_path_factory.mktemp(request.param))
    return SimpleNamespace(backend=request.param, **told)


def test_each_recording_has_its_own_calls_and_their_events_alone(traced):
    """Between the calls, before the first and after the last, the same program ran unrecorded."""
    first, second = traced.told
    assert [len(first["calls"]), len(second["calls"])] == [4, 2]
    for told in (first, second):
        calls = in_calls(told)
        assert sum(len(names) for names in calls) == len(told["kernel"])
        assert all(names == calls[0] for names in calls)
        assert told["calls"] == sorted(told["calls"])


def test_the_program_is_a_product_a_layer_norm_and_a_gelu(traced):
    kernels = {kernel["name"]: kernel for kernel in traced.told[0]["kernels"]}
    computing = {name: kernel for name, kernel in kernels.items() if not kernel["wrapper"]}
    assert computing["aten::mm"]["sources"] == ["aten.mm"]
    if traced.backend == "eager":
        assert {"aten::matmul", "aten::native_layer_norm", "aten::gelu"} <= set(computing)
        assert all(kernel["kind"] == name for name, kernel in computing.items())
    else:
        fused = [kernel for kernel in computing.values() if kernel["kind"] == "cpp_fused"]
        assert {source for kernel in fused for source in kernel["sources"]} == {"aten.gelu", "aten.native_layer_norm"}
        assert "aten::gelu" not in computing


def test_what_surrounds_the_operators_is_in_it_as_such(traced):
    wrappers = {kernel["name"] for kernel in traced.told[0]["kernels"] if kernel["wrapper"]}
    assert MARK not in wrappers, "it is around a call, and nothing of it"
    if traced.backend == "inductor":
        assert any(name.startswith("## Call CompiledFxGraph") for name in wrappers)


def test_events_nest_within_their_call(traced):
    """Self times are made of this: on a thread, an event ends before the one that encloses it."""
    for told in traced.told:
        assert set(told["thread"]) == {0}
        open_ends = []
        for start, duration in zip(told["start_ns"], told["duration_ns"], strict=True):
            while open_ends and open_ends[-1] <= start:
                open_ends.pop()
            assert not open_ends or start + duration <= open_ends[-1]
            open_ends.append(start + duration)


def test_the_traced_program_computes_and_leaves_nothing_in_the_caches_of_others(traced):
    assert traced.error < 1e-5
    assert traced.cached == []


def test_wrong_order_is_told(traced):
    assert all(message.startswith("SteelyardError: ") for message in traced.wrong.values())
    assert "call begin() first" in traced.wrong["end first"]
    assert "call end() first" in traced.wrong["begun twice"]
    assert "no call" in traced.wrong["no call"]


STATE = """
    import numpy as np
    tracer = runner.tracer(lowered["decode"])
    clean, prefill = runner.load(lowered["decode"]), runner.load(lowered["prefill"])
    clean.compile(), prefill.compile()
    runner.stop()
    source = prefill.bind({"input_ids": tiny.prompt_ids(0)})
    zeros = {s.name: np.zeros(s.shape, s.dtype) for s in lowered["decode"].program.inputs}
    answers = []
    for executable, call in ((clean, lambda run: run()), (tracer.executable, tracer.call)):
        binding = executable.bind(zeros)
        source.run()
        token = source.read(("next_token",))["next_token"]
        binding.adopt(source)
        source.settle()
        if executable is tracer.executable:
            tracer.begin()
        for step in range(3):
            position = np.array([tiny.PROMPT + step], dtype=np.int64)
            binding.update({"input_ids": token.reshape(-1, 1), "position": position})
            call(binding.run)
            token = binding.read(("next_token",))["next_token"]
            last = binding.read()
            binding.settle()
        answers.append({name: array.tolist() for name, array in last.items()})
    told = tracer.end()
    print(json.dumps({
        "same": answers[0] == answers[1],
        "calls": len(told.calls),
        "kinds": [kernel.kind for kernel in told.kernels],
        "recompiles": tracer.executable.proof().recompiles,
    }))
    """


@pytest.mark.parametrize(
    "backend", ["eager", pytest.param("inductor", marks=pytest.mark.full), "torch_compile:aot_eager"]
)
def test_a_traced_program_with_state_goes_on_as_the_clean_one_does(backend, tmp_path):
    told = launch(STATE, backend=backend, tmp_path=tmp_path)
    assert told["same"]
    assert told["calls"] == 3
    assert "aten::mm" in told["kinds"]
    assert ("cpp_fused" in told["kinds"]) == (backend == "inductor")
    assert not told["recompiles"]


PACKAGE = """
    import dataclasses
    from steelyard import wire
    from steelyard.contract.launch import ContractRequest
    lowered = wire.read(home / "request.json", ContractRequest).programs
    (home / "scratch").mkdir()
    runner.context = dataclasses.replace(context, scratch=home / "scratch")
    tracer = runner.tracer(lowered["decode"])
    given = {name: array.copy() for name, array in tiny.decode_inputs(0).items()}
    binding = tracer.executable.bind(given)
    tracer.begin()
    tracer.call(binding.run)
    told = tracer.end()
    wanted = tiny.decode_reference(given["input_ids"], tiny.PROMPT, given["cache.0.k"])["logits"]
    print(json.dumps({
        "error": float(abs(binding.read()["logits"] - wanted).max()),
        "kinds": [kernel.kind for kernel in told.kernels],
        "sources": [source for kernel in told.kernels for source in kernel.sources],
        "packages": [str(path.relative_to(home).parent) for path in home.rglob("*.pt2")],
    }))
    """


@pytest.mark.full
def test_a_package_for_tracing_is_never_one_that_is_timed(tmp_path, tmp_path_factory):
    request = ContractRequest(
        backend=parse_backend("inductor[aot]"),
        device=Device(kind="cpu", index=0, name="cpu", memory_bytes=None),
        budget=Budget(threads=1, cpus=()),
        directory=str(tmp_path),
        programs=lowered_programs(("pt2",), tmp_path_factory.getbasetemp()),
    )
    (tmp_path / "request.json").write_bytes(wire.encode(request))
    told = launch(PACKAGE, backend="inductor[aot]", tmp_path=tmp_path)
    assert told["error"] < 1e-4
    assert {"cpp_fused", "aoti_torch_cpu_mm_out"} <= set(told["kinds"])
    assert {"aten.mm", "aten._softmax"} <= set(told["sources"])
    assert told["packages"] == ["scratch/aot"]


def test_a_device_that_the_profiler_does_not_record_is_unsupported():
    with pytest.raises(Unsupported, match="nothing that runs on mps"):
        TorchTracer(SimpleNamespace(compile=lambda: None), "mps", eager)


def event(name, start, duration, *, activity="cpu_op", correlation=0, link=0, thread=1):
    """As one of kineto's, which begins at `start` nanoseconds of 2026."""
    return SimpleNamespace(
        name=lambda: name,
        start_ns=lambda: ORIGIN + start,
        duration_ns=lambda: duration,
        start_thread_id=lambda: thread,
        device_resource_id=lambda: thread,
        activity_type=lambda: activity,
        correlation_id=lambda: correlation,
        linked_correlation_id=lambda: link,
    )


ORIGIN = 1_796_066_796_329_716_963
CALL = event(MARK, 10, 1000, activity="user_annotation")


def test_single_nanoseconds_are_kept():
    told = on_host([CALL, event("aten::mm", 13, 1)], ORIGIN, {}, 1)
    assert told.start_ns == [13.0]
    assert told.calls == ((10.0, 1010.0),)


def test_of_an_accelerator_its_own_kernels_count_by_the_operators_that_launched_them():
    raw = [
        CALL,
        event("aten::linear", 20, 90, correlation=1),
        event("aten::addmm", 30, 70, correlation=2),
        event("cudaLaunchKernel", 40, 10, activity="cuda_runtime", link=2),
        event(MARK, 60, 900, activity="gpu_user_annotation", thread=7),
        event("sm90_gemm", 60, 500, activity="kernel", link=2, thread=7),
        event("Memcpy DtoH", 600, 50, activity="gpu_memcpy", thread=9),
    ]
    told = on_device(raw, ORIGIN, {}, 1)
    assert [(kernel.name, kernel.kind) for kernel in told.kernels] == [
        ("sm90_gemm", "aten::addmm"),
        ("Memcpy DtoH", "unknown"),
    ]
    assert list(told.thread) == [0, 1]
    assert told.calls == ((10.0, 1010.0),)


def test_calls_in_which_nothing_was_seen_are_unsupported():
    with pytest.raises(Unsupported, match="saw nothing that computes in 1 calls"):
        on_host([CALL, event("Torch-Compiled Region: 0/0", 20, 90)], ORIGIN, {}, 1)


def test_a_record_of_other_calls_is_an_error():
    with pytest.raises(SteelyardError, match="recorded 1 of 2 calls"):
        on_host([CALL, event("aten::mm", 13, 1)], ORIGIN, {}, 2)
