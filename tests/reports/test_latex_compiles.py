"""The LaTeX report is compiled by pdflatex and read back from the PDF."""

import re
import shutil
import subprocess

import pytest

from steelyard import plugins
from steelyard.cli.report import write_run
from steelyard.tables.build import build
from steelyard.tables.output import ReportInputs
from tests.fakes.runs import Outcome, llm_points, synthetic_run
from tests.reports.hostile import hostile_run

pytestmark = pytest.mark.tools


@pytest.fixture
def compile_(require_tool):
    latex, totext, fonts = require_tool("pdflatex"), require_tool("pdftotext"), require_tool("pdffonts")

    def run(folder, name="report"):
        command = [latex, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", f"{name}.tex"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=120)
        assert done.returncode == 0, done.stdout[-3000:]
        pdf = folder / f"{name}.pdf"
        text = subprocess.run([totext, "-layout", pdf, "-"], capture_output=True, text=True, check=True).stdout
        used = subprocess.run([fonts, pdf], capture_output=True, text=True, check=True).stdout
        return done.stdout, text, used

    return run


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The whole report, with every figure; drawing takes seconds."""
    folder = tmp_path_factory.mktemp("made")
    run = synthetic_run(
        effect={"xla": 0.5},
        backends=("eager", "xla", "openvino"),
        statuses={("openvino", "decode"): Outcome(status="crashed", reason="killed by signal 11")},
    )
    write_run(run, ["latex"], folder)
    return folder / "latex"


def test_the_whole_report_compiles_with_embedded_fonts(compile_, made, tmp_path):
    log, text, fonts = compile_(shutil.copytree(made, tmp_path / "latex"))
    assert "Speed of generate" in text
    assert "killed by signal 11" in re.sub(r"\s+", " ", text)
    assert "Methodology" in text
    assert "Overfull" not in log
    assert "undefined" not in log
    rows = fonts.splitlines()[2:]
    assert rows
    assert all(" Type 3 " not in row for row in rows)
    # name, type, encoding, emb: the columns before the two numbers of the object
    assert all(re.search(r"\byes\s+(yes|no)\s+(yes|no)\s+\d+\s+\d+\s*$", row) for row in rows), fonts


def test_hostile_names_compile_and_are_printed(compile_, tmp_path):
    inputs = ReportInputs(data=build(hostile_run()))
    plugins.reports()["latex"].write(inputs, tmp_path)
    _, text, _ = compile_(tmp_path / "latex")
    folded = re.sub(r"\s+", "", text)
    assert "<script>alert(1)</script>" in folded
    assert r"\input{/etc/passwd}" in folded
    assert "50%&_#$^~{}" in folded or "50%&_#$ˆ˜{}" in folded
    assert "[U+65E5]" in folded


def test_tables_and_macros_go_into_a_two_column_paper_from_another_folder(compile_, tmp_path):
    run = synthetic_run(
        backends=("eager", "xla"), points=llm_points(("decode",)), headline="decode", effect={"xla": 0.5}
    )
    data = build(run)
    plugins.reports()["latex"].write(ReportInputs(data=data), tmp_path / "made")
    shutil.move(tmp_path / "made" / "latex", tmp_path / "bench")
    (tmp_path / "paper.tex").write_text(
        r"""\documentclass[twocolumn]{article}
\usepackage{booktabs}
\input{bench/macros}
\begin{document}
XLA is \SyXlaDecodeSpeedup{} times faster. \input{bench/paragraphs/methodology}
\begin{figure}\caption{\protect\input{bench/captions/speed-decode}}\end{figure}
\begin{table*}\footnotesize\input{bench/tabulars/speed-decode}\end{table*}
\end{document}
"""
    )
    _, text, _ = compile_(tmp_path, "paper")
    printed = next(macro.text for macro in data.macros if macro.name == "SyXlaDecodeSpeedup")
    assert f"XLA is {printed} times" in re.sub(r"\s+", " ", text)
    assert "Backend" in text


@pytest.mark.parametrize("columns", ["onecolumn", "twocolumn"])
def test_a_paper_in_another_folder_inputs_everything(compile_, made, tmp_path, columns):
    shutil.copytree(made, tmp_path / "bench")
    (tmp_path / "paper").mkdir()
    (tmp_path / "paper" / "paper.tex").write_text(
        rf"""\documentclass[10pt,{columns}]{{article}}
\usepackage[T1]{{fontenc}}
\usepackage[margin=1in]{{geometry}}
\usepackage{{lmodern,graphicx,booktabs,microtype}}
\setlength{{\emergencystretch}}{{3em}}
\newcommand{{\SyRoot}}{{../bench}}
\input{{\SyRoot/macros}}
\begin{{document}}
\input{{\SyRoot/all}}
\end{{document}}
"""
    )
    log, text, fonts = compile_(tmp_path / "paper", "paper")
    assert "killed by signal 11" in re.sub(r"\s+", " ", text)
    assert "Overfull" not in log
    assert "Underfull" not in log
    assert "Font Warning" not in log
    assert " Type 3 " not in fonts
