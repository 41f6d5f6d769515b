"""A package of somebody else, really installed: its runner by name, by path, and its torch.compile backend."""

import json
import os
import subprocess
import sys

import pytest

# Runs in a process that sees the installed package: one backend on the contract's program, errors as JSON.
PROGRAM = """
import json, sys
from pathlib import Path
import numpy as np
from steelyard import contract_program as work
from steelyard.core.backend import Budget, Device, parse_backend
from steelyard.core.lowered import LoweredProgram
from steelyard.core.runner import LaunchContext
from steelyard.plugins import runner

folder = Path(sys.argv[2])
backend = parse_backend(sys.argv[1])
kind = runner(backend.runner)
found = kind.availability(backend, "cpu")
assert found.available, found.reason
work.write_weights({}, folder)
context = LaunchContext(
    backend=backend, device=Device(kind="cpu", index=0, name="cpu", memory_bytes=None),
    budget=Budget(threads=1, cpus=(0,)), compile_cache=folder / "cache", scratch=folder / "scratch",
)
made = kind(context)
made.start()
executables = {}
for name in ("prefill", "decode"):
    lowered = LoweredProgram(
        program=work.program(name), weights_file=str(folder / "weights.safetensors"), artifacts={}
    )
    executables[name] = made.load(lowered)
    executables[name].compile()
prompt = work.prompt_ids(3)
prefill = executables["prefill"].bind({"input_ids": prompt})
prefill.run()
first, expected = prefill.read(), work.prefill_reference(prompt)
token = expected["next_token"][:, None]
cache = np.zeros_like(first["cache.0.k"])
decode = executables["decode"].bind({"input_ids": token * 0, "position": np.array([0]), "cache.0.k": cache})
decode.adopt(prefill)
prefill.settle()
decode.update({"input_ids": token, "position": np.array([work.PROMPT])})
after = work.decode_reference(token, work.PROMPT, expected["cache.0.k"])
errors = {f"prefill {name}": float(np.abs(first[name] - value).max()) for name, value in expected.items()}
for run in range(3):
    decode.run()
    seen = decode.read()
    decode.settle()
    errors |= {f"decode {name} {run}": float(np.abs(seen[name] - value).max()) for name, value in after.items()}
executable = executables["decode"]
print(json.dumps({
    "errors": errors, "mismatches": executable.proof().mismatches, "details": dict(executable.proof().details),
    "idiom": dict(executable.idiom), "options": dict(executable.options),
}))
"""
BACKENDS = (
    "aten",
    "steelyard_example_plugin.aten:Exported",
    "torch_compile:steelyard_example_plugin.passes:drop_idle_views",
)


@pytest.fixture(scope="session")
def installed(repository, tmp_path_factory):
    """The environment of a process that has the package installed by pip."""
    target = tmp_path_factory.mktemp("site")
    copy = tmp_path_factory.mktemp("source")
    source = repository / "tests/plugin_package"
    for path in source.rglob("*"):
        if path.suffix in (".toml", ".py") and "build" not in path.parts:
            (copy / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            (copy / path.relative_to(source)).write_bytes(path.read_bytes())
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--target", str(target)]
    command = [sys.executable, "-m", "pip", "install", *options, str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {**os.environ, "PYTHONPATH": str(target)}


def python(text, *arguments, environment, cwd):
    command = [sys.executable, "-c", text, *arguments]
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False)


def test_name_comes_from_the_entry_point(installed, tmp_path):
    names = "from steelyard.plugins import runners; print(*runners())"
    assert "aten" in python(names, environment=installed, cwd=tmp_path).stdout.split()
    assert "aten" not in python(names, environment=dict(os.environ), cwd=tmp_path).stdout.split()


def test_registering_imports_no_framework(installed, tmp_path):
    text = "import sys; from steelyard.plugins import runner; runner('aten'); print('torch' in sys.modules)"
    assert python(text, environment=installed, cwd=tmp_path).stdout.strip() == "False"


@pytest.mark.backends
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_kind_of_own_backend_answers_right(backend, installed, tmp_path):
    done = python(PROGRAM, backend, str(tmp_path), environment=installed, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["errors"]
    assert max(said["errors"].values()) < 1e-5, said["errors"]
    assert said["mismatches"] == []
    assert said["idiom"]
    assert said["options"]


@pytest.mark.backends
def test_pass_removes_only_what_is_idle(installed, tmp_path):
    text = """
import torch
from steelyard_example_plugin import passes

seen = []
def spy(graph_module, inputs):
    before = len(graph_module.graph.nodes)
    made = passes.simplify(graph_module, inputs)
    seen.append((before, len(graph_module.graph.nodes)))
    return made

def work(x):
    idle = x.view(x.shape) * 2
    return idle.expand(4, 6).view(6, 4).t() + 1, x.view(x.shape)

from torch._dynamo.backends.common import aot_autograd
x = torch.arange(24.0).reshape(4, 6)
with torch.no_grad():
    got = torch.compile(work, backend=aot_autograd(fw_compiler=spy), fullgraph=True)(x)
for one, other in zip(got, work(x)):
    torch.testing.assert_close(one, other, rtol=0, atol=0)
(before, after), = seen
print(before - after)
"""
    done = python(text, environment=installed, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) == 2
