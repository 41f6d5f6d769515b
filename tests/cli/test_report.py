"""`bench report` on a stored run: formats, places, errors, the same bytes twice.

Two figures stand for all, which tests/reports/test_figures.py draws: one with bars, one with single calls.
"""

import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from steelyard import plugins
from steelyard.artifact.receipt import Batch, read_receipt
from steelyard.cli.exit_codes import FAILED
from steelyard.cli.main import app
from steelyard.cli.running import finish
from steelyard.core.errors import SteelyardError, StoreError, UsageError
from steelyard.render import drawing
from steelyard.render.venue import VENUES
from steelyard.service.rendering import renderer
from steelyard.service.report_files import PartsFailed
from steelyard.service.reporting import write_report
from steelyard.service.running import StoredOutcome
from steelyard.store import open_run
from tests.fakes.runs import llm_points, synthetic_run
from tests.fakes.stored import store


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> Path:
    run = synthetic_run(
        backends=("eager", "xla"), points=llm_points(("decode",)), headline="decode", effect={"xla": 0.5}
    )
    return store(run, tmp_path_factory.mktemp("runs"))


@pytest.fixture(autouse=True)
def two_figures(monkeypatch):
    every = plugins.figures()
    monkeypatch.setattr(plugins, "figures", lambda: {name: every[name] for name in ("latency", "time_order")})


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_all_formats_in_the_run_and_the_same_bytes_elsewhere(stored, tmp_path):
    lines = write_report(stored)
    assert [line.partition(":")[0] for line in lines] == ["csv", "figures", "html", "latex", "markdown", "typst"]
    made = contents(stored / "report")
    for name in ("report.md", "report.html", "csv/all.csv", "figures/latency.pdf", "figures/latency.tex",
                 "latex/report.tex", "latex/figures/latency.pdf", "latex/macros.tex"):  # fmt: skip
        assert made[name]
    assert b"figures/latency.svg" in made["report.md"]
    write_report(stored, output=tmp_path / "again")
    assert contents(tmp_path / "again") == made


def test_on_the_command_line(stored, tmp_path):
    arguments = ["report", str(stored), "--format", "markdown,csv", "--output", str(tmp_path / "out")]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [f"markdown: {tmp_path}/out/report.md", f"csv: {tmp_path}/out/csv"]
    assert not (tmp_path / "out" / "figures").exists()


def test_a_wrong_format_is_told_before_the_run_is_read(tmp_path):
    with pytest.raises(UsageError, match="did you mean 'latex'"):
        write_report(tmp_path / "nowhere", ["latx"])


def test_what_is_no_run_is_told(tmp_path):
    with pytest.raises(StoreError):
        write_report(tmp_path)


def test_a_venue_sets_the_width_of_figures_and_the_report_still_verifies(stored, tmp_path):
    out = tmp_path / "slides"
    arguments = ["report", str(stored), "--format", "figures", "--venue", "slides", "--output", str(out)]
    assert CliRunner().invoke(app, arguments, catch_exceptions=False).exit_code == 0
    svg = (out / "figures" / "latency.svg").read_text()
    width = float(re.search(r'<svg[^>]* width="([\d.]+)pt"', svg)[1])
    assert width == pytest.approx(VENUES["slides"].look.column_in * 72, abs=0.01)
    verified = CliRunner().invoke(app, ["verify", str(out), "--runs", str(stored.parent)], catch_exceptions=False)
    assert verified.exit_code == 0, verified.stdout


def test_a_wrong_venue_and_a_venue_without_figures_are_told(stored, tmp_path):
    with pytest.raises(UsageError, match="did you mean 'icml'"):
        write_report(tmp_path / "nowhere", venue="icmm")
    with pytest.raises(UsageError, match="--venue is about figures"):
        write_report(stored, ["csv"], tmp_path / "out", venue="icml")


class Broken:
    """A figure, or a report, of somebody who made a mistake."""

    name, title, draws = "broken", "A broken one", False

    def draw(self, data, look):
        raise ValueError("nothing to be drawn")

    def write(self, inputs, directory):
        (directory / "half").write_text("of it")
        raise LookupError("no place")


@pytest.fixture
def broken(monkeypatch):
    figures, reports = plugins.figures(), plugins.reports()
    monkeypatch.setattr(plugins, "figures", lambda: {"latency": figures["latency"], "broken": Broken()})
    monkeypatch.setattr(plugins, "reports", lambda: {**reports, "broken": Broken()})


@pytest.mark.usefixtures("broken")
def test_a_figure_and_a_format_that_fail_are_said_and_take_no_other_with_them(stored, tmp_path):
    arguments = ["report", str(stored), "--format", "broken,figures,markdown", "--output", str(tmp_path)]
    result = CliRunner().invoke(app, arguments)
    assert result.stdout.splitlines() == [f"figures: {tmp_path}/figures", f"markdown: {tmp_path}/report.md"]
    assert isinstance(result.exception, PartsFailed)
    assert result.exception.exit_code == 2
    told = str(result.exception)
    assert re.search(r"figure broken: ValueError: nothing to be drawn \(\S*test_report.py:\d+\)", told)
    assert re.search(r"; broken: LookupError: no place \(\S*test_report.py:\d+\)$", told)
    assert "A broken one: ValueError: nothing to be drawn" in (tmp_path / "report.md").read_text()
    assert (tmp_path / "figures/latency.pdf").is_file()
    assert read_receipt(tmp_path).batches[0].formats == ("figures", "markdown")


@pytest.mark.usefixtures("broken")
def test_what_cannot_be_rendered_anew_is_untraced_and_named(stored, tmp_path):
    render = renderer(stored.parent)
    with pytest.raises(SteelyardError, match=r"^broken: LookupError: no place"):
        render(open_run(stored), Batch(formats=("broken",)))
    with pytest.raises(SteelyardError, match=r"^figure broken: ValueError: nothing to be drawn"):
        render(open_run(stored), Batch(formats=("figures",)))


@pytest.mark.usefixtures("broken")
def test_a_report_that_fails_does_not_end_a_run_that_was_stored(stored, tmp_path, monkeypatch, capsys):
    run = tmp_path / "the run"
    shutil.copytree(stored, run)
    monkeypatch.setattr("steelyard.service.reporting.FOLDER", "made")
    assert finish(StoredOutcome(run, "failed"), report=True) == FAILED
    *written, last = capsys.readouterr().err.splitlines()
    assert f"markdown: {run}/made/report.md" in written
    assert last.startswith("the report failed: not all of the report could be made: figure broken: ValueError")
    assert last.endswith(f"; the run is stored whole, and bench report '{run}' makes its report")
    (run / "manifest.json").write_text("{")
    assert finish(StoredOutcome(run, "sound"), report=True) == 0
    told = capsys.readouterr().err
    assert "what it found cannot be told: " in told
    assert "the report failed: " in told


def test_without_matplotlib_everything_else_is_written(stored, tmp_path, monkeypatch):
    def missing():
        raise ImportError("no library for pictures")

    monkeypatch.setattr(drawing, "matplotlib", missing)
    with pytest.raises(PartsFailed, match="figure latency: ImportError: no library for pictures") as failed:
        write_report(stored, ["html", "latex"], tmp_path)
    assert [line.partition(":")[0] for line in failed.value.lines] == ["html", "latex"]
