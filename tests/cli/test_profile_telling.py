"""Where compilations go and what values need, through real launches of a backend of which it is known what it tells."""

import json
from pathlib import Path

import pytest

import steelyard.engine
from steelyard.store import list_runs, open_run
from steelyard.tracing.compilations import compilations
from tests.cli.test_profile import SUITE, bench, profiled, rows_of, stored
from tests.fakes.traced import PATH

WORKLOAD = "product"
KINDS = ("trace", "lowering", "passes", "codegen", "native", "load", "other", "unnamed")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That of two launches of such a backend, and of one that does not tell."""
    folder = tmp_path_factory.mktemp("runs")
    done = profiled(folder, f"{PATH}[sleep=0.001],{PATH}[sleep=0.001,told=no compilation]", "--launches", "3")
    assert done.exit_code == 0, done.output
    assert bench("verify", str(stored(folder)[0])).exit_code == 0
    (entry,) = list_runs(folder)
    return entry.path / "report"


def test_phases_and_what_has_no_name_add_up_to_the_compile_time(report: Path) -> None:
    found = rows_of(report.parent, "compilation")
    told = [row for row in found if "no compilation" not in row["backend"]]
    assert [row["occasion"] for row in told] == ["cold", "warm", "again"]
    for row in told:
        parts = {kind: float(row[kind]) for kind in KINDS if kind in row}
        assert parts == pytest.approx({"passes": 0.25, "codegen": 0.125, "unnamed": 0.125})
        assert sum(parts.values()) == pytest.approx(float(row["compile"]))
    markdown = (report / "report.md").read_text()
    assert "nobody looked" in markdown
    assert "passes 50 % and code generation 25 %" in markdown
    assert "again: once more in the process" in markdown.replace("Again", "again")
    untold = [row for row in found if "no compilation" in row["backend"]]
    assert [row["occasion"] for row in untold] == ["cold", "warm"]
    assert "the record of passes is cut off" in markdown


def test_the_longest_phase_comes_first_and_its_name_is_only_text(report: Path) -> None:
    cold = [row for row in rows_of(report.parent, "compiler-phases") if row["occasion"] == "cold"]
    assert [(row["phase"], row["within"], row["times"]) for row in cold] == [
        ("passes", "", "1"),
        ("emit", "", "7"),
        ("fold<b>&_%", "passes", "1"),
    ]
    assert "fold<b>" not in (report / "report.html").read_text()


def test_the_program_before_and_after_and_its_machine_code(report: Path) -> None:
    before, after = rows_of(report.parent, "representations")
    assert (before["form"], before["operators"], before["kinds"], before["bytes"]) == ("before", "3", "2", "2048.0")
    assert (after["form"], after["operators"], after["frequent"]) == ("after", "1", "1 fused")
    (code,) = rows_of(report.parent, "machine-code")
    assert (code["bytes"], code["instructions"], code["ymm"], code["zmm"]) == ("4096.0", "40", "75.0", "0.0")


def test_a_plan_stands_beside_what_it_had_to_need(report: Path) -> None:
    told, _ = rows_of(report.parent, "memory-plans")
    numbers = {
        key: float(told[key]) / 2**20 for key in ("weights", "inputs", "outputs", "each_apart", "least", "reached")
    }
    assert numbers == {"weights": 8, "inputs": 1, "outputs": 0.5, "each_apart": 6, "least": 2, "reached": 3}
    assert float(told["over_least"]) == pytest.approx(1.5)
    markdown = (report / "report.md").read_text()
    assert "nobody looked for it" in markdown
    assert "a language that nobody knows" in markdown
    (largest,) = rows_of(report.parent, "largest-values")
    assert (largest["value"], largest["operator"]) == ("<i>product</i>", "MatMul")
    assert "<i>product" not in (report / "report.html").read_text()


def test_of_several_launches_the_one_in_the_middle_is_shown(report: Path) -> None:
    told = [each for each in compilations(open_run(report.parent)) if each.told]
    assert {(each.occasion, each.launches) for each in told} == {("cold", 1), ("warm", 2), ("again", 1)}
    assert "of 2 launches the one with the middle compile time" in (report / "report.md").read_text()


def test_all_of_it_is_printed_as_data(report: Path) -> None:
    told, untold = json.loads(bench("show", str(report.parent), "--json").stdout)["rows"]
    assert [each["occasion"] for each in told["compilations"]] == ["cold", "warm", "again"]
    assert told["compilations"][0]["told"]["phases"][0]["parts"][0]["name"] == "fold<b>&_%"
    assert told["memory"]["told"]["least"]["value"] == 2**21
    assert (untold["compilations"][0]["told"], untold["memory"]["told"]) == (None, None)
    assert "cut off" in untold["compilations"][0]["reason"]


def test_programs_stand_side_by_side_on_a_page_as_text(report: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = bench("explain", WORKLOAD, "--run", str(report.parent), "--programs", str(page))
    assert done.exit_code == 0, done.output
    text = page.read_text()
    assert "product&lt;b&gt;(x)" in text
    assert "product<b>" not in text
    assert "It has no text." in text
    assert "the record of passes is cut off" in text
    (kept,) = (report.parent / "traces").glob("*.txt.gz")
    kept.write_bytes(b"")
    assert bench("explain", WORKLOAD, "--run", str(report.parent), "--programs", str(page)).exit_code == 0
    assert "its sha256 is another" in page.read_text()


def test_a_runtime_without_a_profiler_tells_of_its_compilation_all_the_same(tmp_path: Path) -> None:
    done = profiled(tmp_path, f"{PATH}[sleep=0.001],{PATH}[sleep=0.001,told=no profile]", "--launches", "2")
    assert done.exit_code == 0, done.output
    run = open_run(stored(tmp_path)[0])
    without = [each for each in compilations(run) if "no profile" in each.arm]
    assert [(each.occasion, each.told.compile_s) for each in without] == [("cold", 0.5), ("again", 0.5)]
    statuses = {(result.status, result.reason) for result in run.results if "no profile" in result.arm}
    assert statuses == {("unsupported", "Traced has no profiler: write tracer()")}


def test_a_timed_run_has_no_programs_to_show(tmp_path: Path) -> None:
    timed = ("--rounds", "1", "--no-report", "--no-energy", "--output", str(tmp_path))
    assert bench("run", *SUITE, "--backend", PATH, "--baseline", PATH, *timed).exit_code == 0
    done = bench("explain", WORKLOAD, "--runs", str(tmp_path), "--programs", str(tmp_path / "page.html"))
    assert "bench profile makes runs that do" in str(done.exception)


def test_only_a_launch_that_is_traced_asks_a_compiler_to_tell_of_itself() -> None:
    engine = Path(steelyard.engine.__file__).parent
    assert [path.name for path in engine.rglob("*.py") if ".tells" in path.read_text()] == ["traced_telling.py"]
    callers = [path.name for path in engine.rglob("*.py") if "import compilations_of" in path.read_text()]
    assert callers == ["traced_case.py"]
