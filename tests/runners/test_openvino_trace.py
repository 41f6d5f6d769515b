"""OpenVINO's counters through its runner: real compiled models of a decoder with state."""

import time
import weakref

import numpy as np
import pytest

pytest.importorskip("openvino")
pytest.importorskip("torch")

from steelyard import plugins
from steelyard.adapters.openvino_counters import read
from steelyard.core.errors import SteelyardError, Unsupported
from tests.runners import toy_decoder as toy

pytestmark = pytest.mark.backends
OpenVino = plugins.runner("openvino")
CACHES = ("in_place", "ping_pong")


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    return toy.lowered_to_openvino(tmp_path_factory.mktemp("openvino"))


def started(tmp_path, backend="openvino"):
    runner = OpenVino(toy.context(backend, tmp_path, threads=1, cpus=(0,)))
    runner.start()
    return runner


def clean(runner, lowered):
    executable = runner.load(lowered)
    executable.compile()
    return executable


def recorded(tracer, binding, calls):
    tracer.begin()
    for _ in range(calls):
        tracer.call(binding.run)
        binding.settle()
    return tracer.end()


def product(directory, size=512):
    """A matrix product, long enough for whole microseconds."""
    import openvino
    from openvino import opset15

    x = opset15.parameter([size, size], np.float32, name="x")
    weight = np.random.default_rng(0).standard_normal((size, size)).astype(np.float32)
    model = openvino.Model([opset15.matmul(x, opset15.constant(weight), False, False)], [x], "product")
    openvino.save_model(model, directory / "product.xml", compress_to_fp16=False)
    given, made = (toy.TensorSpec(name=name, shape=(size, size), dtype="float32") for name in "xy")
    return toy.wrap(toy.program("product", (given,), (made,)), "openvino", directory, "product.xml")


def test_every_executed_node_once(artifacts, tmp_path):
    tracer = started(tmp_path).tracer(artifacts["decode"])
    binding = tracer.executable.bind(toy.inputs("decode"))
    found = recorded(tracer, binding, 5)
    assert (len(found.calls), found.averaged, found.resolution_ns, found.dropped) == (1, True, 1000, None)
    assert sorted(found.kernel) == list(range(len(found.kernels)))
    assert len({kernel.name for kernel in found.kernels}) == len(found.kernels) > 3
    told = tracer.executable.compiled.create_infer_request().get_profiling_info()
    executed = {each.node_name: each.node_type for each in told if each.status.name == "EXECUTED"}
    assert {kernel.name: kernel.kind for kernel in found.kernels} == executed
    assert any(text.startswith(f"{len(told) - len(executed)} nodes are told as not run") for text in found.remarks)
    fused = [kernel for kernel in found.kernels if "aten.scaled_dot_product_attention" in kernel.sources]
    assert [kernel.kind for kernel in fused] == ["Subgraph"]
    assert {kernel.sources for kernel in found.kernels if kernel.kind == "FullyConnected"} <= {
        ("aten.linear",),
        ("aten.mm",),
    }


def test_nodes_are_in_the_order_of_execution_and_leave_no_gap(artifacts, tmp_path):
    tracer = started(tmp_path).tracer(artifacts["decode"])
    found = recorded(tracer, tracer.executable.bind(toy.inputs("decode")), 5)
    ends = np.asarray(found.start_ns) + np.asarray(found.duration_ns)
    assert found.start_ns[0] == 0
    np.testing.assert_allclose(found.start_ns[1:], ends[:-1])
    names = [kernel.name for kernel in found.kernels]
    order = ["embedding/aten.embedding.default/Convert", "linear/aten.linear.default/Add", "mm/aten.mm.default/MatMul"]
    assert sorted(order, key=names.index) == order


def test_the_times_are_those_of_the_recorded_calls(tmp_path):
    """A product of 512 x 512 matrices: no CPU multiplies and adds so often in less on one thread."""
    tracer = started(tmp_path).tracer(product(tmp_path))
    binding = tracer.executable.bind({"x": np.ones((512, 512), np.float32)})
    for calls in (10, 20):
        binding.run()
        found = recorded(tracer, binding, calls)
        (kernel,) = (kernel for kernel in found.kernels if kernel.kind in ("FullyConnected", "MatMul"))
        (length,) = (
            each for index, each in zip(found.kernel, found.duration_ns, strict=True) if found.kernels[index] is kernel
        )
        (begin, end), total = found.calls[0], sum(found.duration_ns)
        assert begin == 0
        assert 0.2e6 < length <= total <= end
        assert length > 0.8 * total
        assert found.remarks[0].startswith(f"means of {calls} calls")


def test_the_call_is_the_mean_of_those_recorded(tmp_path):
    tracer = started(tmp_path).tracer(product(tmp_path))
    binding = tracer.executable.bind({"x": np.ones((512, 512), np.float32)})
    tracer.begin()
    for pause in (0, 1):
        tracer.call(lambda pause=pause: (binding.run(), time.sleep(pause)))
    ((_, end),) = tracer.end().calls
    assert 0.5e9 < end < 0.9e9


@pytest.mark.parametrize("cache", CACHES)
def test_the_answer_is_that_of_a_clean_program(artifacts, tmp_path, cache):
    """Every output of a generation, bit by bit, with recordings in the midst of it."""
    runner = started(tmp_path, f"openvino[kv_cache={cache}]")
    prefill = clean(runner, artifacts["prefill"])
    tracer = runner.tracer(artifacts["decode"])
    zeros = {spec.name: np.zeros(spec.shape, spec.dtype) for spec in toy.programs()["decode"].inputs}
    answers = []
    for program, record in ((clean(runner, artifacts["decode"]), False), (tracer.executable, True)):
        start, step = prefill.bind(toy.inputs("prefill", 1)), program.bind(zeros)
        start.run()
        step.adopt(start)
        start.settle()
        answer = []
        for turn, token in enumerate((4, 9, 17, 23, 5, 8)):
            step.update({"token": np.array([[token]]), "position": np.array([toy.PROMPT + turn])})
            if record and turn in (1, 4):
                tracer.begin()
            if record and turn in (1, 2, 4):
                tracer.call(step.run)
            else:
                step.run()
            answer.append({name: array.tobytes() for name, array in step.read().items()})
            step.settle()
            if record and turn in (2, 4):
                tracer.end()
        answers.append(answer)
    assert answers[0] == answers[1]


@pytest.mark.parametrize("cache", CACHES)
def test_warming_up_leaves_the_state_as_it_was(tmp_path, cache):
    import openvino
    from openvino import opset15

    x, s = (opset15.parameter([4], np.float32, name=name) for name in "xs")
    grown = opset15.add(s, x)
    model = openvino.Model([opset15.negative(grown), grown], [x, s], "counting")
    openvino.save_model(model, tmp_path / "counting.xml", compress_to_fp16=False)
    lowered = toy.wrap(toy.counting(), "openvino", tmp_path, "counting.xml")
    tracer = started(tmp_path, f"openvino[kv_cache={cache}]").tracer(lowered)
    binding = tracer.executable.bind({"x": np.ones(4, np.float32), "s": np.full(4, 5, np.float32)})
    seen = []
    for _ in range(3):
        binding.run()
        binding.settle()
        tracer.begin()
        tracer.call(binding.run)
        seen.append((binding.read()["y"][0], binding.read()["s"][0]))
        binding.settle()
        tracer.end()
    assert seen == [(-7, 7), (-9, 9), (-11, 11)]


def test_beside_the_counters_the_model_is_the_clean_one(artifacts, tmp_path):
    runner = started(tmp_path)
    usual = clean(runner, artifacts["decode"])
    tracer = runner.tracer(artifacts["decode"])
    recorded(tracer, tracer.executable.bind(toy.inputs("decode")), 1)
    assert tracer.executable.compiled.get_property("PERF_COUNT") == "YES"
    assert usual.compiled.get_property("PERF_COUNT") == "NO"
    proof, expected = tracer.executable.proof(), usual.proof()
    assert proof.mismatches == ()
    assert (proof.dtype, proof.threads, proof.placement) == (expected.dtype, expected.threads, expected.placement)
    assert proof.details["nodes"] == expected.details["nodes"]
    assert tracer.executable.options == usual.options
    assert tracer.executable.execution_mode == usual.execution_mode


def test_the_old_model_is_let_go_before_the_new_one_is_made(artifacts, tmp_path, monkeypatch):
    """Weights are large: never twice beside those of the program without a profiler."""
    runner = started(tmp_path)
    tracer = runner.tracer(artifacts["decode"])
    binding, load, gone = tracer.executable.bind(toy.inputs("decode")), runner.load, []

    def loading(lowered):
        gone.append(old() is None)
        return load(lowered)

    monkeypatch.setattr(runner, "load", loading)
    for _ in range(2):
        old = weakref.ref(tracer.executable.compiled)
        recorded(tracer, binding, 1)
    assert gone == [True, True]


def test_a_program_has_a_tracer_of_its_own(artifacts, tmp_path):
    runner = started(tmp_path)
    tracers = {name: runner.tracer(artifacts[name]) for name in ("prefill", "decode")}
    bindings = {name: tracer.executable.bind(toy.inputs(name)) for name, tracer in tracers.items()}
    for tracer in tracers.values():
        tracer.begin()
    for name, tracer in tracers.items():
        for _ in range(5):
            tracer.call(bindings[name].run)
    found = {name: tracer.end() for name, tracer in tracers.items()}
    assert {each.remarks[0].split(",")[0] for each in found.values()} == {"means of 5 calls"}
    assert found["prefill"].kernels != found["decode"].kernels


def test_without_a_binding_there_is_nothing_to_take_out(artifacts, tmp_path):
    tracer = started(tmp_path).tracer(artifacts["decode"])
    tracer.begin()
    binding = tracer.executable.bind(toy.inputs("decode"))
    for _ in range(2):
        tracer.call(binding.run)
    found = tracer.end()
    assert found.remarks[0] == "running averages of 2 calls, the first of the program among them"
    assert sum(found.duration_ns) <= found.calls[0][1] + 1e3 * len(found.kernels)


def test_out_of_turn(artifacts, tmp_path):
    tracer = started(tmp_path).tracer(artifacts["decode"])
    binding = tracer.executable.bind(toy.inputs("decode"))
    for early in (tracer.end, lambda: tracer.call(binding.run)):
        with pytest.raises(SteelyardError, match="begin\\(\\) comes first"):
            early()
    tracer.begin()
    with pytest.raises(SteelyardError, match="end\\(\\) comes before the next begin\\(\\)"):
        tracer.begin()
    with pytest.raises(SteelyardError, match="no call was made between"):
        tracer.end()
    assert len(recorded(tracer, binding, 1).calls) == 1


def test_streams_count_apart(artifacts, tmp_path):
    with pytest.raises(Unsupported, match="each of its 2 streams apart"):
        started(tmp_path, "openvino[streams=2]").tracer(artifacts["decode"])


def test_another_plugin_is_told(artifacts, tmp_path, monkeypatch):
    runner = started(tmp_path)
    monkeypatch.setattr(type(runner.load(artifacts["decode"])), "options", {"device": "GPU.0"})
    tracer = runner.tracer(artifacts["decode"])
    found = recorded(tracer, tracer.executable.bind(toy.inputs("decode")), 3)
    assert found.remarks[-1] == "the counters of GPU.0 are read as averages, which those of the CPU's plugin are"


def test_a_plugin_without_counters_is_told():
    class Silent:
        def get_runtime_model(self):
            raise RuntimeError("Exception from somewhere:\nNot implemented")

    with pytest.raises(SteelyardError, match="OpenVINO tells no counters: Not implemented"):
        read(Silent())
