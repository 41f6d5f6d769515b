"""Decoders lowered once, in the lowering process, for the tests of several modules."""

import subprocess
import sys
from pathlib import Path

import pytest
from steelyard.suites.llm import SUITE

from steelyard import wire
from steelyard.core.workload import Selection
from steelyard.lowering.request import LoweringRequest

DECODERS = {"llama": 4, "qwen3": 1, "gpt2": 4}
"""Batch of each model: grouped key heads; norms of queries and keys; one projection of all three and no rotary."""


@pytest.fixture(scope="session")
def decoders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The response of lowering `generate` of these decoders, in their order, as `onnx` and as `onnx@23`."""
    directory = tmp_path_factory.mktemp("decoders")
    points = tuple(
        point
        for model, batch in DECODERS.items()
        for point in SUITE.points(
            Selection(
                device_kind="cpu",
                size="tiny",
                workloads=("generate",),
                axes={"model": (model,), "batch": (str(batch),), "tokens": ("4",)},
            )
        )
    )
    asked = LoweringRequest(points=points, formats=("onnx", "onnx@23"), cache=str(directory / "cache"), pool=2)
    (directory / "request.json").write_bytes(wire.encode(asked))
    ends = [str(directory / f"{name}.json") for name in ("request", "response")]
    command = [sys.executable, "-m", "steelyard.lowering", *ends]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return directory / "response.json"
