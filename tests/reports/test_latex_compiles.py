"""The LaTeX report is compiled by pdflatex and read back from the PDF."""

import re
import shutil
from dataclasses import replace

import pytest

from steelyard import plugins
from steelyard.render.drawing import pictures
from steelyard.render.output import ReportInputs
from steelyard.render.venue import VENUES, room_of
from steelyard.tables.build import build
from tests.fakes.runs import llm_points, synthetic_run
from tests.reports.hostile import hostile_run
from tests.reports.sections import every_section

pytestmark = pytest.mark.tools


def without_warnings(log, fonts, *, but=""):
    """Nothing about boxes, fonts, floats or references, and every font embedded as TrueType or Type 1."""
    for complaint in {
        "Overfull",
        "Underfull",
        "LaTeX Font Warning",
        "Float too large",
        "undefined",
        "multiply defined",
    } - {but}:
        assert complaint not in log, [line for line in log.splitlines() if complaint in line]
    rows = fonts.splitlines()[2:]
    assert rows
    assert all(" Type 3 " not in row for row in rows)
    # name, type, encoding, emb: the columns before the two numbers of the object
    assert all(re.search(r"\byes\s+(yes|no)\s+(yes|no)\s+\d+\s+\d+\s*$", row) for row in rows), fonts


@pytest.fixture(scope="module")
def inputs():
    """Every section, and the figures of those that not every run has; drawing takes seconds."""
    data = build(every_section())
    figures = [plugins.figures()[name] for name in ("energy", "latency", "memory", "power", "roofline")]
    return ReportInputs(data=data, pictures=pictures(figures, data))


@pytest.fixture(scope="module")
def made(inputs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    plugins.reports()["latex"].write(inputs, folder)
    return folder / "latex"


def test_the_run_has_every_section(inputs):
    empty = [table.name for table in inputs.data.tables if not table.rows]
    of_many = {"profile", "fast-p", "tolerance-scores"}  # those of figures over more points, which are no sections
    assert set(empty) <= {"texts", *of_many}
    assert not [picture.name for picture in inputs.pictures if picture.reason]


def test_the_whole_report_compiles_with_embedded_fonts(compile_, made, tmp_path):
    log, text, fonts = compile_(shutil.copytree(made, tmp_path / "latex"))
    without_warnings(log, fonts)
    words = re.sub(r"\s+", " ", text)
    assert "Speed of generate" in words
    assert "killed by signal 11" in words
    assert re.search(r"Measured with steelyard \S+, suite llm version 1 \[\d\]\.", words)
    assert re.search(r"The backends were eager, xla, onnxruntime, openvino \[\d(, \d)*\]\.", words)


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


PAPERS = {
    "one column": (r"\documentclass[10pt]{article}", r"\usepackage[margin=1in]{geometry}"),
    "two columns": (r"\documentclass[10pt,twocolumn]{article}", r"\usepackage[margin=1in]{geometry}"),
    "neurips": (r"\documentclass[10pt]{article}", r"\usepackage[textwidth=5.5in,textheight=9in]{geometry}"),
    "usenix": (r"\documentclass[10pt,twocolumn]{article}", r"\usepackage[textwidth=7in,textheight=9in]{geometry}"),
    "thesis": (r"\documentclass[12pt]{report}", ""),
}
"""What a paper begins with; those with the name of a venue get their tables as `--venue` lays them out."""


def paper(folder, kind, bench):
    """A paper of that kind in a folder of its own, which inputs everything from the folder `bench`."""
    first, geometry = PAPERS[kind]
    folder.mkdir()
    (folder / "paper.tex").write_text(
        rf"""{first}
\usepackage[T1]{{fontenc}}
{geometry}
\usepackage{{lmodern,graphicx,booktabs,microtype}}
\setlength{{\emergencystretch}}{{3em}}
\newcommand{{\SyRoot}}{{{bench}}}
\input{{\SyRoot/macros}}
\begin{{document}}
\input{{\SyRoot/all}}
\raggedright
\bibliographystyle{{plain}}
\bibliography{{\SyRoot/references}}
\end{{document}}
"""
    )
    return folder


@pytest.mark.parametrize("kind", PAPERS)
def test_a_paper_in_another_folder_inputs_everything(compile_, inputs, made, tmp_path, kind):
    if kind in VENUES:  # figures are drawn for a venue too, which is held elsewhere: here its tables
        there = replace(inputs, pictures=(), room=room_of(kind))
        plugins.reports()["latex"].write(there, tmp_path)
        shutil.move(tmp_path / "latex", tmp_path / "bench")
    else:
        shutil.copytree(made, tmp_path / "bench")
    log, text, fonts = compile_(paper(tmp_path / "paper", kind, "../bench"), "paper")
    without_warnings(log, fonts)
    assert "killed by signal 11" in re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("kind", ["one column", "two columns"])
def test_hostile_names_go_into_a_paper_without_warnings(compile_, tmp_path, kind):
    plugins.reports()["latex"].write(ReportInputs(data=build(hostile_run())), tmp_path)
    log, text, fonts = compile_(paper(tmp_path / "paper", kind, "../latex"), "paper")
    without_warnings(log, fonts, but="Underfull")  # no line is filled by words that long
    assert "<script>alert(1)</script>" in re.sub(r"\s+", "", text)
