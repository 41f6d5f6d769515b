"""A function of the user's own that makes a module and its example inputs."""

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from steelyard.core.code import code_of
from steelyard.core.errors import CheckpointError, UsageError
from steelyard.lowering import foreign
from tests.sources.own import FORMATS, UNLIKE, lowered, point, statuses

torch = pytest.importorskip("torch")

CODE = """
    import os, sys, time
    import torch

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = torch.nn.Embedding(17, 16)
            self.line = torch.nn.Linear(16, 16)
            self.out = torch.nn.Linear(16, 17, bias=False)
            self.out.weight = self.embed.weight  # tied
            self.register_buffer("mask", torch.ones(16), persistent=False)

        def forward(self, ids, x):
            hidden = self.embed(ids).to(torch.float32) + x * self.mask
            hidden = torch.relu(self.line(hidden)).float() + torch.zeros(16)
            return self.out(hidden), hidden

    class Named(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.line = torch.nn.Linear(8, 4)

        def forward(self, *, x, scale):
            return {"y": self.line(x) * scale, "nothing": None}

    def net():
        return Net(), (torch.tensor([[3, 1, 16]]), torch.randn(1, 3, 16))

    def named():
        return Named(), {"x": torch.randn(2, 8), "scale": torch.ones(1)}
"""


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes a module `mine` with further functions; this process and its children find it."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path / "cache"))

    def write(more: str = "") -> Path:
        (tmp_path / "mine.py").write_text(textwrap.dedent(CODE) + textwrap.dedent(more))
        return tmp_path

    write()
    return write


def test_inputs_and_outputs_are_read_off_the_examples(code: Any) -> None:
    program = point("mine:net").programs["main"]
    assert [f"{spec.name} {spec.declared}" for spec in program.inputs] == ["ids int64[1, 3]", "x float32[1, 3, 16]"]
    assert [f"{spec.name} {spec.declared}" for spec in program.outputs] == [
        "output0 float32[1, 3, 17]",
        "output1 float32[1, 3, 16]",
    ]
    assert program.arguments["between"] == {"ids": [1, 16]}
    program = point("mine:named").programs["main"]
    assert [spec.name for spec in (*program.inputs, *program.outputs)] == ["x", "scale", "y"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise ValueError('no such checkpoint')", r"mine:made\(\) failed: ValueError: no such checkpoint \(mine.py:"),
        ("sys.exit(4)", r"called sys.exit\(4\): it must return"),
        ("os._exit(5)", r"ended the process \(exit code 5\)"),
        ("os.kill(os.getpid(), 11)", r"ended the process \(signal 11\)"),
        ("return Net()", r"returned a Net: it returns \(module, example_inputs\)"),
        ("return Net(), torch.ones(3)", r"gave a Tensor as example inputs"),
        ("return Net(), ()", r"gave a tuple as example inputs"),
        ("return Net(), (1, 2)", r"example input 0 is no tensor on the CPU but int"),
        ("return Net(), (torch.ones(1, 3),)", r"its module fails with the example inputs: TypeError"),
        ("return torch.nn.LSTM(4, 4), (torch.ones(1, 4),)", r"'output1' of what its module returns is a tuple"),
        ("return torch.nn.Identity(), (torch.ones(2, dtype=torch.complex64),)", r"is of type complex64"),
        (
            "n, x = net(); n.line.bias.data += time.perf_counter_ns() % 1000; return n, x",
            r"two calls gave different weights, though torch was seeded before: 'line.bias' and 0 more",
        ),
    ],
)
def test_what_goes_wrong_is_told(code: Any, body: str, said: str) -> None:
    code(f"def made():\n    {body}\n")
    with pytest.raises((UsageError, CheckpointError), match=said):
        point("mine:made")


@pytest.mark.parametrize(
    "body",
    [
        "print('x', end=''); os.write(1, b'y'); print('z', file=sys.stderr); return net()",
        "os.fork(); return net()",
        "os.fork() or time.sleep(1000); return net()",
    ],
)
def test_one_that_prints_or_forks_is_read_all_the_same(code: Any, body: str) -> None:
    code(f"def made():\n    {body}\n")
    assert foreign.program_of("factory", Path("mine:made"), {}, timeout_s=120).name == "made"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mine:absent", "has no attribute 'absent'"),
        ("nobody.here:made", "cannot import module 'nobody.here'"),
        ("mine", "nothing here reads such a file; give one that ends with .*or is a function package.module:function"),
        ("../mine:net", "nothing here reads such a file"),
    ],
)
def test_names_that_lead_nowhere_say_so(code: Any, name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        point(name)


def test_its_examples_have_their_shapes(code: Any) -> None:
    assert point("mine:net", "x=1x3x16").key == point("mine:net").key
    with pytest.raises(UsageError, match=r"\[2, 3, 16\] does not fit \[1, 3, 16\]"):
        point("mine:net", "x=2x3x16")


def test_edited_code_is_other_work(code: Any) -> None:
    before = point("mine:net")
    assert "mine" in code_of(before.sources)
    assert point("mine:net").key == before.key
    code("def unused():\n    return 1\n")
    assert point("mine:net").key != before.key


@pytest.mark.backends
def test_it_is_had_in_every_form_with_a_reference_in_float64(code: Any) -> None:
    folder = code()
    found = lowered("mine:net", point("mine:net"), folder)
    assert set(found.programs["main"].artifacts) == set(FORMATS)
    assert found.reference_by == ""
    assert "mine" in found.code
    assert all(0 < each.floor < 1e-5 for each in found.tolerances.values())
    found = lowered("mine:named", point("mine:named"), folder)
    assert set(found.programs["main"].artifacts) == set(FORMATS)


@pytest.mark.backends
def test_where_float64_cannot_be_had_the_row_says_so(code: Any) -> None:
    folder = code("""
        class Narrow(torch.nn.Module):
            def forward(self, x):
                return torch.from_numpy(x.numpy().astype("float32")) + 1

        def narrow():
            return Narrow(), (torch.ones(4),)
    """)
    found = lowered("mine:narrow", point("mine:narrow"), folder, formats=())
    assert found.reference_by.startswith("PyTorch eager in float32, as no float64 was to be had: output 'output'")
    assert {each.limit for each in found.tolerances.values()} == {1e-4}


@pytest.mark.backends
def test_nothing_is_compared_with_nan(code: Any) -> None:
    folder = code("""
        class Root(torch.nn.Module):
            def forward(self, x):
                return torch.sqrt(x)

        def root():
            return Root(), (torch.ones(4),)
    """)
    with pytest.raises(AssertionError, match="the reference of output 'output' holds NaN for input set 0"):
        lowered("mine:root", point("mine:root"), folder, formats=())


@pytest.mark.full
@pytest.mark.backends
def test_it_runs_in_every_form_and_is_not_gone_on_with_once_edited(code: Any) -> None:
    folder = code()
    assert statuses("mine:net", cwd=folder, backends=",".join(UNLIKE)) == dict.fromkeys(UNLIKE, "ok")
    code("def unused():\n    return 1\n")
    command = [sys.executable, "-m", "steelyard", "run", "--resume", "latest", "--model", "mine:net", "--rounds", "1"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "cannot be gone on with here" in done.stderr
