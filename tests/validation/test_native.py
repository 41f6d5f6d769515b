"""The native variants in processes of their own: right at every step, state kept, and honest about what they are."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from steelyard.suites.llm import SUITE

from steelyard import plugins, wire
from steelyard.contract.launch import ContractRequest
from steelyard.core.backend import Budget, Device, parse_backend
from steelyard.core.errors import Unsupported
from steelyard.core.lowered import LoweredProgram
from steelyard.core.workload import Selection
from tests.validation.llama import llama_of
from tests.validation.native_overhead import PAIRS

pytestmark = pytest.mark.backends

HERE = Path(__file__).parent
CPUS = tuple(sorted(os.sched_getaffinity(0)))[:2]
CPU = Device(kind="cpu", index=0, name="cpu", memory_bytes=None)
PROMPT, CAPACITY, BATCH, STEPS = 5, 16, 2, 4
NATIVE = {each.ours: each.native for each in PAIRS}
# What compiles anew for each program is tried on one of them.
MODELS = {name: ("llama",) if name in ("inductor", "xla") else ("llama", "smollm2") for name in NATIVE}
# Inductor's variant is eager's, compiled for minutes: `make families` runs it.
LAUNCHED = [name for name in NATIVE if name != "inductor" or os.environ.get("STEELYARD_FAMILIES") == "all"]
RUNTIMES = {
    "eager": {"torch", "transformers"},
    "inductor": {"torch", "transformers"},
    "xla": {"jax"},
    "onnxruntime": {"onnxruntime"},
    "openvino": {"openvino"},
}
KV_CACHE = {
    "eager": "StaticCache",
    "inductor": "StaticCache",
    "xla": "donated",
    "onnxruntime": "one buffer",
    "openvino": "stateful",
}


def point(model, **axes):
    chosen = {"model": model, "batch": BATCH, "prompt": PROMPT, "capacity": CAPACITY, "tokens": STEPS + 1, **axes}
    selection = Selection(
        device_kind="cpu",
        size="tiny",
        workloads=("generate",),
        axes={name: (str(value),) for name, value in chosen.items()},
    )
    (found,) = SUITE.points(selection)
    return found


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """Both models with their weights; nothing is lowered, since the native variants need no more."""
    from steelyard.suites.llm import weights

    found = {}
    for model in ("llama", "smollm2"):
        directory = tmp_path_factory.mktemp(model)
        held = point(model).programs
        weights.write(held["decode"].weights.arguments, directory, None)
        file = str(directory / weights.FILE)
        for role, program in held.items():
            found[f"{model}/{role}"] = LoweredProgram(program=program, weights_file=file, artifacts={})
    return found


@pytest.fixture(scope="module", params=LAUNCHED)
def launch(request, programs, tmp_path_factory):
    """One launch of a variant: its backend, what it told, its arrays."""
    directory = tmp_path_factory.mktemp(request.param)
    spec = parse_backend(NATIVE[request.param])
    asked = ContractRequest(
        backend=spec,
        device=CPU,
        budget=Budget(threads=len(CPUS), cpus=CPUS),
        directory=str(directory),
        programs={name: each for name, each in programs.items() if name.split("/")[0] in MODELS[request.param]},
    )
    path = directory / "request.json"
    path.write_bytes(wire.encode(asked))
    done = subprocess.run(
        [sys.executable, str(HERE / "native_launch.py"), str(path)],
        env={**os.environ, **plugins.runner(spec.runner).environment(asked.context)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    with np.load(directory / "arrays.npz") as arrays:
        return request.param, json.loads((directory / "told.json").read_text()), dict(arrays)


@pytest.fixture(scope="module")
def references(programs):
    """The same steps by the suite's own module in float64."""
    import torch

    from steelyard.lowering.source import build_module

    torch.manual_seed(0)
    found = {}
    for model in ("llama", "smollm2"):
        module = {
            role: build_module(each.program, each.weights_file, in_place=False, dtype="float64")
            for role in ("prefill", "decode")
            for each in (programs[f"{model}/{role}"],)
        }
        with torch.inference_mode():
            for seed in (0, 1):
                ids = np.random.default_rng(seed).integers(0, 512, (BATCH, PROMPT), dtype=np.int64)
                outputs = module["prefill"](torch.from_numpy(ids))
                found[model, "prefill", seed] = after = outputs
                for step in range(STEPS):
                    token = outputs[0][:, None]
                    outputs = module["decode"](token, torch.tensor([PROMPT + step]), *outputs[2:])
                    found[model, "step", seed, step] = outputs
                if seed == 0:
                    token = torch.full((BATCH, 1), 7)
                    found[model, "other"] = module["decode"](token, torch.tensor([PROMPT]), *after[2:])
    return found


def agree(arrays, case, program, wanted):
    for spec, reference in zip(program.outputs, wanted, strict=True):
        found, right = arrays[f"{case}/{spec.name}"], reference.numpy()
        assert (found.shape, found.dtype.name) == (spec.shape, spec.dtype), f"{case}/{spec.name}"
        if spec.dtype == "int64":
            np.testing.assert_array_equal(found, right, err_msg=f"{case}/{spec.name}")
        else:
            error = np.linalg.norm(found - right) / np.linalg.norm(right)
            assert error < 2e-5, f"{case}/{spec.name}: relative error {error:.1e}"


def test_every_output_of_every_step_is_right(launch, references, programs):
    """Prefills and answers, each after another one has used the same bindings; the state is part of the outputs."""
    name, _, arrays = launch
    for model in MODELS[name]:
        prefill, decode = (programs[f"{model}/{role}"].program for role in ("prefill", "decode"))
        for turn, seed in enumerate((0, 1, 0)):
            agree(arrays, f"{model}/prefill/{turn}", prefill, references[model, "prefill", seed])
            for step in range(STEPS):
                agree(arrays, f"{model}/answer/{turn}/{step}", decode, references[model, "step", seed, step])


def test_a_step_with_a_given_state_can_be_repeated(launch, references, programs):
    """Two states bound at once, in turn, and then another token; what is not written stays as it was, bit by bit."""
    name, _, arrays = launch
    for model in MODELS[name]:
        decode = programs[f"{model}/decode"].program
        for turn in range(4):
            agree(arrays, f"{model}/repeat/{turn}", decode, references[model, "step", turn % 2, 0])
        agree(arrays, f"{model}/other", decode, references[model, "other"])
        for spec in decode.outputs[2:]:
            before, after = (arrays[f"{model}/{case}/{spec.name}"] for case in ("prefill/0", "repeat/2"))
            np.testing.assert_array_equal(np.delete(before, PROMPT, axis=2), np.delete(after, PROMPT, axis=2))


def test_the_proof_finds_nothing_wrong(launch):
    _, told, _ = launch
    for proof in told["proofs"].values():
        assert proof["mismatches"] == []
        assert proof["dtype"] == "float32"
        assert proof["threads"] == len(CPUS)
        assert not proof["recompiles"]
    assert told["counters"][0] == told["counters"][1]
    assert all(told["options"].values())


def test_the_execution_mode_is_recorded_and_one_runtime_imported(launch):
    name, told, _ = launch
    for program, mode in told["execution_modes"].items():
        assert mode["weights"]
        if program.endswith("decode"):
            assert KV_CACHE[name] in mode["kv_cache"]
    assert set(told["frameworks"]) <= RUNTIMES[name]


def test_variants_are_listed_nowhere_and_need_nothing_lowered():
    for path in NATIVE.values():
        kind = plugins.runner(path)
        assert kind.idle
        assert kind.needs(parse_backend(path)) == ("module",)
        assert kind not in plugins.runners().values()
        assert kind.kinds == ("cpu",)
        assert {"default", "max"} <= set(kind.tunings)


@pytest.mark.parametrize(("axes", "reason"), [({"model": "gpt2"}, "gpt2"), ({"dtype": "bfloat16"}, "bfloat16")])
def test_other_programs_are_unsupported_with_the_reason(axes, reason):
    program = point(**{"model": "llama", **axes}).programs["decode"]
    with pytest.raises(Unsupported, match=reason):
        llama_of(program)
    with pytest.raises(Unsupported, match="no decoder of the suite llm"):
        llama_of(dataclasses.replace(program, source="mypkg.model:build"))
