"""`bench verify` on every published run, and on a report made from it."""

import re
import shutil
from pathlib import Path

import pytest

from steelyard import plugins
from steelyard.service.reporting import write_report
from steelyard.store import open_run
from tests.cli.test_verify import TEXTS, assert_named, bench, change_digits
from tests.fakes.stored import change_sample, mend_hashes

FOLDER = Path(__file__).parents[2] / "results/published"
ALL = sorted(path.parent for path in FOLDER.glob("*/manifest.json"))
RUNS = [path for path in ALL if not open_run(path).traced]
"""Those that hold samples."""


def copied(run: Path, directory: Path) -> Path:
    """A copy of a published run, without the sums that were given out with it."""
    return Path(shutil.copytree(run, directory / run.name, ignore=shutil.ignore_patterns(".lock")))


@pytest.fixture(params=RUNS, ids=lambda run: run.name)
def published(request, tmp_path) -> Path:
    """A copy of each published run, with the sums."""
    shutil.copy(FOLDER / "SHA256SUMS", tmp_path)
    return copied(request.param, tmp_path)


def test_there_are_published_runs_and_all_have_their_sums():
    listed = {line.split()[1].partition("/")[0] for line in (FOLDER / "SHA256SUMS").read_text().splitlines()}
    assert {run.name for run in ALL} == listed
    assert RUNS


@pytest.mark.parametrize("run", [path for path in ALL if path not in RUNS], ids=lambda run: run.name)
def test_a_traced_run_is_traced_to_what_its_launches_told(run, tmp_path, monkeypatch):
    monkeypatch.setattr(plugins, "figures", dict)
    shutil.copy(FOLDER / "SHA256SUMS", tmp_path)
    made = copied(run, tmp_path)
    write_report(made, ("markdown", "csv"))
    assert bench("verify", made).exit_code == 0
    page = made / "report" / "report.md"
    page.write_text(
        re.sub(r"(?<=\d\.)(\d)(?= \|)", lambda digit: str((int(digit[0]) + 5) % 10), page.read_text(), count=1)
    )
    done = bench("verify", made)
    assert done.exit_code == 1
    assert "report.md" in done.stdout


def test_a_report_of_a_published_run_is_traced_and_every_digit_changed_in_it_is_named(published, monkeypatch):
    monkeypatch.setattr(plugins, "figures", dict)  # drawing is most of the time; test_verify.py has a figure
    write_report(published)
    done = bench("verify", published)
    assert done.exit_code == 0, done.stdout
    assert done.stdout.endswith("run: everything was traced\n")
    changed = change_digits(published / "report", [name for name in TEXTS if not name.startswith("figures")])
    done = bench("verify", published)
    assert done.exit_code == 1
    assert_named(changed, done.stdout)


def test_a_sample_of_a_published_run_is_told_and_with_its_hash_mended_by_the_sums(published):
    assert bench("verify", published).exit_code == 0
    change_sample(published, lambda value: value * (1 - 1e-9))
    done = bench("verify", published)
    assert done.exit_code == 1
    assert "WRONG     segment-000/samples.parquet: damaged or edited" in done.stdout
    mend_hashes(published)
    done = bench("verify", published)
    assert done.exit_code == 1
    assert "WRONG     segment-000/samples.parquet" not in done.stdout
    assert f"WRONG     {published.name}/segment-000/samples.parquet: its sha256 is" in done.stdout


@pytest.mark.parametrize("metric", ["latency_s", "tpot_s"])
def test_in_a_run_without_digests_a_mended_sample_is_told_by_the_order_in_time(metric, tmp_path):
    """The run of 2026-11-22 was measured before workers made digests."""
    (run,) = (run for run in RUNS if run.name.startswith("20261122"))
    made = copied(run, tmp_path)
    change_sample(made, lambda value: value * 1.5, metric, row=40)
    mend_hashes(made)
    done = bench("verify", made)
    assert done.exit_code == 1
    assert re.search(rf"WRONG     launch .*{metric}: |WRONG     launch .*answer \d+: its tokens", done.stdout)
