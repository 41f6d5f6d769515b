"""Stored tensors in a process that has imported nothing else."""

import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file


def test_bfloat16_is_read_before_any_runtime_is_imported(tmp_path: Path) -> None:
    """Of a runtime that does not bring the type along a launch with a bfloat16 state could not begin."""
    save_file({"x": torch.tensor([1.5, -2.0], dtype=torch.bfloat16)}, tmp_path / "x.safetensors")
    code = (
        "import sys; from steelyard.engine.inputs import tensors; x = tensors(sys.argv[1])['x']; "
        "print(x.dtype, x.astype('float32').tolist())"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "x.safetensors")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "bfloat16 [1.5, -2.0]", done.stderr
