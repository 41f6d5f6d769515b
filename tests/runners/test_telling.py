"""Compilations of real runtimes that tell of themselves: known programs, with empty caches and then with full ones."""

from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import msgspec
import numpy as np
import pytest

from steelyard import plugins
from steelyard.core.compilation import Compilation, CompilationFacts
from steelyard.core.errors import Unsupported
from steelyard.core.memory_profile import MemoryFacts, MemoryProfile
from steelyard.engine.traced_telling import compilations_of, memory_of
from tests.runners import block
from tests.runners import toy_decoder as toy
from tests.runners.test_torch import launch as launch_torch
from tests.runners.test_xla import launch as launch_xla

pytestmark = pytest.mark.backends
SIZE = 64
TENSOR = SIZE * SIZE * 4
PRODUCT = block.ROWS * block.WIDTH * 4
STATISTICS = 2 * block.ROWS * 4


def net():
    """A product, an addition and a ReLU."""
    given, made = (toy.TensorSpec(name=name, shape=(SIZE, SIZE), dtype="float32") for name in "xy")
    return toy.program("net", (given,), (made,))


def onnx_net(directory: Path):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weight = numpy_helper.from_array(np.random.default_rng(0).random((SIZE, SIZE), np.float32), "w")
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [SIZE, SIZE]) for name in "xy"]
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], name="product"),
        helper.make_node("Add", ["a", "w"], ["b"], name="sum"),
        helper.make_node("Relu", ["b"], ["y"], name="relu"),
    ]
    graph = helper.make_graph(nodes, "net", ports[:1], ports[1:], [weight])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), directory / "net.onnx"
    )
    return toy.wrap(net(), "onnx", directory, "net.onnx")


def openvino_net(directory: Path):
    import openvino
    from openvino import opset15

    x = opset15.parameter([SIZE, SIZE], np.float32, name="x")
    weight = opset15.constant(np.random.default_rng(0).random((SIZE, SIZE), np.float32))
    result = opset15.relu(opset15.add(opset15.matmul(x, weight, False, False), weight))
    openvino.save_model(openvino.Model([result], [x], "net"), directory / "net.xml", compress_to_fp16=False)
    return toy.wrap(net(), "openvino", directory, "net.xml")


def told_by(backend: str, lowered, directory: Path) -> list[Compilation]:
    runner = plugins.runner(backend)(toy.context(backend, directory, threads=1, cpus=(0,)))
    runner.start()
    return [facts.told for facts in compilations_of(runner, lowered, cold=True, begins=list)]


def names(phases) -> set[str]:
    return {phase.name for phase in phases}.union(*(names(phase.parts) for phase in phases))


def adds_up(told: Compilation) -> None:
    """Named phases are within the compilation, and none is negative."""

    def check(phases) -> None:
        for phase in phases:
            assert phase.own_s >= 0, phase.name
            check(phase.parts)

    check(told.phases)
    assert 0 <= told.unnamed_s < told.compile_s
    assert told.host_peak.value is None or told.host_peak.value > 1e6


def test_onnxruntime_fuses_the_addition_into_the_product(tmp_path):
    pytest.importorskip("onnxruntime")
    cold, again = told_by("onnxruntime", onnx_net(tmp_path), tmp_path)
    for told in (cold, again):
        adds_up(told)
        assert {phase.name for phase in told.phases} == {"model_loading_uri", "session_initialization"}
        assert any(name.startswith("graph transformers of level ") for name in names(told.phases))
        before, after = told.representations
        assert before.operators == {"MatMul": 1, "Add": 1, "Relu": 1}
        assert after.count < before.count
        assert after.operators.get("FusedGemm") == 1
        assert told.from_cache is False
        assert "MatMulAddFusion" in told.remarks[0]
    assert cold.code.bytes.value is None
    assert "compiled beforehand" in cold.code.bytes.reason


def test_onnxruntime_is_as_quiet_as_before_afterwards(tmp_path, capfd):
    onnxruntime = pytest.importorskip("onnxruntime")
    told_by("onnxruntime", onnx_net(tmp_path), tmp_path)
    onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    assert "GraphTransformer" not in capfd.readouterr().err
    assert not list((tmp_path / "scratch").iterdir())


def test_openvino_names_its_passes_and_finds_the_model_in_its_cache(tmp_path, monkeypatch):
    pytest.importorskip("openvino")
    monkeypatch.setenv("OV_ENABLE_PROFILE_PASS", "")
    cold, again = told_by("openvino", openvino_net(tmp_path), tmp_path)
    adds_up(cold)
    assert {"Plugin:CPU", "CommonOptimizations"} <= names(cold.phases)
    assert {phase.kind for phase in cold.phases} == {"passes"}
    assert (cold.from_cache, again.from_cache) == (False, True)
    assert "Plugin:CPU" not in names(again.phases)
    before, after = cold.representations
    assert before.operators == {"MatMul": 1, "Add": 1, "Relu": 1}
    assert after.operators["FullyConnected"] == 1
    assert (before.bytes, after.bytes) == ((tmp_path / "net.xml").stat().st_size, None)


def chain(directory):
    """Three values of one size between four operators, none of which are fused."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weight = numpy_helper.from_array(np.random.default_rng(0).random((SIZE, SIZE), np.float32), "w")
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [SIZE, SIZE]) for name in "xy"]
    nodes = [
        helper.make_node("Softmax", ["x"], ["a"], name="n1"),
        helper.make_node("CumSum", ["a", "axis"], ["b"], name="n2"),
        helper.make_node("Softmax", ["b"], ["c"], name="n3"),
        helper.make_node("MatMul", ["c", "w"], ["y"], name="n4"),
    ]
    axis = numpy_helper.from_array(np.array(0), "axis")
    graph = helper.make_graph(nodes, "chain", ports[:1], ports[1:], [weight, axis])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), directory / "c.onnx"
    )
    given, made = (toy.TensorSpec(name=name, shape=(SIZE, SIZE), dtype="float32") for name in "xy")
    return toy.wrap(toy.program("chain", (given,), (made,)), "onnx", directory, "c.onnx")


def test_onnxruntime_tells_the_values_of_a_chain(tmp_path):
    pytest.importorskip("onnxruntime")
    runner = plugins.runner("onnxruntime")(toy.context("onnxruntime", tmp_path, threads=1, cpus=(0,)))
    runner.start()
    lowered = chain(tmp_path)
    executable = runner.load(lowered)
    executable.compile()
    told = memory_of(runner, lowered, executable, {"x": np.ones((SIZE, SIZE), np.float32)}).told
    assert told is not None
    assert {value.name: value.operator for value in told.largest} == {"a": "Softmax", "b": "CumSum", "c": "Softmax"}
    assert (told.inputs, told.outputs, told.weights.value) == (TENSOR, TENSOR, TENSOR + 8)
    assert (told.each_apart.value, told.least.value) == (3 * TENSOR, TENSOR)
    assert told.reached.value is not None
    assert TENSOR <= told.reached.value <= 3 * TENSOR + 4096
    assert told.workspace.value is None
    assert not list((tmp_path / "scratch").iterdir())


def test_openvino_tells_nothing_of_memory(tmp_path):
    pytest.importorskip("openvino")
    runner = plugins.runner("openvino")(toy.context("openvino", tmp_path))
    assert "not where it puts them" in memory_of(runner, None, None, {}).reason
    assert "tells nothing of memory" in memory_of(SimpleNamespace(tells={}), None, None, {}).reason


SOURCE = """
    from steelyard import wire
    from steelyard.engine.traced_telling import compilations_of, memory_of
    from tests.runners import block
    {start}
    program = block.{program}
    compilations = compilations_of(runner, program, cold=True, begins=list)
    executable = runner.load(program)
    executable.compile()
    memory = memory_of(runner, program, executable, block.inputs())
    print(json.dumps(json.loads(wire.encode({{"compilations": compilations, "memory": memory}}))))
    """


class Told(NamedTuple):
    """Of one launch."""

    compilations: tuple[CompilationFacts, ...]
    memory: MemoryProfile


def read(printed) -> Told:
    facts = msgspec.convert(printed["memory"], MemoryFacts)
    assert facts.told is not None, facts.reason
    return Told(msgspec.convert(printed["compilations"], tuple[CompilationFacts, ...]), facts.told)


@pytest.fixture(scope="module", params=["eager", "inductor"])
def torch_told(request, tmp_path_factory):
    pytest.importorskip("torch")
    source, home = SOURCE.format(start="", program="original(home)"), tmp_path_factory.mktemp(request.param)
    return request.param, read(launch_torch(source, backend=request.param, tmp_path=home))


@pytest.fixture(scope="module")
def xla_told(tmp_path_factory):
    pytest.importorskip("jax")
    home = tmp_path_factory.mktemp("xla")
    start = "runner.start()"
    source = SOURCE.format(start=start, program="exported(request.context.scratch)")
    told = read(launch_xla(source, directory=home, programs={}))
    assert not list((home / "scratch").rglob("*.pb"))
    return told


def test_xla_names_every_stage_and_its_machine_code_is_counted(xla_told):
    cold, again = (facts.told for facts in xla_told.compilations)
    adds_up(cold)
    assert {"trace_to_jaxpr_dynamic", "lower_sharding_computation", "backend_compile_and_load"} <= names(cold.phases)
    assert {"CpuCompiler::RunBackend", "JitCompiler::Compile"} <= names(cold.phases)
    assert all(phase.own_s > 0 for phase in cold.phases), "the first and the last are inside of the compilation"
    exported, optimised, entry = cold.representations
    assert exported.operators["dot_general"] == 1
    assert optimised.count > entry.count > 0
    assert cold.unnamed_s < 0.5 * cold.compile_s
    assert cold.code.bytes.value > 100
    assert sum(cold.code.instructions.values()) > 20 or "objdump" in cold.code.instructions_untold
    assert (cold.from_cache, again.from_cache) == (False, True)
    assert "CpuCompiler::RunBackend" not in names(again.phases)
    assert again.code.bytes.value is None


def test_inductor_names_every_stage_and_eager_compiles_nothing(torch_told):
    backend, launch = torch_told
    if backend == "eager":
        (facts,) = launch.compilations
        assert (facts.occasion, facts.told, facts.reason) == ("cold", None, "PyTorch eager compiles nothing")
        return
    cold, again = (facts.told for facts in launch.compilations)
    for told in (cold, again):
        adds_up(told)
        captured, aten, lowered, generated = told.representations
        assert captured.operators == {"@": 1, "torch.nn.functional.layer_norm": 1, "torch._C._nn.gelu": 1}
        assert (
            aten.operators["aten.mm"] == lowered.operators["aten.mm"] == generated.operators["extern_kernels.mm"] == 1
        )
        assert generated.operators["generated kernel"] >= 1
    assert {"bytecode_tracing", "GraphLowering.run", "Scheduler.codegen", "compile_file"} <= names(cold.phases)
    assert cold.unnamed_s < 0.5 * cold.compile_s
    assert cold.code.objects >= 1
    assert cold.code.bytes.value > 100
    assert (cold.from_cache, again.from_cache) == (False, True)
    assert "Scheduler.codegen" not in names(again.phases)


def test_torch_tells_what_its_allocator_gave(torch_told):
    backend, (_, told) = torch_told
    inputs = block.ROWS * block.INNER * 4 + block.INNER * block.WIDTH * 4
    assert (told.inputs, told.outputs, told.weights.value) == (inputs, PRODUCT, 0)
    assert told.least.value is None
    if backend == "inductor":  # the product is normalised in its place, which is the output's
        assert {value.bytes for value in told.largest} == {STATISTICS // 2}
        assert told.each_apart.value == told.reached.value == STATISTICS
        assert "uses again" in told.remarks[0]
    else:
        by_operator = {value.operator for value in told.largest}
        assert by_operator == {"aten::matmul", "aten::layer_norm"}
        assert (told.each_apart.value, told.workspace.value) == (2 * PRODUCT, STATISTICS)
        assert told.reached.value == 2 * PRODUCT + STATISTICS


def test_xla_tells_its_plan_and_its_order(xla_told):
    told = xla_told.memory
    assert PRODUCT in {value.bytes for value in told.largest}
    assert told.each_apart.value is not None
    assert told.least.value is not None
    assert told.reached.value is not None
    assert PRODUCT <= told.least.value <= told.reached.value
    assert told.least.value <= told.each_apart.value
    assert (told.weights.value, told.outputs) == (0, PRODUCT)


def test_what_tells_nothing_is_told_so():
    (facts,) = compilations_of(SimpleNamespace(tells={}), None, cold=False, begins=list)
    assert (facts.occasion, facts.told) == ("warm", None)
    assert "tells nothing of compilation" in facts.reason
    broken = SimpleNamespace(tells={"compilation": "tests.runners.test_telling"})
    (facts,) = compilations_of(broken, None, cold=True, begins=list)
    assert facts.reason == "not today"


def compilation(runner, program):
    """What `tells` names above."""
    raise Unsupported("not today")
