"""A product, a layer norm and a GELU, lowered by hand: a program of which is known what a runtime has to execute."""

import dataclasses
from pathlib import Path

import numpy as np

from steelyard.core.lowered import LoweredProgram
from steelyard.core.workload import Program, TensorSpec
from tests.runners import toy_decoder

ROWS, INNER, WIDTH = 24, 32, 48


def program():
    """No weights: the factor is an input."""
    inputs = (
        TensorSpec(name="x", shape=(ROWS, INNER), dtype="float32"),
        TensorSpec(name="factor", shape=(INNER, WIDTH), dtype="float32"),
    )
    outputs = (TensorSpec(name="y", shape=(ROWS, WIDTH), dtype="float32"),)
    return Program(
        name="block", source=f"{__name__}:build", arguments={}, weights=toy_decoder.NO_WEIGHTS, dtype="float32",
        inputs=inputs, outputs=outputs,
    )  # fmt: skip


def inputs(seed=0):
    random = np.random.default_rng(seed)
    return {spec.name: random.standard_normal(spec.shape).astype(np.float32) for spec in program().inputs}


def build(in_place):
    """The torch module."""
    import torch

    class Block(torch.nn.Module):
        def forward(self, x, factor):
            return torch.nn.functional.gelu(torch.nn.functional.layer_norm(x @ factor, (WIDTH,)))

    return Block()


def reference(inputs):
    """What eager computes in float64."""
    import torch

    given = [torch.from_numpy(array).double() for array in inputs.values()]
    return build(in_place=True)(*given).numpy()


def original(directory: Path) -> LoweredProgram:
    """For PyTorch: the module itself, and the file without weights that goes with it."""
    return LoweredProgram(program=program(), weights_file=_no_weights(directory), artifacts={})


def exported(directory: Path) -> LoweredProgram:
    """For XLA: what `jax.export` makes of the same computation."""
    import jax
    import jax.export

    def call(weights, x, factor):
        y = x @ factor
        y = (y - y.mean(-1, keepdims=True)) / jax.numpy.sqrt(y.var(-1, keepdims=True) + 1e-5)
        return (jax.nn.gelu(y, approximate=False),)

    shapes = [jax.ShapeDtypeStruct(spec.shape, spec.dtype) for spec in program().inputs]
    made = jax.export.export(jax.jit(call, keep_unused=True))((), *shapes)
    (directory / "block.jaxexport").write_bytes(made.serialize())
    lowered = toy_decoder.wrap(program(), "stablehlo", directory, "block.jaxexport")
    artifact = dataclasses.replace(lowered.artifacts["stablehlo"], details={"weights": []})
    return dataclasses.replace(lowered, weights_file=_no_weights(directory), artifacts={"stablehlo": artifact})


def _no_weights(directory):
    from safetensors.numpy import save_file

    save_file({}, directory / "none.safetensors")
    return str(directory / "none.safetensors")
