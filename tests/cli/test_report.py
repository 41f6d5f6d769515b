"""`bench report` on a stored run: formats, places, errors, the same bytes twice.

Two figures stand for all, which tests/reports/test_figures.py draws: one with bars, one with single calls.
"""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from steelyard import plugins
from steelyard.cli.main import app
from steelyard.cli.report import write_report
from steelyard.core.errors import StoreError, UsageError
from steelyard.tables.venue import VENUES
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
