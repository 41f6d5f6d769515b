"""Whole files of every kind that a user may name, each small."""

from pathlib import Path
from typing import Any


def write_samples(folder: Path) -> dict[str, Path]:
    """A file for every source that reads files, by the name of the source."""
    import torch

    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)).eval()
    x = torch.zeros(1, 3)
    made = {
        "onnx": folder / "net.onnx",
        "exported": folder / "net.pt2",
        "stablehlo": folder / "net.mlir",
        "openvino": folder / "net.xml",
    }
    torch.onnx.export(module, (x,), made["onnx"], dynamo=True, external_data=False, verbose=False)
    torch.export.save(torch.export.export(module, (x,)), made["exported"])
    made["stablehlo"].write_text(_stablehlo())
    import openvino

    openvino.save_model(openvino.convert_model(made["onnx"]), made["openvino"], compress_to_fp16=False)
    return made


def _stablehlo() -> str:
    import jax
    import jax.numpy as jnp

    def call(x: Any) -> Any:
        return (jnp.tanh(x @ jnp.ones((3, 2), jnp.float32)),)

    return str(jax.jit(call).lower(jax.ShapeDtypeStruct((1, 3), jnp.float32)).as_text())
