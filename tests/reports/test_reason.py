"""Why something failed is told alike in the terminal, in Markdown and in LaTeX, and a suite's error in every report."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from steelyard import plugins
from steelyard.cli.main import app
from steelyard.core.run import LeftOut, Run
from steelyard.render.drawing import picture
from steelyard.render.output import ReportInputs
from steelyard.tables.build import build
from tests.fakes.runs import Outcome, llm_points, synthetic_run
from tests.fakes.stored import store
from tests.reports.test_text_reports import written

REASON = "Wrapper: it did not compile; cause: ValueError: no such op (mypass.py:12)"
WRONG = "suite error: suite 'llm', workload 'mine': program 'main', output 'y': not deterministic"


@pytest.fixture(scope="module")
def run() -> Run:
    return synthetic_run(
        backends=("eager", "xla"),
        points=llm_points(("decode",)),
        rounds=2,
        statuses={("xla", "decode"): Outcome(status="failed", stage="compile", reason=REASON, log_tail="no such op")},
        left_out=(LeftOut(backend="all", point="mine batch=1", reason=WRONG, status="suite error"),),
    )


def test_the_terminal_tells_the_cause_and_the_suites_error(run: Run, tmp_path: Path) -> None:
    store(run, tmp_path / "runs")
    done = CliRunner().invoke(app, ["show", "latest", "--runs", str(tmp_path / "runs")])
    told = " ".join(done.output.split())
    assert f"failed at compile: {REASON}" in told
    assert f"all on mine batch=1: {WRONG}" in told


@pytest.mark.parametrize("name", ["markdown", "latex"])
def test_a_report_tells_the_cause_in_the_same_words(run: Run, tmp_path: Path, name: str) -> None:
    texts = written(ReportInputs(data=build(run)), name, tmp_path)
    told = " ".join(re.sub(r"\\(?=\W)", "", " ".join(texts.values())).split())
    assert f"failed at compile: {REASON}" in told
    assert "Log of xla" not in told  # its last line says nothing that the reason does not
    assert WRONG.partition("'")[0] in told


def test_the_figure_of_coverage_has_a_glyph_for_a_suites_error(run: Run) -> None:
    drawn = picture(plugins.figures()["coverage"], build(run))
    assert "all on mine batch=1: suite error" in drawn.alternative
    assert "all on decode" not in drawn.alternative
