"""ONNX Runtime through its runner: real sessions on a decoder with state."""

import dataclasses
import gc
import json
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("torch")

from steelyard import plugins, wire
from steelyard.contract.runner import RunnerContract
from steelyard.core.backend import parse_backend
from steelyard.core.errors import FellBack, SteelyardError, Unsupported, UsageError
from steelyard.core.lowered import LoweredProgram
from steelyard.core.workload import TensorSpec
from tests.runners import toy_decoder as toy

pytestmark = pytest.mark.backends
OnnxRuntime = plugins.runner("onnxruntime")


class TestContract(RunnerContract):
    backend = "onnxruntime"
    imports = frozenset({"onnxruntime"})


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    return toy.lowered_to_onnx(tmp_path_factory.mktemp("onnx"))


def ready(lowered, tmp_path, backend="onnxruntime", **budget):
    runner = OnnxRuntime(toy.context(backend, tmp_path, **budget))
    runner.start()
    executable = runner.load(lowered)
    executable.compile()
    return executable


@pytest.mark.parametrize("backend", ["onnxruntime", "onnxruntime[kv_cache=ping_pong]", "onnxruntime:cpu"])
@pytest.mark.parametrize("tuning", ["default", "max"])
def test_outputs_agree_and_repeat(artifacts, tmp_path, backend, tuning):
    executable = ready(artifacts["decode"], tmp_path, backend, tuning=tuning)
    arrays = toy.inputs("decode")
    kept = {name: array.copy() for name, array in arrays.items()}
    binding = executable.bind(arrays)
    for _ in range(3):
        binding.run()
        toy.agree(binding.read(), toy.reference("decode", arrays))
        binding.settle()
    assert all(np.array_equal(arrays[name], kept[name]) for name in arrays), "the caller's arrays were written to"


@pytest.mark.parametrize("cache", ["in_place", "ping_pong"])
def test_prefill_then_decode_shares_the_cache_without_a_copy(artifacts, tmp_path, cache):
    backend = f"onnxruntime[kv_cache={cache}]"
    prefill, decode = (ready(artifacts[name], tmp_path, backend) for name in ("prefill", "decode"))
    zeros = {spec.name: np.zeros(spec.shape, spec.dtype) for spec in toy.programs()["decode"].inputs}
    step = decode.bind(zeros)
    for seed in (1, 2, 1):  # more than one answer on the same bindings
        start = prefill.bind(toy.inputs("prefill", seed))
        start.run()
        expected = toy.reference("prefill", toy.inputs("prefill", seed))
        toy.agree(start.read(), expected)
        step.adopt(start)
        assert step.reads["k"] is start.writes["k"]
        start.settle()
        for position, token in enumerate((4, 9, 17), start=toy.PROMPT):
            given = {"token": np.array([[token]]), "position": np.array([position])}
            step.update(given)
            step.run()
            expected = toy.reference("decode", {**given, "k": expected["k"], "v": expected["v"]})
            toy.agree(step.read(), expected)
            assert set(step.read(("logits",))) == {"logits"}
            step.settle()


def test_proof_reads_back_what_runs(artifacts, tmp_path):
    executable = ready(artifacts["decode"], tmp_path, threads=2)
    proof = executable.proof()
    assert proof.mismatches == ()
    assert (proof.platform, proof.dtype, proof.threads) == ("CPUExecutionProvider", "float32", 2)
    assert set(proof.placement) == {"CPUExecutionProvider"}
    assert proof.placement["CPUExecutionProvider"] == sum(proof.details["operators"].values()) > 5
    assert proof.details["operators"]["Attention"] == 1
    assert ready(artifacts["decode"], tmp_path, threads=3).proof().threads == 3
    assert ready(artifacts["decode"], tmp_path, threads=1).proof().threads == 1
    assert executable.execution_mode["kv_cache"] == "bound in place"
    assert executable.options["intra_op_threads"] == 2
    assert executable.options["config.session.intra_op.allow_spinning"] == "1"
    assert ready(artifacts["prefill"], tmp_path).execution_mode["kv_cache"] == "none"


def test_a_wrong_thread_count_is_told(artifacts, tmp_path, monkeypatch):
    runner = OnnxRuntime(toy.context("onnxruntime", tmp_path, threads=2))
    wrong = runner.session_options()
    wrong.intra_op_num_threads = 4
    monkeypatch.setattr(runner, "session_options", lambda: wrong)
    executable = runner.load(artifacts["decode"])
    executable.compile()
    assert executable.proof().threads == 4


def hazard(directory):
    """y = old state x new state, in that order: wrong as soon as the state is overwritten in place."""
    import onnx
    from onnx import TensorProto, helper

    def tensor(name):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [4])

    nodes = [helper.make_node("Add", ["s", "x"], ["s_out"]), helper.make_node("Mul", ["s", "s_out"], ["y"])]
    graph = helper.make_graph(nodes, "hazard", [tensor("x"), tensor("s")], [tensor("y"), tensor("s_out")])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), directory / "h.onnx"
    )
    x, y = (TensorSpec(name=name, shape=(4,), dtype="float32") for name in "xy")
    state = TensorSpec(name="s", shape=(4,), dtype="float32", role="state")
    return toy.wrap(toy.program("hazard", (x, state), (y, state)), "onnx", directory, "h.onnx")


def test_reading_the_old_state_after_the_write_is_caught(tmp_path):
    program = hazard(tmp_path)
    assert "use [kv_cache=ping_pong]" in ready(program, tmp_path).proof().mismatches[0]
    beside = ready(program, tmp_path, "onnxruntime[kv_cache=ping_pong]")
    assert beside.proof().mismatches == ()
    assert beside.execution_mode["kv_cache"] == "two bound buffers, swapped"
    binding = beside.bind({"x": np.ones(4, np.float32), "s": np.full(4, 2, np.float32)})
    for state in (2, 3, 4):
        binding.run()
        assert binding.read()["y"].tolist() == [state * (state + 1)] * 4
        binding.settle()


def grouped(directory, **details):
    """GroupQueryAttention over a cache of 4 places: beside, it keeps of the past only what is before the position."""
    import onnx
    from onnx import TensorProto, helper

    cache = TensorProto.FLOAT, [1, 1, 4, 8]
    inputs = {"x": (TensorProto.FLOAT, [1, 1, 24]), "position": (TensorProto.INT64, [1]), "k": cache, "v": cache}
    outputs = {"y": (TensorProto.FLOAT, [1, 1, 8]), "k_out": cache, "v_out": cache}
    nodes = [
        helper.make_node("Cast", ["position"], ["last"], to=TensorProto.INT32),
        helper.make_node("Add", ["last", "one"], ["total"]),
        helper.make_node(
            "GroupQueryAttention", ["x", "", "", "k", "v", "last", "total"], list(outputs),
            domain="com.microsoft", num_heads=1, kv_num_heads=1,
        ),
    ]  # fmt: skip
    sides = [[helper.make_tensor_value_info(name, *of) for name, of in side.items()] for side in (inputs, outputs)]
    one = helper.make_tensor("one", TensorProto.INT32, [1], [1])
    opsets = [helper.make_opsetid("", 23), helper.make_opsetid("com.microsoft", 1)]
    graph = helper.make_graph(nodes, "grouped", *sides, initializer=[one])
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), directory / "g.onnx")
    x, y = (TensorSpec(name=name, shape=(1, 1, wide), dtype="float32") for name, wide in (("x", 24), ("y", 8)))
    position = TensorSpec(name="position", shape=(1,), dtype="int64")
    state = [TensorSpec(name=name, shape=(1, 1, 4, 8), dtype="float32", role="state") for name in "kv"]
    made = toy.wrap(toy.program("grouped", (x, position, *state), (y, *state)), "onnx", directory, "g.onnx")
    artifact = dataclasses.replace(made.artifacts["onnx"], details=details)
    return dataclasses.replace(made, artifacts={"onnx": artifact})


def test_a_cache_that_is_whole_at_its_last_place_is_proved_there(tmp_path):
    executable = ready(grouped(tmp_path, whole_at={"position": 3}, fused={"attention": 1, "norms": 0}), tmp_path)
    assert executable.proof().mismatches == ()
    assert executable.execution_mode["kv_cache"] == "GroupQueryAttention, past and present one buffer"
    assert executable.execution_mode["graph"] == "attention fused"
    assert executable.options["fused.attention"] == 1
    elsewhere = ready(grouped(tmp_path, whole_at={"position": 1}), tmp_path)
    assert "use [kv_cache=ping_pong]" in elsewhere.proof().mismatches[0]
    assert elsewhere.execution_mode["graph"] == "as exported"


def test_in_place_a_step_leaves_the_other_places_alone(tmp_path):
    executable = ready(grouped(tmp_path, whole_at={"position": 3}), tmp_path)
    random = np.random.default_rng(1)
    arrays = {
        spec.name: random.standard_normal(spec.shape).astype(spec.dtype) for spec in executable.program.program.inputs
    }
    arrays["position"] = np.array([1])
    binding = executable.bind(arrays)
    executable.proof()
    for _ in range(2):
        binding.run()
        after = binding.read()
        for index, name in enumerate("kv"):
            new = arrays["x"][0, 0, 8 * (index + 1) : 8 * (index + 2)]
            np.testing.assert_array_equal(after[name][0, 0], [arrays[name][0, 0, 0], new, *arrays[name][0, 0, 2:]])
        binding.settle()


def test_threads_of_an_earlier_session_that_end_meanwhile_are_not_counted(artifacts, tmp_path, monkeypatch):
    import onnxruntime

    create, usual = onnxruntime.InferenceSession, gc.get_threshold()

    def creating(*arguments, **options):
        gc.set_threshold(1, 1, 1)  # new objects set off a collection of all, if there is any
        made = [[] for _ in range(1000)]
        gc.set_threshold(*usual)
        del made
        return create(*arguments, **options)

    earlier = [ready(artifacts["decode"], tmp_path).session]
    earlier.append(earlier)  # only a collection ends its threads
    monkeypatch.setattr(onnxruntime, "InferenceSession", creating)
    gc.set_threshold(10_000_000)
    try:
        del earlier
        assert ready(artifacts["decode"], tmp_path).proof().threads == 2
    finally:
        gc.set_threshold(*usual)
    assert gc.isenabled()


def test_bfloat16_and_no_kernel(tmp_path):
    import ml_dtypes
    import onnx
    from onnx import TensorProto, helper

    def model(operator, entry):
        tensors = [helper.make_tensor_value_info(name, TensorProto.BFLOAT16, [3]) for name in "ab"]
        graph = helper.make_graph([helper.make_node(operator, ["a"], ["b"])], "g", tensors[:1], tensors[1:])
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
        onnx.save(made, tmp_path / entry)
        a, b = (TensorSpec(name=name, shape=(3,), dtype="bfloat16") for name in "ab")
        return toy.wrap(toy.program("bf16", (a,), (b,), "bfloat16"), "onnx", tmp_path, entry)

    executable = ready(model("Identity", "identity.onnx"), tmp_path)
    given = np.array([1.5, -2, 3e30], ml_dtypes.bfloat16)
    binding = executable.bind({"a": given})
    binding.run()
    assert binding.read()["b"].dtype == ml_dtypes.bfloat16
    assert np.array_equal(binding.read()["b"], given)
    assert executable.proof().dtype == "bfloat16"
    with pytest.raises(Unsupported, match="no kernel on CPUExecutionProvider"):
        ready(model("Softplus", "softplus.onnx"), tmp_path)


def test_a_worker_imports_onnxruntime_only(artifacts, tmp_path):
    (tmp_path / "program.json").write_bytes(wire.encode(artifacts["decode"]))
    code = """
import json, sys
from pathlib import Path
import numpy as np
from steelyard import plugins, wire
from steelyard.core.backend import Budget, Device, parse_backend
from steelyard.core.lowered import LoweredProgram
from steelyard.core.runner import LaunchContext
root = Path(sys.argv[1])
context = LaunchContext(
    backend=parse_backend("onnxruntime"), device=Device(kind="cpu", index=0, name="cpu", memory_bytes=None),
    budget=Budget(threads=2, cpus=(0, 1)), compile_cache=root, scratch=root)
runner = plugins.runner("onnxruntime")(context)
runner.start()
program = wire.read(root / "program.json", LoweredProgram)
executable = runner.load(program)
executable.compile()
binding = executable.bind({s.name: np.zeros(s.shape, s.dtype) for s in program.program.inputs})
binding.run()
proof = executable.proof()
heavy = ("torch", "jax", "openvino", "onnx", "transformers", "onnxruntime", "pandas", "matplotlib")
print(json.dumps({"modules": [name for name in heavy if name in sys.modules], "mismatches": proof.mismatches}))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True, timeout=120
    )
    said = json.loads(done.stdout.splitlines()[-1])
    assert said == {"modules": ["onnxruntime"], "mismatches": []}


def test_availability():
    found = OnnxRuntime.availability(parse_backend("onnxruntime"), "cpu")
    assert found.available
    assert found.versions["onnxruntime"]
    assert found.devices == ("cpu",)
    for backend, kind, says in (
        ("onnxruntime:qnn", "npu", "'qnn' is not driven"),
        ("onnxruntime", "tpu", "no provider of such a device"),
        ("onnxruntime:tensorrt", "cuda", "no TensorrtExecutionProvider"),
        ("onnxruntime", "rocm", "no MIGraphXExecutionProvider"),
        ("onnxruntime", "mps", "no CoreMLExecutionProvider"),
    ):
        other = OnnxRuntime.availability(parse_backend(backend), kind)
        assert not other.available
        assert says in other.reason
    assert "--device cuda" in OnnxRuntime.availability(parse_backend("onnxruntime:cuda"), "cpu").reason
    import onnxruntime

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        absent = OnnxRuntime.availability(parse_backend("onnxruntime:cuda"), "cuda")
        assert "pip install 'steelyard[cuda]'" in absent.reason


def test_missing_package_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    absent = OnnxRuntime.availability(parse_backend("onnxruntime"), "cpu")
    assert not absent.available
    assert "pip install 'steelyard[onnxruntime]'" in absent.reason


@pytest.mark.parametrize(
    ("backend", "says"),
    [
        ("onnxruntime[spining=true]", "did you mean 'spinning'"),
        ("onnxruntime[kv_cache=inplace]", "did you mean 'in_place'"),
        ("onnxruntime[opset=latest]", "not a whole number from 1 on"),
        ("onnxruntime[level=none]", "basic, disabled, extended"),
        ("onnxruntime:cudda", "did you mean 'cuda'"),
    ],
)
def test_unknown_options_are_usage_errors(backend, says):
    with pytest.raises(UsageError, match=says):
        OnnxRuntime.availability(parse_backend(backend), "cpu")


@pytest.mark.parametrize(
    ("level", "held"),
    [
        ("disabled", "ORT_DISABLE_ALL"),
        ("basic", "ORT_ENABLE_BASIC"),
        ("extended", "ORT_ENABLE_EXTENDED"),
        ("layout", "ORT_ENABLE_LAYOUT"),
        ("all", "ORT_ENABLE_ALL"),
    ],
)
def test_the_level_of_optimisation_is_what_the_session_holds(artifacts, tmp_path, level, held):
    executable = ready(artifacts["decode"], tmp_path, f"onnxruntime[level={level}]")
    assert executable.options["graph_optimization"] == held
    assert executable.session.get_session_options().graph_optimization_level.name == held
    assert not executable.proof().mismatches


def test_opset_chooses_the_artifact(artifacts, tmp_path):
    assert OnnxRuntime.needs(parse_backend("onnxruntime")) == ("onnx",)
    assert OnnxRuntime.needs(parse_backend("onnxruntime[opset=20]")) == ("onnx@20",)
    runner = OnnxRuntime(toy.context("onnxruntime[opset=20]", tmp_path))
    with pytest.raises(Unsupported, match="no onnx@20 artifact"):
        runner.load(artifacts["decode"])


def test_bad_inputs_say_what_is_wrong(artifacts, tmp_path):
    executable = ready(artifacts["decode"], tmp_path)
    arrays = toy.inputs("decode")
    with pytest.raises(UsageError, match="no value for the inputs k, v"):
        executable.bind({name: arrays[name] for name in ("token", "position")})
    binding = executable.bind(arrays)
    with pytest.raises(UsageError, match=r"'token' is int32\[1, 1\], the program takes int64\[1, 1\]"):
        binding.update({"token": np.zeros((1, 1), np.int32)})
    with pytest.raises(UsageError, match="did you mean 'token'"):
        binding.update({"tokens": np.zeros((1, 1), np.int64)})
    with pytest.raises(UsageError, match="no state 'k'"):
        binding.adopt(ready(hazard(tmp_path), tmp_path).bind({n: np.ones(4, np.float32) for n in "xs"}))


def test_damaged_record_is_refused(artifacts, tmp_path):
    good: LoweredProgram = artifacts["decode"]
    artifact = dataclasses.replace(good.artifacts["onnx"], outputs=("logits",))
    with pytest.raises(SteelyardError, match="has 4 inputs and 3 outputs, its record 4 and 1"):
        ready(dataclasses.replace(good, artifacts={"onnx": artifact}), tmp_path)


def test_a_provider_that_refuses_nodes_is_a_fallback(artifacts, tmp_path, monkeypatch):
    """With CPU fallback forbidden, nodes that an accelerator's provider leaves to the CPU end the compilation."""
    runner = OnnxRuntime(toy.context("onnxruntime", tmp_path))
    runner.provider = "AzureExecutionProvider"  # part of every build; takes no node of this graph
    entries = {**runner.config(), "session.disable_cpu_ep_fallback": "1"}
    monkeypatch.setattr(runner, "config", lambda: entries)
    executable = runner.load(artifacts["decode"])
    with pytest.raises(FellBack, match="does not take every node"):
        executable.compile()


def test_nodes_on_the_cpu_are_a_mismatch(artifacts, tmp_path):
    runner = OnnxRuntime(toy.context("onnxruntime", tmp_path))
    runner.provider = "AzureExecutionProvider"
    executable = runner.load(artifacts["decode"])
    executable.compile()
    assert any("run on CPUExecutionProvider" in text for text in executable.proof().mismatches)


def test_the_path_of_an_accelerator_on_host_memory(artifacts, tmp_path, monkeypatch):
    """Places without a numpy view, filled and read through copies, and a run that synchronises: what a GPU gets."""
    import ml_dtypes

    from steelyard.adapters.onnxruntime_binding import DeviceBound, DevicePlace

    narrow = DevicePlace(TensorSpec(name="x", shape=(2,), dtype="bfloat16"), "cpu", 0)
    assert narrow.read().tolist() == [0, 0]
    narrow.write(np.array([1.5, -3], ml_dtypes.bfloat16))
    assert narrow.read().dtype == ml_dtypes.bfloat16
    assert narrow.read().tolist() == [1.5, -3]
    executable = ready(artifacts["decode"], tmp_path)
    monkeypatch.setattr(executable, "place", lambda spec: DevicePlace(spec, "cpu", 0))
    arrays = toy.inputs("decode")
    binding = DeviceBound(executable, arrays, True)
    for _ in range(2):
        binding.run()
        toy.agree(binding.read(), toy.reference("decode", arrays))
        binding.settle()
