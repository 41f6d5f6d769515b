"""docs/execution-modes.md says what the benchmark times and what the runners pin; and the loops by hand are right."""

import importlib.metadata
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard import plugins, wire
from steelyard.contract.launch import ContractRequest
from steelyard.contract.runner import lowered_programs
from steelyard.core.backend import Budget, Device, parse_backend
from steelyard.core.comparison import Interval
from steelyard.core.runner import LaunchContext
from steelyard.environments.made import package_of
from tests.benchmarks.bench_execution_modes import verdict
from tests.validation.loops import LOOPS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/execution-modes.md").read_text()
CPU = Device(kind="cpu", index=0, name="cpu", memory_bytes=None)
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
CODE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BULLET = re.compile(r"^- (.+?)(?=^- |^$|\Z)", re.MULTILINE | re.DOTALL)
PINNED = re.compile(r"^\| `([^`]+)` \| `([^`]+)` \|", re.MULTILINE)
OF_THE_BUDGET = {"INFERENCE_NUM_THREADS"}


def context(backend):
    return LaunchContext(
        backend=parse_backend(backend),
        device=CPU,
        budget=Budget(threads=2, cpus=(0, 1)),
        compile_cache=Path("cache"),
        scratch=Path("scratch"),
    )


def fragments(text):
    """The lines, or parts of lines, that each bullet explains: what is quoted before its colon."""
    heads = [bullet.partition("`:")[0] + "`" for bullet in BULLET.findall(text) if "`:" in bullet]
    return [re.findall(r"`([^`]+)`", head) for head in heads]


def explained(section):
    return section.partition("Line by line:\n")[2]


def flat(table):
    """The entries of a tuning table, those of nested tables by their own names."""
    for name, value in table.items():
        if isinstance(value, dict) and value:
            yield from flat(value)
        else:
            yield name, value


@pytest.mark.parametrize("backend", LOOPS)
def test_the_page_shows_the_loop_that_is_timed(backend):
    assert CODE.findall(SECTIONS[backend]) == [inspect.getsource(LOOPS[backend])]


@pytest.mark.parametrize("backend", LOOPS)
def test_every_line_of_the_loop_is_explained(backend):
    texts = (explained(SECTIONS[backend]), SECTIONS["What all have in common"])
    known = [fragment for text in texts for found in fragments(text) for fragment in found]
    head, *lines = inspect.getsource(LOOPS[backend]).splitlines()
    assert head == f"def {backend}_loop(work: Work) -> Loop:"
    unexplained = [line for line in lines if line.strip() and not any(part in line for part in known)]
    assert not unexplained


@pytest.mark.parametrize("backend", LOOPS)
def test_every_explanation_is_of_a_line_of_the_loop(backend):
    source, text = inspect.getsource(LOOPS[backend]), explained(SECTIONS[backend])
    assert len(fragments(text)) == len(BULLET.findall(text)), "each bullet is code, a colon, and the explanation"
    assert [fragment for found in fragments(text) for fragment in found if fragment not in source] == []


@pytest.mark.parametrize("backend", LOOPS)
def test_the_page_has_the_options_that_the_runner_pins(backend):
    kind = plugins.runner(backend)
    runner = kind(context(backend))
    pinned = dict(flat(kind.tunings["default"]))
    if backend == "onnxruntime":
        pinned |= runner.config()
    if backend == "openvino":
        pinned |= runner.config("float32")
    wanted = {name: str(value) for name, value in pinned.items() if name not in OF_THE_BUDGET}
    assert dict(PINNED.findall(SECTIONS[backend])) == wanted
    variables = kind.environment(context(backend))
    assert [name for name in (*variables, *OF_THE_BUDGET & set(pinned)) if f"`{name}`" not in SECTIONS[backend]] == []


def test_the_loops_use_no_code_of_the_runners():
    source = (ROOT / "tests/validation/loops.py").read_text()
    found = set(re.findall(r"^ *(?:from|import) (steelyard\S*)", source, re.MULTILINE))
    assert found == {"steelyard.core.lowered", "steelyard.lowering.source"}


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-0.02, 0.02, "equivalent"),
        (-0.02, 0.04, "inconclusive"),
        (-0.04, 0.02, "inconclusive"),
        (0.01, 0.05, "inconclusive"),
        (0.04, 0.05, "not equivalent"),
        (-0.05, -0.04, "not equivalent"),
    ],
)
def test_the_verdict_of_the_benchmark(low, high, expected):
    assert verdict(Interval(low=low, high=high, confidence=0.95)) == expected


def test_no_interval_is_inconclusive():
    assert verdict(None) == "inconclusive"


@pytest.mark.backends
@pytest.mark.parametrize("backend", LOOPS)
def test_the_loops_compute_the_program(backend, tmp_path_factory, tmp_path):
    spec = parse_backend(backend)
    kind = plugins.runner(backend)
    for package in map(package_of, kind.requirements):
        if not list(importlib.metadata.distributions(name=package)):
            pytest.skip(f"{package} is not installed")
    asked = ContractRequest(
        backend=spec,
        device=CPU,
        budget=Budget(threads=2, cpus=(0, 1)),
        directory=str(tmp_path),
        programs=lowered_programs(kind.needs(spec), tmp_path_factory.getbasetemp()),
    )
    (tmp_path / "request.json").write_bytes(wire.encode(asked))
    command = [sys.executable, "-m", "tests.house.by_hand", backend, str(tmp_path / "request.json")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
