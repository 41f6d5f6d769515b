"""`bench profile breaks` on modules whose breaks and recompilations are known."""

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from steelyard.adapters import torch_breaks
from steelyard.adapters.torch_breaks import parsed
from steelyard.cli.main import app
from steelyard.core.errors import SteelyardError, UsageError

pytestmark = pytest.mark.backends

MODULES = """
import os

import torch


class Printing(torch.nn.Module):
    def forward(self, x):
        y = x.sin()
        print("seen")  # BREAK print
        return y.cos()


class Branching(torch.nn.Module):
    def forward(self, x):
        if x.sum() > 0:  # BREAK branch
            return x + 1
        return x - 1


class Looping(torch.nn.Module):
    def forward(self, x):
        for _ in range(2):
            x = self.read(x) + 1
        return x

    def read(self, x):
        return x * float(os.environ.get("PWD", "") != open(os.devnull).read())  # BREAK open


class Scaled(torch.nn.Module):
    def forward(self, x, n):
        return x * n


def printing():
    return Printing(), (torch.ones(4),)


def branching():
    return Branching(), [(torch.ones(4),), (-torch.ones(4),)]


def looping():
    return Looping(), (torch.ones(4),)


def whole():
    return torch.nn.Linear(4, 4), {"input": torch.ones(2, 4)}


def scaled():
    return Scaled(), [{"x": torch.ones(4), "n": n} for n in (1, 2, 3)]


class Writing(torch.nn.Module):
    def forward(self, state):
        state["seen"][0].add_(1)
        if state["seen"][0] > 1:
            raise ValueError("an earlier call wrote into this")
        return state["seen"][0]


def writing():
    return Writing(), ({"seen": [torch.zeros(())]},)


def without_values():
    return torch.nn.Linear(4, 4, device="meta"), (torch.ones(2, 4, device="meta"),)


def leaves():
    os._exit(0)


def raises():
    raise ValueError("not today")


def module_alone():
    return torch.nn.Linear(4, 4)


def unfit():
    return torch.nn.Linear(4, 4), (torch.ones(3),)
"""


def line_of(mark: str) -> int:
    return next(number for number, line in enumerate(MODULES.splitlines(), start=1) if line.endswith(f"# BREAK {mark}"))


@pytest.fixture(autouse=True)
def _modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.py").write_text(MODULES)
    monkeypatch.chdir(tmp_path)


def breaks(name: str, *more: str):
    arguments = ["profile", "breaks", "--model", f"broken:{name}", "--backend", "eager", "--window", "0.01", *more]
    return CliRunner().invoke(app, arguments)


def told(name: str, *more: str):
    done = breaks(name, "--json", *more)
    assert done.exit_code == 0, done.output + str(done.exception)
    return json.loads(done.stdout)["breaks"]


def test_a_break_is_told_with_its_place_and_reason_and_what_it_costs() -> None:
    found = told("printing")
    (only,) = found["breaks"]
    assert (only["where"], only["function"]) == (f"broken.py:{line_of('print')}", "forward")
    assert only["reason"] == "Failed to trace builtin operator"
    assert "`print`" in only["explanation"]
    assert only["hint"].startswith("Avoid calling builtin `print`")
    assert not only["skipped"]
    assert [each["operators"] for each in found["compilations"]] == [1, 1], "a graph before the print, one behind it"
    assert all(each["seconds"] > 0 for each in found["compilations"])
    assert found["cost"]["eager_s"] > 0
    assert found["cost"]["compiled_s"] > 0


def test_a_call_is_timed_without_the_copying_of_its_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    now, clone = [0.0], torch.Tensor.clone

    def slow_clone(tensor: torch.Tensor) -> torch.Tensor:
        now[0] += 1.0
        return clone(tensor)

    def module(x: torch.Tensor) -> None:
        now[0] += 0.25

    monkeypatch.setattr(torch.Tensor, "clone", slow_clone)
    monkeypatch.setattr(torch_breaks.time, "perf_counter", lambda: now[0])
    cost = torch_breaks._cost(module, module, (torch.ones(1),), seconds=5.0)
    monkeypatch.undo()
    assert (cost.eager_s, cost.compiled_s) == (0.25, 0.25)


def test_what_a_call_writes_into_nested_inputs_is_not_seen_by_the_next() -> None:
    found = told("writing")
    assert [each["failed"] for each in found["calls"]] == [""]
    assert found["cost"] is not None


def test_calls_that_do_not_run_on_the_cpu_are_not_timed_and_it_says_why() -> None:
    found = told("without_values")
    assert found["cost"] is None
    assert found["untimed"] == "tensors lie on meta, and calls are timed on the CPU alone"


def test_a_branch_on_data_breaks_and_each_side_is_a_graph_of_its_own() -> None:
    found = told("branching")
    (only,) = found["breaks"]
    assert only["where"] == f"broken.py:{line_of('branch')}"
    assert only["reason"] == "Data-dependent branching"
    assert [each["call"] for each in found["compilations"]] == [0, 0, 1]
    assert not [each for each in found["compilations"] if each["guard"]], "the second side is no recompilation"


def test_a_function_that_cannot_be_gone_on_in_is_told_to_run_as_it_is_written() -> None:
    found = told("looping")
    skipped = [each for each in found["breaks"] if each["skipped"]]
    assert [each["where"] for each in skipped] == [f"broken.py:{line_of('open')}"]
    assert [each["function"] for each in found["compilations"] if each["failed"]] == ["forward"]


def test_a_new_shape_and_a_new_number_fail_a_guard_that_is_named() -> None:
    found = told("printing", "--shape", "x=8", "--shape", "x=9")
    assert [each["inputs"] for each in found["calls"]] == ["float32[4]", "float32[8]", "float32[9]"]
    again = [each for each in found["compilations"] if each["guard"]]
    assert [(each["call"], each["guard"]) for each in again] == [
        (1, "tensor 'x' size mismatch at index 0. expected 4, actual 8"),
        (1, "tensor 'y' size mismatch at index 0. expected 4, actual 8"),
    ], "the third shape is served by what was compiled for any"
    number = told("scaled")
    (only,) = [each for each in number["compilations"] if each["guard"]]
    assert (only["call"], only["guard"], only["code"]) == (1, "n == 1", "return x * n")


def test_a_module_without_a_break_has_none_and_the_tables_say_so() -> None:
    done = breaks("whole")
    assert done.exit_code == 0, done.output
    assert "0 graph breaks and 0 recompilations in 1 call; 1 graph," in done.stdout
    assert "Graph breaks: none: each call ran as one graph" in done.stdout


def test_the_report_has_the_same_in_every_format(tmp_path: Path) -> None:
    done = breaks("branching", "--report", str(tmp_path / "out"))
    assert done.exit_code == 0, done.output + str(done.exception)
    with (tmp_path / "out" / "csv" / "graph-breaks.csv").open() as file:
        (row,) = csv.DictReader(line for line in file if not line.startswith("#"))
    assert f"broken.py:{line_of('branch')}" in row.values()
    for name in ("report.md", "report.html", "latex/tables/graph-breaks.tex", "typst/tables/graph-breaks.typ"):
        text = (tmp_path / "out" / name).read_text().replace("\\allowbreak{}", "")
        assert f"broken.py:{line_of('branch')}" in text, name


@pytest.mark.parametrize(
    ("name", "kind", "reason"),
    [
        ("raises", UsageError, "broken:raises() failed: ValueError: not today"),
        ("module_alone", UsageError, "returned a Linear: it returns (module, inputs)"),
        ("unfit", UsageError, "its module fails as it is written, with float32[3]"),
        ("leaves", SteelyardError, "ended with exit code 0 before it was done"),
    ],
)
def test_a_factory_that_does_not_work_is_refused(name: str, kind: type, reason: str) -> None:
    done = breaks(name)
    assert isinstance(done.exception, kind)
    assert reason in str(done.exception)


def test_what_is_no_input_and_what_is_no_backend_are_told() -> None:
    assert "--shape z: there is no such tensor among the inputs: x" in str(
        breaks("printing", "--shape", "z=2").exception
    )
    done = CliRunner().invoke(app, ["profile", "breaks", "--model", "broken:whole", "--backend", "inductr"])
    assert isinstance(done.exception, UsageError)
    assert "inductr" in str(done.exception)


def test_a_break_in_a_package_names_the_users_line_that_led_there() -> None:
    package = f"{Path(pytest.__file__)}"
    mine = "/home/somebody/net.py"
    text = (
        f"Graph break in user code at {package}:7\nGraph Break Reason: Encountered graph break when attempting to "
        "trace CALL:\n\nUnsupported thing\n  Explanation: It is.\n  Hint: Please report an issue to PyTorch.\n  Hint: "
        f'Do other things.\n\nUser code traceback:\n  File "{mine}", line 3, in forward\n    f(x)\n  File "{package}", '
        "line 7, in inner\n    g(x)\n"
    )
    found = parsed(text, call=2)
    assert found is not None
    assert (found.reason, found.explanation, found.hint) == ("Unsupported thing", "It is.", "Do other things.")
    assert (found.function, found.caller, found.call) == ("inner", "somebody/net.py:3", 2)
    assert "site-packages" not in found.where
    assert parsed("Graph break: torch.compile cannot properly resume", call=0) is None
