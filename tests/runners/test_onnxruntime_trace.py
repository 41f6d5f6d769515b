"""ONNX Runtime's profiler through its runner: real sessions on a decoder with state."""

import weakref
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("torch")

from steelyard import plugins
from steelyard.core.errors import SteelyardError
from tests.runners import toy_decoder as toy

pytestmark = pytest.mark.backends
OnnxRuntime = plugins.runner("onnxruntime")
CACHES = ("in_place", "ping_pong")


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    return toy.lowered_to_onnx(tmp_path_factory.mktemp("onnx"))


def started(tmp_path, backend="onnxruntime"):
    runner = OnnxRuntime(toy.context(backend, tmp_path))
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


def optimised_nodes(runner, lowered, tmp_path):
    """Names and types of operators of the graph that a session executes, as it writes it."""
    import onnx
    import onnxruntime

    artifact, options = lowered.artifacts["onnx"], runner.session_options()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    onnxruntime.InferenceSession(f"{artifact.directory}/{artifact.entry}", options, providers=[runner.provider])
    return {node.name: node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node}


def test_every_node_once_in_every_call(artifacts, tmp_path):
    runner = started(tmp_path)
    tracer = runner.tracer(artifacts["decode"])
    binding = tracer.executable.bind(toy.inputs("decode"))
    found = recorded(tracer, binding, 4)
    assert len(found.calls) == 4
    nodes = {kernel.name: kernel.kind for kernel in found.kernels if not kernel.wrapper}
    assert nodes == optimised_nodes(runner, artifacts["decode"], tmp_path)
    assert nodes["node_scaled_dot_product_attention"] == "Attention"
    assert {kernel.name for kernel in found.kernels if kernel.wrapper} == {"model_run", "SequentialExecutor::Execute"}
    in_call: Counter[tuple[int, str]] = Counter()
    times = np.zeros(4)
    for kernel, start, duration in zip(found.kernel, found.start_ns, found.duration_ns, strict=True):
        (call,) = (n for n, (begin, end) in enumerate(found.calls) if begin <= start <= end)
        in_call[call, found.kernels[kernel].name] += 1
        times[call] += 0 if found.kernels[kernel].wrapper else duration
    assert in_call == Counter({(call, kernel.name): 1 for call in range(4) for kernel in found.kernels})
    assert all(0 < time <= end - begin for time, (begin, end) in zip(times, found.calls, strict=True))
    assert (found.resolution_ns, found.dropped, found.averaged, found.remarks) == (1000, 0, False, ())
    assert set(found.thread) == {0}


def test_only_calls_between_begin_and_end_are_recorded(artifacts, tmp_path):
    tracer = started(tmp_path).tracer(artifacts["decode"])
    binding = tracer.executable.bind(toy.inputs("decode"))
    other = tracer.executable.bind(toy.inputs("decode", seed=1))
    for calls in (3, 1, 2):  # a recording after another is one of its own
        for each in (binding, other, binding):
            each.run()
            each.settle()
        assert len(recorded(tracer, binding, calls).calls) == calls
    assert recorded(tracer, binding, 0).calls == ()
    later = tracer.executable.bind(toy.inputs("decode"))
    other.close()
    tracer.begin()
    for each in (later, binding, tracer.executable.bind(toy.inputs("decode"))):
        tracer.call(each.run)
    assert len(tracer.end().calls) == 3


@pytest.mark.parametrize("cache", CACHES)
def test_the_answer_is_that_of_a_clean_program(artifacts, tmp_path, cache):
    """Every output of a generation, bit by bit, with recordings in the midst of it."""
    runner = started(tmp_path, f"onnxruntime[kv_cache={cache}]")
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
                assert len(tracer.end().calls) == {2: 2, 4: 1}[turn]
        answers.append(answer)
    assert answers[0] == answers[1]


def counting(directory):
    """s + x is both the output and the new state: each run counts."""
    import onnx
    from onnx import TensorProto, helper

    def tensor(name):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [4])

    nodes = [helper.make_node("Add", ["s", "x"], ["s_out"]), helper.make_node("Neg", ["s_out"], ["y"])]
    graph = helper.make_graph(nodes, "counting", [tensor("x"), tensor("s")], [tensor("y"), tensor("s_out")])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(made, directory / "counting.onnx")
    return toy.wrap(toy.counting(), "onnx", directory, "counting.onnx")


@pytest.mark.parametrize("cache", CACHES)
def test_warming_up_leaves_the_state_as_it_was(tmp_path, cache):
    tracer = started(tmp_path, f"onnxruntime[kv_cache={cache}]").tracer(counting(tmp_path))
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


def test_beside_the_profiler_the_session_is_the_clean_one(artifacts, tmp_path):
    runner = started(tmp_path)
    tracer, usual = runner.tracer(artifacts["decode"]), clean(runner, artifacts["decode"])
    binding = tracer.executable.bind(toy.inputs("decode"))
    tracer.begin()
    profiled = tracer.executable.session.get_session_options()
    assert (profiled.enable_profiling, usual.session.get_session_options().enable_profiling) == (True, False)
    tracer.call(binding.run)
    tracer.end()
    proof = tracer.executable.proof()
    assert proof == usual.proof()
    assert proof.mismatches == ()
    assert tracer.executable.options == usual.options
    assert tracer.executable.execution_mode == usual.execution_mode


def test_the_old_session_is_let_go_before_the_new_one_is_made(artifacts, tmp_path, monkeypatch):
    """Weights are large: never twice beside those of the program without a profiler."""
    runner = started(tmp_path)
    tracer = runner.tracer(artifacts["decode"])
    binding, load, gone = tracer.executable.bind(toy.inputs("decode")), runner.load, []

    def loading(lowered):
        gone.append(old() is None)
        return load(lowered)

    monkeypatch.setattr(runner, "load", loading)
    for _ in range(2):
        old = weakref.ref(tracer.executable.session)
        recorded(tracer, binding, 1)
    assert gone == [True, True]


def test_a_program_has_a_tracer_of_its_own(artifacts, tmp_path):
    runner = started(tmp_path)
    tracers = [runner.tracer(artifacts[name]) for name in ("prefill", "decode", "decode")]
    names = ("prefill", "decode", "decode")
    bindings = [each.executable.bind(toy.inputs(name)) for each, name in zip(tracers, names, strict=True)]
    for tracer in tracers:
        tracer.begin()
    for count, (tracer, binding) in enumerate(zip(tracers, bindings, strict=True), start=1):
        for _ in range(count):
            tracer.call(binding.run)
    found = [tracer.end() for tracer in tracers]
    assert [len(each.calls) for each in found] == [1, 2, 3]
    assert found[0].kernels != found[1].kernels == found[2].kernels


def test_no_file_stays(artifacts, tmp_path):
    tracer = started(tmp_path).tracer(artifacts["decode"])
    recorded(tracer, tracer.executable.bind(toy.inputs("decode")), 1)
    assert [path for path in tmp_path.rglob("*") if path.suffix == ".json"] == []
    assert [path for path in Path.cwd().glob("*.json") if "profile" in path.name] == []


def test_out_of_turn(artifacts, tmp_path):
    tracer = started(tmp_path).tracer(artifacts["decode"])
    binding = tracer.executable.bind(toy.inputs("decode"))
    for early in (tracer.end, lambda: tracer.call(binding.run)):
        with pytest.raises(SteelyardError, match="begin\\(\\) comes first"):
            early()
    tracer.begin()
    with pytest.raises(SteelyardError, match="end\\(\\) comes before the next begin\\(\\)"):
        tracer.begin()
    tracer.call(binding.run)
    assert len(tracer.end().calls) == 1
    with pytest.raises(SteelyardError, match="begin\\(\\) comes first"):
        tracer.end()


def test_a_call_that_ran_nothing_or_more_is_told(artifacts, tmp_path):
    tracer = started(tmp_path).tracer(artifacts["decode"])
    binding = tracer.executable.bind(toy.inputs("decode"))
    tracer.begin()
    tracer.call(lambda: None)
    with pytest.raises(SteelyardError, match="1 calls were recorded, the profile of ONNX Runtime has 0"):
        tracer.end()
    tracer.begin()
    binding.run()
    tracer.call(binding.run)
    with pytest.raises(SteelyardError, match="1 calls were recorded, the profile of ONNX Runtime has 2"):
        tracer.end()


def test_a_file_that_was_cut_off_is_told(artifacts, tmp_path, monkeypatch):
    import onnxruntime

    end = onnxruntime.InferenceSession.end_profiling

    def cut_off(session):
        path = Path(end(session))
        path.write_bytes(path.read_bytes()[:-200])
        return str(path)

    tracer = started(tmp_path).tracer(artifacts["decode"])
    binding = tracer.executable.bind(toy.inputs("decode"))
    monkeypatch.setattr(onnxruntime.InferenceSession, "end_profiling", cut_off)
    with pytest.raises(SteelyardError, match="not a whole profile of ONNX Runtime"):
        recorded(tracer, binding, 2)
    monkeypatch.setattr(onnxruntime.InferenceSession, "end_profiling", lambda session: str(tmp_path / "gone"))
    with pytest.raises(SteelyardError, match="gone: the profile of ONNX Runtime cannot be read: No such file"):
        recorded(tracer, binding, 2)


def test_the_time_of_another_provider_is_told_as_the_hosts(artifacts, tmp_path):
    runner = started(tmp_path)
    runner.provider = "AzureExecutionProvider"  # part of every build; the nodes run on the CPU
    tracer = runner.tracer(artifacts["decode"])
    (said,) = recorded(tracer, tracer.executable.bind(toy.inputs("decode")), 1).remarks
    assert said.startswith("the time of a node is the host's, which for AzureExecutionProvider may be")
