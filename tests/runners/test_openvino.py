"""OpenVINO through its runner: real compiled models of a decoder with state."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("openvino")
pytest.importorskip("torch")

from steelyard import plugins, wire
from steelyard.contract.runner import RunnerContract
from steelyard.core.backend import parse_backend
from steelyard.core.errors import SteelyardError, Unsupported, UsageError
from steelyard.core.workload import TensorSpec
from tests.runners import toy_decoder as toy

pytestmark = pytest.mark.backends
OpenVino = plugins.runner("openvino")


class TestContract(RunnerContract):
    backend = "openvino"
    imports = frozenset({"openvino"})


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    return toy.lowered_to_openvino(tmp_path_factory.mktemp("openvino"))


def ready(lowered, tmp_path, backend="openvino", **budget):
    runner = OpenVino(toy.context(backend, tmp_path, **budget))
    runner.start()
    executable = runner.load(lowered)
    executable.compile()
    return executable


@pytest.mark.parametrize("backend", ["openvino", "openvino[kv_cache=ping_pong]", "openvino:CPU[streams=2]"])
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
    backend = f"openvino[kv_cache={cache}]"
    prefill, decode = (ready(artifacts[name], tmp_path, backend) for name in ("prefill", "decode"))
    step = decode.bind({spec.name: np.zeros(spec.shape, spec.dtype) for spec in toy.programs()["decode"].inputs})
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
    executable = ready(artifacts["decode"], tmp_path, threads=1, cpus=(0,))
    proof = executable.proof()
    assert proof.mismatches == ()
    assert (proof.platform, proof.dtype, proof.threads) == ("CPU", "float32", 1)
    assert proof.placement["CPU"] == sum(proof.details["nodes"].values()) > 5
    assert proof.details["properties"]["NUM_STREAMS"] == 1
    assert proof.details["properties"]["KV_CACHE_PRECISION"] == "f32"
    assert proof.details["properties"]["EXECUTION_DEVICES"] == ["CPU"]
    assert proof.details["node_precision"]["f32"] > 5
    assert not {"bf16", "f16"} & set(proof.details["node_precision"])
    assert executable.execution_mode["kv_cache"] == "bound in place"
    assert executable.options["INFERENCE_PRECISION_HINT"] == "f32"
    two = ready(artifacts["prefill"], tmp_path, "openvino[streams=2]")
    assert two.proof().details["properties"]["NUM_STREAMS"] == 2
    assert two.execution_mode["kv_cache"] == "none"


def computes_bfloat16(lowered):
    """Whether OpenVINO computes in bfloat16 on this CPU when it is told to; one without AVX-512 does not."""
    import openvino

    artifact = lowered.artifacts["openvino"]
    path = f"{artifact.directory}/{artifact.entry}"
    model = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "bf16"})
    return model.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.bf16


def test_bfloat16_behind_a_float32_program_is_caught(artifacts, tmp_path):
    """What OpenVINO does unasked on a CPU with bfloat16: about three decimal digits instead of seven."""
    executable = ready(artifacts["decode"], tmp_path, "openvino[precision=bf16]")
    proof = executable.proof()
    if not computes_bfloat16(artifacts["decode"]):  # then the plugin says float32, and so must the proof
        assert (proof.dtype, proof.mismatches) == ("float32", ())
        return
    assert proof.dtype == "bfloat16"
    assert "INFERENCE_PRECISION_HINT is bfloat16, the program is float32" in proof.mismatches
    assert any(text.endswith("nodes compute in bfloat16") for text in proof.mismatches)
    arrays = toy.inputs("decode")
    binding = executable.bind(arrays)
    binding.run()
    with pytest.raises(AssertionError, match="relative L2 error"):
        toy.agree(binding.read(), toy.reference("decode", arrays), tolerance=1e-4)
    allowed = ready(artifacts["decode"], tmp_path, "openvino[precision=bf16]", precision="runtime").proof()
    assert (allowed.dtype, allowed.mismatches) == ("bfloat16", ())


def test_bfloat16_nodes_are_caught_even_when_the_hint_denies_them(artifacts, tmp_path):
    executable = ready(artifacts["decode"], tmp_path, "openvino[precision=bf16]")

    class Denying:
        def __getattr__(self, name):
            return getattr(real, name)

        def get_property(self, name):
            import openvino

            return openvino.Type.f32 if name == "INFERENCE_PRECISION_HINT" else real.get_property(name)

    real, executable.compiled = executable.compiled, Denying()
    proof = executable.proof()
    assert proof.dtype == "float32"
    assert len(proof.mismatches) == (1 if computes_bfloat16(artifacts["decode"]) else 0)
    assert not proof.mismatches or proof.mismatches[0].endswith("nodes compute in bfloat16")


def test_fewer_threads_than_the_budget_are_told(artifacts, tmp_path):
    import os

    cores = len(os.sched_getaffinity(0))
    assert ready(artifacts["decode"], tmp_path, threads=cores + 3).proof().threads <= cores


def test_the_cache_is_kept_in_the_launch_directory(artifacts, tmp_path):
    cold = ready(artifacts["decode"], tmp_path)
    assert cold.proof().details["properties"]["LOADED_FROM_CACHE"] is False
    assert any((tmp_path / "compile_cache").iterdir())
    warm = ready(artifacts["decode"], tmp_path)
    proof = warm.proof()
    assert proof.details["properties"]["LOADED_FROM_CACHE"] is True
    assert (proof.mismatches, proof.dtype) == ((), "float32")
    arrays = toy.inputs("decode")
    binding = warm.bind(arrays)
    binding.run()
    toy.agree(binding.read(), toy.reference("decode", arrays))


def wrapped(directory, dtype, names, build):
    """A LoweredProgram of a graph built from OpenVINO operators; inputs and outputs are vectors of 3."""
    import openvino
    from openvino import opset15

    kinds = {"float32": openvino.Type.f32, "bfloat16": openvino.Type.bf16, "bool": openvino.Type.boolean}
    parameters = [opset15.parameter([3], kinds[dtype]) for _ in names[0]]
    openvino.save_model(
        openvino.Model(build(*parameters), parameters, "g"), directory / "g.xml", compress_to_fp16=False
    )
    state = set(names[0]) & set(names[1])
    ins, outs = (
        tuple(
            TensorSpec(name=name, shape=(3,), dtype=dtype, role="state" if name in state else "data") for name in group
        )
        for group in names
    )
    program = toy.program("g", ins, outs, "float32" if dtype == "bool" else dtype)
    return toy.wrap(program, "openvino", directory, "g.xml")


@pytest.mark.parametrize("dtype", ["bfloat16", "bool"])
def test_types_without_a_numpy_name_pass_unchanged(tmp_path, dtype):
    import ml_dtypes
    from openvino import opset15

    def build(a):
        return [opset15.abs(a)] if dtype == "bfloat16" else [opset15.logical_not(a)]

    executable = ready(wrapped(tmp_path, dtype, (("a",), ("b",)), build), tmp_path)
    given = np.array([1.5, -2, 3e30], ml_dtypes.bfloat16) if dtype == "bfloat16" else np.array([True, False, True])
    binding = executable.bind({"a": given})
    binding.run()
    found = binding.read()["b"]
    assert found.dtype == given.dtype
    assert np.array_equal(found, np.abs(given) if dtype == "bfloat16" else ~given)
    assert executable.proof().mismatches == ()


def test_two_tensors_that_swap_carry_the_state(tmp_path):
    from openvino import opset15

    def build(x, s):
        new = opset15.add(s, x)
        return [opset15.multiply(s, new), new]

    program = wrapped(tmp_path, "float32", (("x", "s"), ("y", "s")), build)
    beside = ready(program, tmp_path, "openvino[kv_cache=ping_pong]")
    assert beside.execution_mode["kv_cache"] == "two bound tensors, swapped"
    binding = beside.bind({"x": np.ones(3, np.float32), "s": np.full(3, 2, np.float32)})
    for state in (2, 3, 4):
        binding.run()
        assert binding.read()["y"].tolist() == [state * (state + 1)] * 3
        binding.settle()


def test_a_worker_imports_openvino_only(artifacts, tmp_path):
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
    backend=parse_backend("openvino"), device=Device(kind="cpu", index=0, name="cpu", memory_bytes=None),
    budget=Budget(threads=1, cpus=(0,)), compile_cache=root, scratch=root)
runner = plugins.runner("openvino")(context)
runner.start()
program = wire.read(root / "program.json", LoweredProgram)
executable = runner.load(program)
executable.compile()
binding = executable.bind({s.name: np.zeros(s.shape, s.dtype) for s in program.program.inputs})
binding.run()
proof = executable.proof()
heavy = ("torch", "jax", "openvino", "onnx", "transformers", "onnxruntime", "pandas", "matplotlib")
modules = [name for name in heavy if name in sys.modules]
print(json.dumps({"modules": modules, "mismatches": proof.mismatches}))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True, timeout=120
    )
    said = json.loads(done.stdout.splitlines()[-1])
    assert said == {"modules": ["openvino"], "mismatches": []}


def test_availability(monkeypatch):
    found = OpenVino.availability(parse_backend("openvino"), "cpu")
    assert found.available
    assert found.versions["openvino"]
    assert "CPU" in found.devices
    for backend, kind, says in (
        ("openvino:GPU", "cpu", "use --device xpu"),
        ("openvino:auto", "cpu", "chooses devices itself"),
        ("openvino:npu", "npu", "no NPU plugin that works here, only CPU: install Intel's NPU driver"),
        ("openvino", "xpu", "no GPU plugin that works here, only CPU: install Intel's compute runtime"),
        ("openvino", "cuda", "runs on no cuda"),
    ):
        other = OpenVino.availability(parse_backend(backend), kind)
        assert not other.available
        assert says in other.reason
    assert "--device cpu" in OpenVino.availability(parse_backend("openvino:CPU"), "cuda").reason
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert "pip install 'steelyard[openvino]'" in OpenVino.availability(parse_backend("openvino"), "cpu").reason


@pytest.mark.parametrize(
    ("backend", "says"),
    [
        ("openvino[stream=2]", "did you mean 'streams'"),
        ("openvino[streams=0]", "not a whole number from 1 on"),
        ("openvino[precision=bf17]", "did you mean 'bf16'"),
        ("openvino:CPUU", "did you mean 'cpu'"),
    ],
)
def test_unknown_options_are_usage_errors(backend, says):
    with pytest.raises(UsageError, match=says):
        OpenVino.availability(parse_backend(backend), "cpu")


def test_bad_input_says_what_is_wrong(artifacts, tmp_path):
    runner = OpenVino(toy.context("openvino", tmp_path))
    runner.start()
    broken = dataclasses.replace(artifacts["decode"], artifacts={}, failures={"openvino": "no such operator"})
    with pytest.raises(Unsupported, match="no openvino artifact: no such operator"):
        runner.load(broken)
    artifact = dataclasses.replace(artifacts["decode"].artifacts["openvino"], outputs=("logits",))
    with pytest.raises(SteelyardError, match="has 4 inputs and 3 outputs, its record 4 and 1"):
        ready(dataclasses.replace(artifacts["decode"], artifacts={"openvino": artifact}), tmp_path)
    binding = ready(artifacts["decode"], tmp_path).bind(toy.inputs("decode"))
    with pytest.raises(UsageError, match=r"'token' is int32\[1, 1\], the program takes int64\[1, 1\]"):
        binding.update({"token": np.zeros((1, 1), np.int32)})
    binding.run()
    with pytest.raises(UsageError, match="unknown output 'logit'; did you mean 'logits'"):
        binding.read(("logit",))
