"""The main job at `tiny`: real models through real runtimes, plug-ins beside them, one report."""

import html
from pathlib import Path

import pytest

from steelyard.core.run import Run
from steelyard.store import find_run, open_run
from tests.cli.conftest import BACKENDS, PLUGINS

pytestmark = [pytest.mark.backends, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def run(llm_runs: Path) -> Run:
    return open_run(find_run(llm_runs, "latest"))


def test_every_backend_is_ok_on_every_workload_of_every_family(run: Run) -> None:
    assert not run.manifest.left_out
    points = {case.point.title for case in run.manifest.cases}
    assert len(points) == 3 * len({case.point.axes["model"] for case in run.manifest.cases})
    seen = {(result.arm, run.case(result.case_id).point.title): result for result in run.results}
    for backend in (*BACKENDS, *PLUGINS, "eager (control)"):
        for point in points:
            result = seen[backend, point]
            assert result.status == "ok", f"{backend}, {point}: {result.status} at {result.stage}: {result.reason}"


def test_every_row_proves_what_ran(run: Run) -> None:
    runtimes = {name: name for name in ("xla", "onnxruntime", "openvino")}
    for result in run.results:
        proof = result.proof
        assert proof is not None
        assert proof.versions
        assert proof.dtype == "float32"
        assert proof.threads == run.manifest.budget.threads
        assert proof.mismatches == ()
        assert runtimes.get(result.arm, "torch") in proof.runtime
        if result.arm == "inductor":
            assert (proof.graph_breaks, proof.recompiles) == (0, 0)
        if result.arm == "onnxruntime":
            assert set(proof.placement) == {"CPUExecutionProvider"}
        assert result.idiom["weights"]
        assert result.options


def test_outputs_of_timed_calls_were_checked_and_their_errors_kept(run: Run) -> None:
    timed = [result for result in run.results if result.round > 0]
    for result in timed:
        assert result.correctness is not None
        assert result.correctness.calls_checked >= 2  # the second run, and at least one of the window
        for check in result.correctness.outputs:
            assert check.relative_l2 <= check.tolerance or check.output in ("next_token", "tokens")
    assert any(check.relative_l2 > 0 for result in timed for check in result.correctness.outputs)


def test_times_are_what_they_say(run: Run) -> None:
    for result in run.results:
        point = run.case(result.case_id).point
        if result.round == 0:
            assert result.measurements == ()
            continue
        latency = result.measurement("latency_s")
        assert latency is not None
        if point.workload != "generate":
            continue
        first, each = result.measurement("ttft_s"), result.measurement("tpot_s")
        assert first is not None
        assert each is not None
        steps = point.settings["tokens"] - 1
        assert len(each.samples) == steps * len(latency.samples)
        for index, whole in enumerate(latency.samples):
            parts = first.samples[index] + sum(each.samples[index * steps : (index + 1) * steps])
            assert parts <= whole * 1.001 + 1e-4


def test_a_program_that_two_workloads_share_is_compiled_once_in_a_launch(run: Run) -> None:
    for launch in {result.launch for result in run.results}:
        rows = [result for result in run.results if result.launch == launch]
        assert sum("import_s" in row.phases for row in rows) == 1
        compiled = [run.case(row.case_id).point.workload for row in rows if "compile_s" in row.phases]
        assert compiled in (["generate"], ["prefill", "decode"], ["decode", "generate"], ["generate"])


def test_the_report_holds_the_plug_ins_beside_the_rest(llm_runs: Path) -> None:
    report = find_run(llm_runs, "latest") / "report"
    page = html.unescape((report / "report.html").read_text())
    for backend in (*BACKENDS, *PLUGINS):
        assert backend in page, backend
    assert {"report.md", "report.html", "report.tex"} <= {path.name for path in report.rglob("*")}
