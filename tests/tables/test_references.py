"""The bibliography: who ran is cited once, with its version; what is in a name cannot break the file."""

import dataclasses
import re
import subprocess
from pathlib import Path

import pytest

from steelyard import plugins
from steelyard.core.citation import Citation
from steelyard.core.run import Run
from steelyard.render.output import ReportInputs
from steelyard.tables.build import build
from steelyard.tables.references import STEELYARD, bibtex
from steelyard.tables.table import Reference
from tests.fakes.runs import Outcome, synthetic_run
from tests.reports.hostile import HOSTILE

ROOT = Path(__file__).parents[2]


def notes(run: Run) -> dict[str, str]:
    return {entry.key: entry.note for entry in build(run).references}


def named(run: Run, old: str, new: str) -> Run:
    """The run, its runner `old` under another name."""
    arms = tuple(
        dataclasses.replace(arm, backend=dataclasses.replace(arm.backend, runner=new)) if arm.label == old else arm
        for arm in run.manifest.arms
    )
    return dataclasses.replace(run, manifest=dataclasses.replace(run.manifest, arms=arms))


def test_what_ran_is_cited_once_with_its_version():
    assert notes(synthetic_run(rounds=5)) == {
        "sy-steelyard": "Version 0.1.0",
        "sy-pytorch": "Run as torch 2.13.0",
        "sy-jax": "Run as jax 0.10.2, jaxlib 0.10.2",
        "sy-onnxruntime": "Run as onnxruntime 1.32.0",
        "sy-openvino": "Run as openvino 2026.4.0",
        "sy-smollm2": "Run with its published weights",
    }


def test_what_never_ran_is_not_cited():
    crashed = {("xla", workload): Outcome(status="crashed") for workload in ("prefill", "decode", "generate")}
    assert "sy-jax" not in notes(synthetic_run(backends=("eager", "xla"), rounds=5, statuses=crashed))


def test_a_runner_that_is_not_installed_is_cited_by_name_and_imports_nothing():
    run = synthetic_run(backends=("eager", "xla"), rounds=5)
    assert notes(named(run, "xla", "elsewhere"))["sy-elsewhere"] == "Run as jax 0.10.2, jaxlib 0.10.2"
    told = notes(named(run, "xla", "not_there.module:Class"))
    (key,) = [key for key in told if key.startswith("sy-not-there-module-class-")]
    assert notes(named(run, "xla", "not_there.module:Class"))[key]


def test_a_name_that_is_taken_gets_a_key_of_its_own():
    run = named(synthetic_run(backends=("eager", "xla", "openvino"), rounds=5), "openvino", "jax")
    keys = [key for key in notes(run) if key.startswith("sy-jax")]
    assert len(keys) == 2
    assert all(re.fullmatch(r"sy-jax-[0-9a-f]{6}", key) for key in keys)


def test_the_tool_is_cited_as_its_citation_file_says():
    said = (ROOT / "CITATION.cff").read_text()
    assert f'title: "{STEELYARD.title}"' in said
    assert f"- name: {STEELYARD.authors[0]}\n" in said


def test_every_runner_of_the_house_says_what_to_cite():
    ours = [runner for runner in plugins.runners().values() if runner.__module__.startswith("steelyard.runners.")]
    assert ours
    assert all(runner.citation is not None and (runner.citation.url or runner.citation.doi) for runner in ours)


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": "A key"},
        {"key": ""},
        {"url": "https://a.b/c_d"},
        {"url": "http://a.b"},
        {"doi": "10.1/%"},
        {"eprint": "x"},
    ],
)
def test_addresses_and_keys_that_latex_would_not_take_are_refused(wrong):
    with pytest.raises(ValueError, match="is not of the form"):
        Citation(**{"key": "a", "title": "A", **wrong})


def hostile() -> list[Reference]:
    names = (*HOSTILE, "} @misc{x, title={y}", "{", "}}", '"', "a # b", "\\", "É. Nguyễn", "two\n\nlines")
    return [
        Reference(
            key=f"sy-{number}",
            about="runtime",
            citation=Citation(key=f"{number}", title=name, authors=(name,)),
            note=name,
        )
        for number, name in enumerate(names)
    ]


def test_every_value_has_balanced_braces_and_ascii_only():
    text = bibtex(hostile())
    assert text.isascii()
    for line in text.splitlines():
        if line.startswith("  "):
            value = re.fullmatch(r"  \w+ = \{(.*)\},", line)[1]
            depths = [value[:end].count("{") - value[:end].count("}") for end in range(len(value) + 1)]
            assert min(depths) == 0
            assert depths[-1] == 0
    assert text.count("\n@") == len(hostile())


@pytest.mark.tools
def test_bibtex_and_latex_read_the_file_of_a_report(require_tool, tmp_path):
    latex, bib, totext = require_tool("pdflatex"), require_tool("bibtex"), require_tool("pdftotext")
    data = build(synthetic_run(rounds=5))
    data = dataclasses.replace(data, references=(*data.references, *hostile()))
    plugins.reports()["latex"].write(ReportInputs(data=data), tmp_path)
    (tmp_path / "paper.tex").write_text(
        r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage{lmodern}
\begin{document}
Measured with \cite{sy-steelyard}, in full: \nocite{*}
\bibliographystyle{plain}
\bibliography{latex/references}
\end{document}
"""
    )
    compile_ = [latex, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "paper.tex"]
    for command in (compile_, [bib, "paper"], compile_, compile_):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=60)
        assert done.returncode == 0, done.stdout[-3000:]
        assert "Warning--" not in done.stdout
    assert "undefined" not in done.stdout
    pages = subprocess.run([totext, "paper.pdf", "-"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    printed = re.sub(r"\s+", " ", pages)
    assert "Jason Ansel, Edward Yang, Horace He, et al. PyTorch 2: Faster" in printed
    assert "Run as onnxruntime 1.32.0" in printed
    assert "@misc{x, title={y}" in printed
