"""`bench profile` through real launches of a backend whose profiler tells what is known, and what it refuses."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import steelyard as sy
from steelyard.cli.main import app
from steelyard.core.errors import StoreError
from steelyard.core.folders import TRACES
from steelyard.core.run import Run
from steelyard.selftest.backends import PATH as UNTRACED
from steelyard.store import list_runs, open_run
from steelyard.tracing.classes import class_of
from steelyard.tracing.fusion import Laid, laid
from steelyard.tracing.traced import recordings, traced_cases
from tests.fakes.traced import PATH

SUITE = ("--suite", "steelyard.selftest.suite:SUITE", "--device", "cpu", "--threads", "1", "--window", "0.05")


def bench(*arguments: str):
    return CliRunner().invoke(app, [*arguments])


def profiled(output: Path, backend: str, *more: str):
    return bench("profile", *SUITE, "--backend", backend, "--output", str(output), *more)


def stored(output: Path) -> tuple[Path, Run]:
    (entry,) = list_runs(output)
    return entry.path, open_run(entry.path)


def rows_of(path: Path, table: str) -> list[dict[str, str]]:
    with (path / "report" / "csv" / f"{table}.csv").open() as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def test_a_profile_divides_a_call_as_the_profiler_tells(tmp_path: Path) -> None:
    done = profiled(tmp_path, f"{PATH}[sleep=0.002],{UNTRACED}[sleep=0.002]", "--launches", "2")
    assert done.exit_code == 0, done.output
    assert "machine noise" not in done.output, "nothing is timed"
    path, run = stored(tmp_path)
    assert not any(result.measurements for result in run.results)
    assert not any(arm.control for arm in run.manifest.arms)
    traced, untraced = sorted(traced_cases(run), key=lambda each: not each.facts)
    assert len(traced.facts) == 2
    shares = {name: seconds / traced.call_s for name, seconds in traced.by_class.items()}
    assert shares == pytest.approx({"matmul": 0.4, "elementwise": 0.2, "overhead": 0.2, "idle": 0.2}, abs=0.01)
    assert traced.call_s > 0.002
    assert traced.coverage == pytest.approx(0.6, abs=0.01)
    assert traced.unknown == ()
    assert "has no profiler" in untraced.reason
    assert {result.status for result in run.results} == {"ok", "unsupported"}
    assert "matmul 40" in done.output

    report = path / "report"
    (calls,) = rows_of(path, "counters")
    assert float(calls["cpu_time"]) < 0.002, "it sleeps"
    assert float(calls["context_switches"]) >= 1
    assert sum("instructions" in each.counters for each in traced.facts) == 2, "counted, or why not"
    (row,) = [row for row in rows_of(path, "operators-1") if row["class"] == "matmul"]
    assert float(row[f"{PATH}[sleep=0.002]"]) == pytest.approx(40, abs=1)
    assert "sum_2" in (report / "report.md").read_text()
    assert (report / "figures" / "operators.pdf").is_file()
    assert (path / TRACES / "all.perfetto-trace").stat().st_size > 100
    assert json.loads((path / TRACES / "flames.speedscope.json").read_text())["profiles"]
    assert bench("verify", str(path)).exit_code == 0


def test_a_profiler_that_costs_much_tells_shares_alone(tmp_path: Path) -> None:
    done = profiled(tmp_path, f"{PATH}[sleep=0.002,cost=0.004]")
    assert done.exit_code == 0, done.output
    path, run = stored(tmp_path)
    (traced,) = traced_cases(run)
    assert traced.overhead_ratio == pytest.approx(3, rel=0.3)
    assert not traced.in_seconds
    assert "times as long with the profiler" in (path / "report" / "report.md").read_text()


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("crash", "the profiler's file is cut off after 17 bytes"),
        ("too few", "the profiler tells of 1 calls"),
        ("threads", "9 threads compute, the budget says 1"),
    ],
)
def test_a_profiler_that_fails_is_a_row(tmp_path: Path, told: str, reason: str) -> None:
    done = profiled(tmp_path, f"{PATH}[sleep=0.001,told={told}]")
    assert done.exit_code == 3, done.output
    path, run = stored(tmp_path)
    (result,) = run.results
    assert result.status == ("fallback" if told == "threads" else "failed")
    assert reason in result.reason
    (traced,) = traced_cases(run)
    assert not traced.facts, "what did not run as asked is shown nowhere"
    assert reason in (path / "report" / "report.md").read_text()
    assert bench("verify", str(path)).exit_code == 0


def test_the_report_is_made_again_and_a_changed_recording_is_refused(tmp_path: Path) -> None:
    assert profiled(tmp_path, f"{PATH}[sleep=0.001]").exit_code == 0
    path, run = stored(tmp_path)
    again = bench("report", str(path), "--output", str(tmp_path / "out"))
    assert again.exit_code == 0, again.output
    assert (tmp_path / "out" / "report.md").read_text() == (path / "report" / "report.md").read_text()
    facts = run.results[0].details.trace
    assert facts is not None
    with (path / TRACES / facts.file).open("ab") as file:
        file.write(b"x")
    with pytest.raises(StoreError, match="its sha256 is another"):
        list(recordings(run, path))


def test_a_traced_run_is_no_measurement(tmp_path: Path) -> None:
    assert profiled(tmp_path, f"{PATH}[sleep=0.001]").exit_code == 0
    path = str(stored(tmp_path)[0])
    assert "bench profile diff" in str(bench("compare", path).exception)
    assert "bench profile" in str(bench("replay", path).exception)
    opened = sy.open(path)
    assert opened.summary.startswith("Most of the time of product goes to")
    with pytest.raises(sy.SteelyardError, match="bench profile diff"):
        opened.compare()
    with pytest.raises(sy.SteelyardError, match="bench profile diff"):
        sy.compare(opened, opened)
    assert "holds what was timed" in str(bench("report", path, "--format", "junit").exception)
    told = json.loads(bench("show", path, "--json").stdout)
    assert (told["kind"], len(told["rows"])) == ("steelyard-traced-run", 1)
    assert sum(told["rows"][0]["share_by_class"].values()) == pytest.approx(1)
    assert bench("bundle", path, "--output", str(tmp_path / "made.tar.gz")).exit_code == 0
    assert len(stored(tmp_path)[1].results) == 1
    resumed = bench("run", "--resume", path, "--output", str(tmp_path))
    assert resumed.exit_code == 0, resumed.output
    assert len(stored(tmp_path)[1].results) == 2, "one launch more"
    refused = bench("run", "--scenario", "traced")
    assert "scenario" in str(refused.exception)
    planned = profiled(tmp_path / "none", PATH, "--dry-run")
    assert planned.exit_code == 0
    assert "traced" in planned.output
    assert not (tmp_path / "none").exists()


BACKENDS = ("eager", "inductor", "xla", "onnxruntime", "openvino")
EACH = {("linear",), ("gelu",), ("add",), ("conv2d",), ("batch_norm",), ("relu",), ("exp",), ("sum_1",), ("div",)}
CONVOLUTION = ("conv2d", "batch_norm", "relu")
ENDED = {
    "eager": EACH,
    "onnxruntime": {CONVOLUTION} | {nodes for nodes in EACH if nodes[0] not in CONVOLUTION},
    "openvino": {("linear", "gelu"), ("add",), CONVOLUTION, ("exp", "sum_1", "div")},
    "inductor": {("linear",), ("gelu", "add"), ("conv2d",), ("batch_norm", "relu", "exp", "sum_1", "div")},
    "xla": {("linear", "gelu", "add"), CONVOLUTION, ("exp", "sum_1", "div")},
}
"""Which nodes of `tests.tracing.known` end in one kernel. Inductor writes loops that follow each other into one
function. XLA's product and convolution are computed apart, and what follows begins with their biases."""


@pytest.mark.backends
def test_every_runtime_tells_where_the_nodes_of_a_known_graph_ended(tmp_path: Path) -> None:
    options = ("--threads", "1", "--window", "0.05", "--output", str(tmp_path))
    done = bench("profile", "--model", "tests.tracing.known:build", "--backend", ",".join(BACKENDS), *options)
    assert done.exit_code == 0, done.output
    path, run = stored(tmp_path)
    cases = {each.arm: each for each in traced_cases(run)}
    assert set(cases) == set(BACKENDS)
    for name, each in cases.items():
        assert each.facts, f"{name}: {each.reason}"
        assert each.facts[0].checked, "the outputs of the traced program are held against the reference"
        assert not each.unknown, name
        assert sum(each.by_class.values()) == pytest.approx(each.call_s)
        products = [kernel for kernel in each.kernels if class_of(kernel.kernel) == "matmul"]
        assert sum(kernel.times for kernel in products) >= 1, name
        assert "aten.linear" in {source for kernel in products for source in kernel.kernel.sources}, name
        found = laid(each)
        assert isinstance(found, Laid), f"{name}: {found}"
        assert found.covered == len(EACH), name
        assert ENDED[name] <= {tuple(node.name for node in nodes) for nodes in found.computed}, name
    kept = {name: laid(each).kept_bytes for name, each in cases.items()}
    image, rows, sums = 4 * 2 * 8 * 64 * 64, 4 * 4096 * 64, 4 * 4096
    assert kept["eager"] == 0
    assert kept["onnxruntime"] == 2 * image
    assert kept["openvino"] == 2 * image + 2 * rows + sums
    (row,) = [row for row in rows_of(path, "fusion") if row["backend"] == "eager"]
    assert (row["kernels"], row["fused"], row["foreign"]) == ("9", "0", "0")
    assert (path / "report" / "figures" / "fusion.pdf").is_file()


def onnx_file(path: Path) -> None:
    """A convolution with a ReLU, and a softmax of that."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper, save

    weight = np.random.default_rng(0).standard_normal((8, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "weight"], ["seen"], name="look", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["seen"], ["kept"]),
        helper.make_node("Softmax", ["kept"], ["y"], name="weigh"),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, size, 64, 64)) for name, size in (("x", 3), ("y", 8))
    ]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], [numpy_helper.from_array(weight, "weight")])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), path)


@pytest.mark.backends
def test_the_nodes_of_an_onnx_file_are_its_source_graph(tmp_path: Path) -> None:
    onnx_file(tmp_path / "net.onnx")
    options = ("--threads", "1", "--window", "0.05", "--output", str(tmp_path / "runs"))
    done = bench("profile", "--model", str(tmp_path / "net.onnx"), "--backend", "onnxruntime,openvino", *options)
    assert done.exit_code == 0, done.output
    for each in traced_cases(stored(tmp_path / "runs")[1]):
        found = laid(each)
        assert isinstance(found, Laid), f"{each.arm}: {found}"
        ended = {tuple(node.name for node in nodes) for nodes in found.computed if nodes}
        assert ended == {("seen", "kept"), ("y",)}, each.arm
        assert found.kept_bytes == 4 * 8 * 64 * 64, "the convolution's; what the softmax takes travels"


FACTORY = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(64, 64)

    def forward(self, x):
        {extra}
        return self.linear(x).relu()

def net():
    torch.manual_seed(0)
    return Net().eval(), (torch.randn(4096, 64),)
"""


COPIES = "x = [x := x.t().contiguous() for _ in range(20)][-1]"
SOFTMAX = "x = [x := torch.softmax(x, -1) for _ in range(20)][-1]"
WRITTEN_OUT = "x = [x := (e := x.exp()) / e.sum(-1, keepdim=True) for _ in range(20)][-1]"
"""Many, so that whatever else runs on the machine changes less."""


def changed(folder: Path, monkeypatch: pytest.MonkeyPatch, before: str, after: str) -> dict[str, Any]:
    """The table of what changed between two versions of a program on eager."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    for name, extra in (("before", before), ("after", after)):
        (folder / f"{name}_net.py").write_text(FACTORY.format(extra=extra))
        options = ("--backend", "eager", "--threads", "1", "--window", "0.2")
        done = bench("profile", "--model", f"{name}_net:net", *options, "--output", str(folder / name))
        assert done.exit_code == 0, done.output
    sides = [str(stored(folder / name)[0]) for name in ("before", "after")]
    told = bench("profile", "diff", *sides, "--json")
    assert told.exit_code == 0, told.output
    (table,) = json.loads(told.stdout)["tables"]
    found: dict[str, Any] = table
    return found


@pytest.mark.full
@pytest.mark.alone
@pytest.mark.backends
def test_a_layout_copy_that_was_added_is_the_first_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = changed(tmp_path, monkeypatch, "pass", COPIES)
    first = [cell["text"] or cell["value"] for cell in table["rows"][0]["cells"]]
    assert first[0] == "copies and layout", first
    assert "copy" in first[1] or "contiguous" in first[1] or "clone" in first[1]


@pytest.mark.alone
@pytest.mark.backends
def test_of_a_softmax_that_was_written_out_it_or_a_part_is_the_first_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = changed(tmp_path, monkeypatch, SOFTMAX, WRITTEN_OUT)
    first = table["rows"][0]["cells"][1]["text"]  # the softmax where the whole became faster, as on some machines
    assert first.startswith(("aten::_softmax", "aten::exp", "aten::sum", "aten::div")), first
    assert any("Alone in a kernel after and not before: exp ×20, sum ×20, div ×20" in note for note in table["notes"])


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    assert profiled(tmp_path, f"{PATH}[sleep=0.001]").exit_code == 0
    path = str(stored(tmp_path)[0])
    refused = bench("profile", "diff", path, path, "--backend", "xla")
    assert "no traced configuration in common of xla" in str(refused.exception)
    assert "--against" in str(bench("profile", "diff", path, path, "--against", "xla").exception)
