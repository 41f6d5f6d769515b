"""What README shows is what the published run holds: recomputed from its samples."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from steelyard.artifact.sums import read_sums, run_files
from steelyard.cli.main import app
from steelyard.core.targets import SEEN, target
from steelyard.service.reporting import write_run
from steelyard.store import open_run

ROOT = Path(__file__).parents[2]
PUBLISHED = sorted(path.parent for path in (ROOT / "results/published").glob("*/manifest.json"))


def rows(text: str) -> set[str]:
    """The rows of all tables whose first column is a backend."""
    return {line for line in text.splitlines() if line.startswith("|") and "\\[" in line}


def test_there_is_a_published_run():
    assert PUBLISHED


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.name)
def test_a_published_run_is_whole_and_what_is_not_ok_says_why_no_backend_can_run_it(path: Path):
    run = open_run(path)
    assert {result.status for result in run.results} <= {"ok", "unsupported"}
    assert all(result.reason for result in run.results if result.status == "unsupported")
    ran = {run.case(result.case_id).point.key for result in run.results if result.status == "ok"}
    assert ran == {case.point.key for case in run.manifest.cases}
    assert all(segment.ended != "recovered" for segment in run.segments)


def test_a_target_is_seen_where_a_published_run_shows_it_and_nowhere_else():
    shown = {
        (target(arm.backend), run.manifest.device.kind): run.manifest.run_id
        for run in map(open_run, PUBLISHED)
        for arm in run.manifest.arms
        if run.manifest.device.kind != "cpu"
    }
    assert set(SEEN) == set(shown)
    assert set(SEEN.values()) <= set(shown.values())


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.name)
def test_a_published_run_is_traced_to_its_samples_sums_and_digest(path: Path):
    page = (path.parent / "README.md").read_text()
    digest = open_run(path).digest
    assert f"| {path.name} | `{digest}` |" in page
    done = CliRunner().invoke(app, ["verify", str(path), "--digest", str(digest)])
    assert done.exit_code == 0, done.output
    assert "SHA256SUMS: 5 files are those that were given out" in done.output


def test_the_sums_name_every_published_file_and_no_other():
    found = {f"{path.name}/{name}" for path in PUBLISHED for name in run_files(path)}
    assert set(read_sums(ROOT / "results/published/SHA256SUMS")) == found


@pytest.mark.parametrize("document", ["README.md", "docs/store.md"])
def test_the_example_in_sql_pools_nothing_that_did_different_work(document: str):
    (sql,) = re.findall(r'^bench store query "(.*)"$', (ROOT / document).read_text(), re.M)
    done = CliRunner().invoke(
        app, ["store", "query", sql, "--runs", str(ROOT / "results/published"), "--format", "json"]
    )
    assert done.exit_code == 0, done.output
    told = {tuple(row[:-1]): row[-1] for row in json.loads(done.stdout)["rows"]}
    samples: dict[tuple[str, ...], list[float]] = {}
    for run in map(open_run, PUBLISHED):
        titles = {case.id: case.point.title for case in run.manifest.cases}
        for result in run.results:
            for taken in result.measurements:
                key = (run.manifest.run_id, titles[result.case_id], result.arm, taken.metric)
                samples.setdefault(key, []).extend(taken.samples)
    assert told == {key: pytest.approx(np.median(values), rel=1e-12) for key, values in samples.items() if values}


def test_readme_shows_the_rows_of_its_run(tmp_path: Path):
    readme = (ROOT / "README.md").read_text()
    (path,) = [path for path in PUBLISHED if path.name in readme]
    write_run(open_run(path), ("markdown",), tmp_path)
    shown = rows(readme)
    assert len(shown) >= 5
    assert shown <= rows((tmp_path / "report.md").read_text())
