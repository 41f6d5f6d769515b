"""`bench verify` on stored runs, reports and bundles: whole ones pass; every digit that is changed is named."""

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from steelyard import plugins
from steelyard.artifact import receipt
from steelyard.cli.main import app
from steelyard.core.backend import Device
from steelyard.render.output import kind
from steelyard.service.bundling import write_bundle
from steelyard.service.reporting import write_report
from steelyard.store import open_run
from tests.fakes.ceilings import held_against, synthetic_ceilings
from tests.fakes.metered import metered_run
from tests.fakes.runs import llm_points, synthetic_run
from tests.fakes.stored import change_result, change_sample, mend_hashes, store

TEXTS = ("report.md", "csv/all.csv", "latex/macros.tex", "typst/report.typ", "figures/latency.csv")
PAGE = ('"cases":', "</tbody>")
"""The data of a page's tables ends at the first; at the last of the other the tables that are read without a script."""
PLAIN = ("csv", "markdown")  # what is drawn takes seconds


def bench(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A stored run with its report in the formats that draw nothing."""
    run = synthetic_run(
        backends=("eager", "xla"), points=llm_points(("decode",)), headline="decode", effect={"xla": 0.5}
    )
    path = store(run, tmp_path_factory.mktemp("runs"))
    write_report(path, PLAIN)
    return path


@pytest.fixture
def run(made, tmp_path) -> Path:
    """A copy to be tampered with."""
    return Path(shutil.copytree(made, tmp_path / "runs" / made.name))


@pytest.fixture
def bare(run) -> Path:
    """The same without its report."""
    shutil.rmtree(run / "report")
    return run


def change_digit(path: Path, before: str = "") -> tuple[int, str, str]:
    """Change the last digit of the last number with a decimal point; returns line, old and new text of the number.

    `before` is a text, the last of which the number stands before.
    """
    text = path.read_text()
    end = text.rindex(before) if before else len(text)
    match = list(re.finditer(r"(?<![\w.-])\d+\.\d+(?![\w.-])", text[:end]))[-1]
    old = match[0]
    new = old[:-1] + str((int(old[-1]) + 1) % 10)
    path.write_text(text[: match.start()] + new + text[match.end() :])
    return text.count("\n", 0, match.start()) + 1, old, new


def change_digits(report: Path, names: Sequence[str]) -> list[tuple[str, int, str, str]]:
    """Change a digit in each of the files and two in the page; the name of each with what `change_digit` returns."""
    changed = [(name, *change_digit(report / name)) for name in names]
    return changed + [("report.html", *change_digit(report / "report.html", before)) for before in PAGE]


def assert_named(changed: Sequence[tuple[str, int, str, str]], told: str) -> None:
    """Every digit that was changed is named with what should stand there, and nothing else is."""
    wrong = [text for text in told.splitlines() if text.startswith("WRONG")]
    assert len(wrong) == len(changed), told
    for name, line, old, new in changed:
        (text,) = [text for text in wrong if text.startswith(f"WRONG     {name}:{line}: stands '")]
        stands, _, should = text.partition(", the run gives ")
        assert new in stands
        assert old in should


def test_a_run_and_its_report_are_traced(made):
    done = bench("verify", made)
    assert done.exit_code == 0, done.stdout
    digest = open_run(made).digest
    assert f"digest {digest}" in done.stdout
    assert done.stdout.endswith("run: everything was traced\n")
    assert digest in (made / "report/report.md").read_text()
    assert bench("verify", made, "--digest", digest[:16]).exit_code == 0


@pytest.fixture
def drawn(bare, monkeypatch) -> Path:
    """The run with its report in all formats, and one figure."""
    latency = plugins.figures()["latency"]
    monkeypatch.setattr(plugins, "figures", lambda: {"latency": latency})
    write_report(bare)
    return bare


def test_a_digit_changed_in_a_report_of_any_format_is_named_with_what_should_stand_there(drawn):
    assert bench("verify", drawn).exit_code == 0
    changed = change_digits(drawn / "report", TEXTS)
    done = bench("verify", drawn)
    assert done.exit_code == 1
    assert_named(changed, done.stdout)


def test_a_picture_that_is_changed_is_told_and_no_alarm_under_another_matplotlib(drawn):
    assert open_run(drawn).digest in (drawn / "report/latex/macros.tex").read_text()
    picture = drawn / "report/figures/latency.png"
    picture.write_bytes(picture.read_bytes() + b"\0")
    done = bench("verify", drawn)
    assert done.exit_code == 1
    assert "figures/latency.png: the picture is not the one that the run gives" in done.stdout
    path = drawn / "report" / receipt.NAME
    document = json.loads(path.read_text())
    document["drawing"] = {"matplotlib": "3.0.0"}
    path.write_text(json.dumps(document))
    done = bench("verify", drawn)
    assert done.exit_code == 0, done.stdout
    assert "1 picture drawn by other versions: not compared" in done.stdout


def test_without_figures_numbers_are_held_against_the_run_and_pictures_are_not(drawn):
    picture = drawn / "report/figures/latency.png"
    picture.write_bytes(picture.read_bytes() + b"\0")
    done = bench("verify", drawn, "--no-figures")
    assert done.exit_code == 0, done.stdout
    assert "5 pictures not drawn anew (--no-figures): not compared, but for the data (CSV)" in done.stdout
    page = drawn / "report/report.html"
    lines = page.read_text().splitlines()
    change_digit(drawn / "report/figures/latency.csv")
    line, _old, new = change_digit(page)
    assert any("</svg>" in above for above in lines[:line])  # below a drawing, and yet told by its number in the file
    done = bench("verify", drawn, "--no-figures")
    assert done.exit_code == 1
    assert re.search(r"WRONG     figures/latency.csv:\d+: stands", done.stdout)
    assert re.search(rf"WRONG     report.html:{line}: stands '.*{re.escape(new)}", done.stdout)


def test_a_report_of_several_runs_is_traced_to_all_of_them(tmp_path):
    runs, out = tmp_path / "runs", tmp_path / "out"
    device = Device(kind="cuda", index=0, name="Big Board 9", memory_bytes=None)
    how = {"backends": ("eager", "xla"), "rounds": 2, "points": llm_points(("decode",)), "headline": "decode"}
    here = store(synthetic_run(seed=1, **how), runs)
    there = store(synthetic_run(seed=2, device=device, **how), runs)
    written = bench("compare", here, there, "--report", out, "--price", "Board=2 USD/hour")
    assert written.exit_code == 0, written.output
    done = bench("verify", out, "--runs", runs)
    assert done.exit_code == 0, done.stdout
    assert done.stdout.endswith("comparison: everything was traced\n")
    assert f"holds     {there.name}: run: every file has its hash" in done.stdout
    assert json.loads(bench("verify", out, "--runs", runs, "--json").stdout)["what"] == "comparison"
    assert bench("verify", out, "--runs", tmp_path, "--run", here, "--run", there).exit_code == 0
    done = bench("verify", out, "--runs", tmp_path, "--run", here)
    assert done.exit_code == 1
    assert f"the run {there.name} that it was made from cannot be found" in done.stdout
    changed = change_digits(out, ("report.md", "csv/all.csv", "latex/tables/across-latency.tex", "typst/report.typ"))
    done = bench("verify", out, "--runs", runs)
    assert done.exit_code == 1
    assert_named(changed, done.stdout)
    receipt_path = out / receipt.NAME
    receipt_path.write_text(receipt_path.read_text().replace('"per_hour": 2.0', '"per_hour": 3.0'))
    done = bench("verify", out, "--runs", runs)
    assert "WRONG     csv/across-cost.csv" in done.stdout
    change_sample(there, lambda value: value - 1e-9)
    mend_hashes(there)
    done = bench("verify", out, "--runs", runs)
    assert f"WRONG     {there.name}: launch" in done.stdout
    assert f"made from another state of run {there.name}" in done.stdout


def test_every_table_of_a_run_is_held_against_its_samples(tmp_path):
    made = synthetic_run(backends=("eager",), rounds=2, points=llm_points(("decode",)), headline="decode")
    path = store(held_against(metered_run(made), synthetic_ceilings()), tmp_path)
    write_report(path, ("csv",))
    assert bench("verify", path).exit_code == 0
    tables = ("efficiency", "roofs", "energy", "memory", "startup")
    changed = {table: change_digit(path / f"report/csv/{table}.csv") for table in tables}
    done = bench("verify", path)
    assert done.exit_code == 1
    for table, (line, _, new) in changed.items():
        assert re.search(rf"WRONG     csv/{table}.csv:{line}: stands '.*{re.escape(new)}", done.stdout), table


def test_a_grade_that_its_readings_do_not_give_is_told(bare):
    path = bare / "segment-000/segment.json"
    document = json.loads(path.read_text())
    document["segment"]["noise"]["readings"]["hiccup_share"]["value"] = 0.5
    path.write_text(json.dumps(document))
    done = bench("verify", bare)
    assert done.exit_code == 1
    assert "WRONG     segment 0: its noise has grade A, and its readings give F" in done.stdout


def test_a_file_that_no_format_writes_is_untraced(run):
    (run / "report" / "mine.csv").write_text("speedup,3.0\n")
    done = bench("verify", run)
    assert done.exit_code == 1
    assert "UNTRACED  mine.csv: no format of this report writes it" in done.stdout


def test_a_report_elsewhere_is_traced_to_the_run_that_it_names(made, run, tmp_path):
    folder = Path(shutil.copytree(made / "report", tmp_path / "paper"))
    assert bench("verify", folder, "--runs", made.parent).exit_code == 0
    assert bench("verify", folder, "--run", made).exit_code == 0
    done = bench("verify", folder, "--runs", tmp_path / "nothing")
    assert done.exit_code == 1
    assert "UNTRACED" in done.stdout
    assert "cannot be found" in done.stdout
    change_digit(folder / "report.md")
    assert bench("verify", folder, "--runs", made.parent).exit_code == 1


def test_a_report_in_a_run_whose_folder_was_renamed_is_traced_to_that_run(run, tmp_path):
    renamed = run.rename(run.parent / "before-tuning")
    done = bench("verify", renamed / "report", "--runs", tmp_path / "nothing", "--no-figures")
    assert done.exit_code == 0, done.stdout


def test_a_report_without_its_receipt_is_compared_by_the_files_that_it_has(run, drawn):
    (run / "report" / receipt.NAME).unlink()
    done = bench("verify", run)
    assert done.exit_code == 0, done.stdout
    every = sorted(name for name, entry in plugins.reports().items() if kind(entry) != "export")
    assert f"taken to be {', '.join(every)}, with" in done.stdout
    shutil.move(run / "report/csv", run / "csv")
    shutil.rmtree(run / "report")
    (run / "report").mkdir()
    shutil.move(run / "csv", run / "report/csv")
    done = bench("verify", run)
    assert done.exit_code == 0, done.stdout
    assert "taken to be csv, with" in done.stdout
    change_digit(run / "report/csv/all.csv")
    assert bench("verify", run).exit_code == 1


def test_formats_written_one_after_the_other_are_all_traced(bare):
    write_report(bare, ("csv", "markdown"))
    write_report(bare, ("bencher",))
    write_report(bare, ("csv",))
    done = bench("verify", bare)
    assert done.exit_code == 0, done.stdout
    made = receipt.read_receipt(bare / "report")
    assert made is not None
    assert [batch.formats for batch in made.batches] == [("markdown",), ("bencher",), ("csv",)]


def test_results_of_other_tools_are_untraced_until_they_are_given(bare, tmp_path):
    other = tmp_path / "other.json"
    entry = {"name": "fib", "stats": {"median": 1.0, "q1": 0.9, "q3": 1.1, "rounds": 5, "mean": 1.0, "stddev": 0.1,
             "min": 0.9, "max": 1.1, "iterations": 1}}  # fmt: skip
    other.write_text(json.dumps({"machine_info": {}, "version": "5.1.0", "benchmarks": [entry]}))
    write_report(bare, ("csv",), beside=[other])
    done = bench("verify", bare)
    assert done.exit_code == 1
    assert "other.json: results of another tool" in done.stdout
    assert re.search(r"UNTRACED  report: \d+ files not looked at, as csv may have written them", done.stdout)
    assert done.stdout.count("UNTRACED") == 2
    assert bench("verify", bare, "--with", other).exit_code == 0


@pytest.mark.parametrize("seal", [True, False], ids=["today", "old"])
def test_a_digit_changed_in_a_sample_is_told(tmp_path, seal):
    made = synthetic_run(backends=("eager", "xla"), rounds=2, points=llm_points(("decode",)), headline="decode")
    path = store(made, tmp_path, seal=seal)
    assert bench("verify", path).exit_code == 0
    change_sample(path, lambda value: value - 1e-9)
    done = bench("verify", path)
    assert done.exit_code == 1
    assert "WRONG     segment-000/samples.parquet" in done.stdout


def test_a_digit_changed_in_a_sample_with_its_hash_mended_is_told(bare):
    change_sample(bare, lambda value: value - 1e-9)
    mend_hashes(bare)
    done = bench("verify", bare)
    assert done.exit_code == 1
    assert "the samples are not those that the worker measured" in done.stdout


def test_with_all_digests_mended_the_report_and_the_printed_digest_still_tell(run):
    """Who mends everything inside the run is caught by what was printed before."""
    before = open_run(run).digest
    assert before is not None
    change_sample(run, lambda value: value * 0.7)
    mend_hashes(run)
    for line in range(len((run / "segment-000/results.jsonl").read_text().splitlines())):
        change_result(run, lambda value: [entry.update(digest="") for entry in value["measurements"]], line)
    mend_hashes(run)
    assert bench("verify", run, "--digest", before).exit_code == 1
    done = bench("verify", run)
    assert done.exit_code == 1
    assert f"made from another state of run {run.name}" in done.stdout
    shutil.rmtree(run / "report")
    done = bench("verify", run, "--digest", before)
    assert done.exit_code == 1
    assert "this is not the run that was meant" in done.stdout


def test_sums_that_were_given_out_with_a_run_are_held_against_it(bare):
    names = sorted(path for path in bare.rglob("*") if path.is_file() and not path.name.startswith("."))
    lines = subprocess.run(["sha256sum", *names], capture_output=True, text=True, check=True).stdout
    (bare.parent / "SHA256SUMS").write_text(lines.replace(f"{bare.parent}/", ""))
    done = bench("verify", bare)
    assert done.exit_code == 0, done.stdout
    assert "SHA256SUMS: 5 files are those that were given out" in done.stdout
    change_result(bare, lambda value: value.update(reason="well"))
    mend_hashes(bare)
    done = bench("verify", bare)
    assert done.exit_code == 1
    assert f"{bare.name}/segment-000/results.jsonl: its sha256 is" in done.stdout


def test_the_answer_as_data(made):
    done = bench("verify", made, "--json")
    document = json.loads(done.stdout)
    assert document["kind"] == "steelyard-verification"
    assert document["whole"] is True
    assert document["digest"] == open_run(made).digest
    assert {finding["kind"] for finding in document["findings"]} <= {"holds", "note"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("--digest", "abc"), "at least 12 hex digits"), (("--with", "/nowhere/at/all"), "no such file")],
)
def test_wrong_usage_is_told(made, arguments, said):
    done = CliRunner().invoke(app, ["verify", str(made), *arguments])
    assert said in str(done.exception)


def test_a_bundle_is_traced_packed_and_unpacked_and_a_changed_file_is_told(made, tmp_path):
    packed = write_bundle(made, tmp_path / "b.tar.gz", formats=PLAIN)
    assert bench("verify", packed).exit_code == 0
    subprocess.run(["tar", "-xzf", packed, "-C", tmp_path], check=True)
    root = tmp_path / made.name
    assert subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=root, check=False).returncode == 0
    done = bench("verify", root)
    assert done.exit_code == 0, done.stdout
    change_digit(root / "README.md")
    done = bench("verify", root)
    assert done.exit_code == 1
    assert "README.md: its sha256 is" in done.stdout
    assert re.search(r"WRONG     README.md:\d+: stands", done.stdout)
