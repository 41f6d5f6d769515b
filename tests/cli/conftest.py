"""One run of the main job at `tiny`, for all tests that look at it or use what it lowered.

CI takes one family; STEELYARD_FAMILIES=all (`make families`) takes every one.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard.guard.meters import ROOT_VARIABLE
from steelyard.hardware.choice import choose_cpus
from tests.fakes.ceilings import keep_synthetic

BACKENDS = ("eager", "inductor", "xla", "onnxruntime", "openvino")
FAMILIES = os.environ.get("STEELYARD_FAMILIES", "smollm2")
PLUGINS = ("aten", "torch_compile:steelyard_example_plugin.passes:drop_idle_views")
if FAMILIES != "all":
    PLUGINS = PLUGINS[1:]


@pytest.fixture(scope="session")
def llm_runs(installed: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of every backend and plug-in on every workload: a cold round and one more, with its report."""
    base = tmp_path_factory.mktemp("llm")
    command = [sys.executable, "-m", "steelyard", "run", "--suite", "llm", "--size", "tiny"]
    command += ["--set", f"model={FAMILIES}", "--backend", ",".join([*BACKENDS, *PLUGINS])]
    command += ["--rounds", "1", "--window", "0.2", "--output", str(base / "runs")]
    # No meter and known ceilings, whatever machine this is.
    keep_synthetic(base / "cache", "cpu", len(choose_cpus(None, None)))
    env = {**installed, "STEELYARD_CACHE": str(base / "cache"), ROOT_VARIABLE: str(base / "nowhere")}
    done = subprocess.run(command, cwd=base, env=env, capture_output=True, text=True, timeout=3000)
    assert done.returncode == 0, done.stderr
    return base / "runs"
