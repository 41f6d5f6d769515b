"""The runners on PyTorch, held to the contract, and what only they promise."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from steelyard import plugins
from steelyard.contract.runner import RunnerContract
from steelyard.core.backend import Budget, Device, parse_backend
from steelyard.core.errors import UsageError
from steelyard.core.runner import LaunchContext

pytestmark = pytest.mark.backends


class TestEager(RunnerContract):
    backend = "eager"
    imports = frozenset({"torch"})


class TestInductor(RunnerContract):
    backend = "inductor"
    imports = frozenset({"torch"})


class TestRegisteredBackend(RunnerContract):
    backend = "torch_compile:aot_eager"
    imports = frozenset({"torch"})


@pytest.mark.full
class TestInductorAheadOfTime(RunnerContract):
    backend = "inductor[aot]"
    imports = frozenset({"torch"})


def launch(source: str, *, backend: str, tmp_path: Path, variables: dict[str, str] | None = None, **budget: Any) -> Any:
    """Run Python in a fresh process, in a launch of this backend, after `start()`; what it prints last, as data.

    The source finds `runner`, `context` and the tiny programs as `lowered`.
    """
    budget = {"threads": 1, "cpus": (), **budget}
    prelude = f"""
import json, sys
from pathlib import Path
from steelyard import plugins
from steelyard.contract import program as tiny
from steelyard.core.backend import Budget, Device, parse_backend
from steelyard.core.lowered import LoweredProgram
from steelyard.core.runner import LaunchContext
home = Path({str(tmp_path)!r})
spec = parse_backend({backend!r})
context = LaunchContext(backend=spec, device=Device(kind="cpu", index=0, name="cpu", memory_bytes=None),
                        budget=Budget(**{budget!r}), compile_cache=home, scratch=home)
tiny.write_weights({{}}, home)
lowered = {{name: LoweredProgram(program=program, weights_file=str(home / "weights.safetensors"), artifacts={{}})
           for name, program in tiny.point().programs.items()}}
runner = plugins.runner(spec.runner)(context)
runner.start()
"""
    context = LaunchContext(
        backend=parse_backend(backend),
        device=Device(kind="cpu", index=0, name="cpu", memory_bytes=None),
        budget=Budget(**budget),
        compile_cache=tmp_path,
        scratch=tmp_path,
    )
    pinned = plugins.runner(context.backend.runner).environment(context)
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", prelude + textwrap.dedent(source)],
        env={**os.environ, "PYTHONPATH": path, **pinned, **(variables or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_are_pinned_and_read_back(threads, tmp_path):
    seen = launch(
        """
        import torch
        program = runner.load(lowered["decode"])
        program.compile()
        proof = program.proof()
        print(json.dumps([proof.threads, torch.get_num_threads(), torch.get_num_interop_threads(), proof.mismatches]))
        """,
        backend="eager",
        tmp_path=tmp_path,
        threads=threads,
    )
    assert seen == [threads, threads, 1, []]


def test_a_change_of_threads_or_precision_behind_our_back_is_told(tmp_path):
    seen = launch(
        """
        import torch
        program = runner.load(lowered["decode"])
        program.compile()
        torch.set_num_threads(2)
        torch.set_float32_matmul_precision("medium")
        proof = program.proof()
        print(json.dumps([proof.threads, proof.mismatches]))
        """,
        backend="eager",
        tmp_path=tmp_path,
    )
    assert seen == [2, ["float32 matrix products in 'medium' precision instead of 'highest'"]]


def test_programs_of_a_launch_share_their_weights(tmp_path):
    assert launch(
        """
        one, two = (runner.module(lowered[name]) for name in ("prefill", "decode"))
        tied = one.head.weight is one.embed.weight
        print(json.dumps([one.embed.weight is two.embed.weight, tied]))
        """,
        backend="eager",
        tmp_path=tmp_path,
    ) == [True, True]


def test_a_program_of_two_graphs_is_unsupported_with_the_reason(tmp_path):
    (tmp_path / "breaking.py").write_text(
        """
from steelyard.contract import program as tiny
import torch

def build(**arguments):
    module = tiny.build(**arguments)
    plain = module.forward
    def forward(*inputs):
        torch._dynamo.graph_break()
        return plain(*inputs)
    module.forward = forward
    return module
"""
    )
    kind, message = launch(
        """
        import dataclasses
        program = dataclasses.replace(lowered["decode"].program, source="breaking:build")
        executable = runner.load(dataclasses.replace(lowered["decode"], program=program))
        try:
            executable.compile()
        except Exception as error:
            print(json.dumps([type(error).__name__, str(error)]))
        """,
        backend="torch_compile:eager",
        tmp_path=tmp_path,
    )
    assert kind == "Unsupported"
    assert "program 'decode'" in message
    assert "fullgraph=True" in message


def test_a_recompilation_moves_the_counters_and_the_proof(tmp_path):
    before, after, proved = launch(
        """
        import numpy as np, torch
        program = runner.load(lowered["decode"])
        program.compile()
        binding = program.bind({s.name: np.zeros(s.shape, s.dtype) for s in lowered["decode"].program.inputs})
        before = runner.counters()["compilations"]
        torch.set_grad_enabled(True), torch.set_default_dtype(torch.float64)  # a guard of every graph
        binding.run()
        print(json.dumps([before, runner.counters()["compilations"], program.proof().recompiles]))
        """,
        backend="torch_compile:eager",
        tmp_path=tmp_path,
    )
    assert after > before
    assert proved == after - before


def test_a_users_own_function_compiles_the_graph(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").write_text("")
    (tmp_path / "mine" / "compiler.py").write_text(
        "seen = []\ndef translate(graph, inputs):\n    seen.append(graph)\n    return graph.forward\n"
    )
    assert launch(
        """
        program = runner.load(lowered["decode"])
        program.compile()
        import mine.compiler
        print(json.dumps([context.backend.provider, len(mine.compiler.seen)]))
        """,
        backend="torch_compile:mine.compiler:translate",
        tmp_path=tmp_path,
    ) == ["mine.compiler:translate", 1]


@pytest.mark.parametrize(
    ("backend", "said"),
    [
        ("torch_compile:inductr", "did you mean 'inductor'"),
        ("torch_compile", "unknown torch.compile backend ''"),
        ("torch_compile:no.such.module:fn", "cannot import module 'no.such.module'"),
        ("torch_compile:os.path:no_such", "has no attribute 'no_such'"),
        ("torch_compile:os.path:sep", "not a function"),
    ],
)
def test_what_does_not_resolve_is_unavailable_and_says_why(backend, said):
    spec = parse_backend(backend)
    found = plugins.runner(spec.runner).availability(spec, "cpu")
    assert not found.available
    assert said in found.reason


@pytest.mark.parametrize("text", ["torch_compile:mypkg.mymod:fn", "torch_compile:aot_eager", "inductor[aot]"])
def test_the_spelling_of_a_backend_survives(text):
    spec = parse_backend(text)
    assert spec.runner == text.split(":")[0].split("[")[0]
    assert spec.text == text


def test_inductor_without_a_compiler_is_unavailable_with_that_reason(tmp_path):
    source = """
from steelyard import plugins
from steelyard.core.backend import parse_backend
found = plugins.runner("inductor").availability(parse_backend("inductor"), "cpu")
print(found.available, found.reason)
"""
    done = subprocess.run(
        [sys.executable, "-c", source],
        env={"PATH": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("False Inductor needs a C++ compiler: no C++ compiler was found ($CXX, g++)")


def test_unknown_options_name_the_valid_ones(tmp_path):
    spec = parse_backend("inductor[aott]")
    context = LaunchContext(
        backend=spec,
        device=Device(kind="cpu", index=0, name="cpu", memory_bytes=None),
        budget=Budget(threads=1, cpus=()),
        compile_cache=tmp_path,
        scratch=tmp_path,
    )
    with pytest.raises(UsageError, match="did you mean 'aot'"):
        plugins.runner("inductor")(context)


def test_a_package_with_frozen_weights_is_refused():
    with pytest.raises(UsageError, match="handed its weights"):
        plugins.runner("inductor").needs(parse_backend("inductor[aot,freezing]"))


@pytest.mark.full
@pytest.mark.parametrize(
    ("backend", "tuning"),
    [("inductor", "max"), ("inductor[freezing]", "default")],
)
def test_freezing_really_freezes_the_weights(tmp_path, backend, tuning):
    """As an option of torch.compile alone, freezing is ignored; packed weights show that it happened."""
    weights, counts = launch(
        """
        program = runner.load(lowered["prefill"])
        program.compile()
        runner.stop()
        print(json.dumps([program.execution_mode["weights"], program.proof().details["inductor"]]))
        """,
        backend=backend,
        tmp_path=tmp_path,
        tuning=tuning,
    )
    assert weights == "frozen"
    assert counts["mkldnn_linear_weight_pack_matcher_count"] > 0
