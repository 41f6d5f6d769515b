"""A decoder of one attention layer with its cache as state, lowered by hand: what the runners' tests run.

`prefill` reads PROMPT tokens and creates the cache; `decode` takes one token and updates it.
"""

from pathlib import Path

import numpy as np

from steelyard.core.backend import Budget, Device, parse_backend
from steelyard.core.lowered import Artifact, LoweredProgram
from steelyard.core.runner import LaunchContext
from steelyard.core.workload import Program, TensorSpec, Weights

VOCABULARY, WIDTH, HEADS, CAPACITY, PROMPT = 61, 32, 2, 16, 5
CACHE = (1, HEADS, CAPACITY, WIDTH // HEADS)
NO_WEIGHTS = Weights(source="tests.runners.toy_decoder:none", arguments={}, origin="seeded")


def program(name, inputs, outputs, dtype="float32"):
    return Program(
        name=name, source="tests.runners.toy_decoder:module", arguments={}, weights=NO_WEIGHTS, dtype=dtype,
        inputs=inputs, outputs=outputs,
    )  # fmt: skip


def programs():
    """Program `prefill` and program `decode`."""
    state = tuple(TensorSpec(name=name, shape=CACHE, dtype="float32", role="state") for name in ("k", "v"))
    logits = TensorSpec(name="logits", shape=(1, 1, VOCABULARY), dtype="float32")
    tokens = TensorSpec(name="tokens", shape=(1, PROMPT), dtype="int64")
    token = TensorSpec(name="token", shape=(1, 1), dtype="int64")
    position = TensorSpec(name="position", shape=(1,), dtype="int64")
    return {
        "prefill": program("prefill", (tokens,), (logits, *state)),
        "decode": program("decode", (token, position, *state), (logits, *state)),
    }


def counting():
    """A program whose state `s` grows by `x` in each run; `y` is its negative."""
    x, y = (TensorSpec(name=name, shape=(4,), dtype="float32") for name in "xy")
    state = TensorSpec(name="s", shape=(4,), dtype="float32", role="state")
    return program("counting", (x, state), (y, state))


def modules():
    """The two torch modules, sharing weights."""
    import torch
    from torch import nn

    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(VOCABULARY, WIDTH)
            self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

        def attend(self, tokens, position, k, v):
            x = self.table(tokens)
            heads = lambda y: y.view(1, -1, HEADS, WIDTH // HEADS).transpose(1, 2)  # noqa: E731
            k = k.index_copy(2, position, heads(self.key(x)))
            v = v.index_copy(2, position, heads(self.value(x)))
            seen = torch.arange(CAPACITY)[None, :] <= position[:, None]
            y = nn.functional.scaled_dot_product_attention(heads(self.query(x)), k, v, attn_mask=seen)
            y = x + self.out(y.transpose(1, 2).reshape(1, -1, WIDTH))
            return y[:, -1:] @ self.table.weight.T, k, v

    class Decode(nn.Module):
        def __init__(self, decoder):
            super().__init__()
            self.decoder = decoder

        def forward(self, token, position, k, v):
            return self.decoder.attend(token, position, k, v)

    class Prefill(nn.Module):
        def __init__(self, decoder):
            super().__init__()
            self.decoder = decoder

        def forward(self, tokens):
            return self.decoder.attend(tokens, torch.arange(PROMPT), torch.zeros(CACHE), torch.zeros(CACHE))

    torch.manual_seed(3)
    decoder = Decoder().eval().requires_grad_(False)
    return {"prefill": Prefill(decoder).eval(), "decode": Decode(decoder).eval()}


def inputs(name, seed=0):
    """One input set as numpy arrays."""
    random = np.random.default_rng(seed)
    if name == "prefill":
        return {"tokens": random.integers(0, VOCABULARY, (1, PROMPT))}
    return {
        "token": random.integers(0, VOCABULARY, (1, 1)),
        "position": np.array([7]),
        "k": random.standard_normal(CACHE).astype(np.float32),
        "v": random.standard_normal(CACHE).astype(np.float32),
    }


def reference(name, arrays):
    """The outputs of eager in float64, by name."""
    import torch

    module = modules()[name].double()
    given = [torch.from_numpy(array.copy()) for array in arrays.values()]
    given = [tensor.double() if tensor.is_floating_point() else tensor for tensor in given]
    torch.set_default_dtype(torch.float64)
    try:
        outputs = module(*given)
    finally:
        torch.set_default_dtype(torch.float32)
    return {spec.name: out.numpy() for spec, out in zip(programs()[name].outputs, outputs, strict=True)}


def example(name):
    import torch

    return tuple(torch.from_numpy(array) for array in inputs(name).values())


def lowered(name, artifact_format, directory: Path, entry, failures=None):
    """A LoweredProgram around a file that a test wrote."""
    chosen = programs()[name]
    return wrap(chosen, artifact_format, directory, entry, failures)


def wrap(chosen, artifact_format, directory, entry, failures=None):
    artifact = Artifact(
        format=artifact_format,
        directory=str(directory),
        entry=entry,
        sha256="0" * 64,
        inputs=tuple(spec.name for spec in chosen.inputs),
        outputs=tuple(spec.name for spec in chosen.outputs),
        weight_bytes=0,
    )
    return LoweredProgram(
        program=chosen, weights_file="", artifacts={artifact_format: artifact}, failures=failures or {}
    )


def lowered_to_onnx(directory):
    """Both programs as ONNX files."""
    import torch

    found = {}
    for name, module in modules().items():
        outputs = [f"out_{spec.name}" for spec in programs()[name].outputs]
        exported = torch.onnx.export(
            module, example(name), input_names=list(inputs(name)), output_names=outputs, dynamo=True,
            opset_version=23, verbose=False,
        )  # fmt: skip
        exported.save(directory / f"{name}.onnx")
        found[name] = lowered(name, "onnx", directory, f"{name}.onnx")
    return found


def lowered_to_openvino(directory):
    """Both programs as OpenVINO's files."""
    import openvino
    import torch

    found = {}
    for name, module in modules().items():
        model = openvino.convert_model(torch.export.export(module, example(name)))
        openvino.save_model(model, directory / f"{name}.xml", compress_to_fp16=False)
        found[name] = lowered(name, "openvino", directory, f"{name}.xml")
    return found


def context(backend, directory, **budget):
    """A launch on the CPU."""
    cache, scratch = Path(directory) / "compile_cache", Path(directory) / "scratch"
    cache.mkdir(exist_ok=True)
    scratch.mkdir(exist_ok=True)
    return LaunchContext(
        backend=parse_backend(backend),
        device=Device(kind="cpu", index=0, name="cpu", memory_bytes=None),
        budget=Budget(**{"threads": 2, "cpus": (0, 1), **budget}),
        compile_cache=cache,
        scratch=scratch,
    )


def agree(outputs, expected, tolerance=1e-5):
    assert set(outputs) == set(expected)
    for name, array in outputs.items():
        error = np.linalg.norm(array - expected[name]) / np.linalg.norm(expected[name])
        assert error < tolerance, f"{name}: relative L2 error {error:.2e}"
