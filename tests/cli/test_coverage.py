"""`bench coverage`: statuses kept as a file, and what ended otherwise since, in both directions."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from steelyard.cli.main import app
from steelyard.core.errors import UsageError
from steelyard.service.statuses import differences, read, statuses_of, write
from steelyard.tables.build import build
from tests.fakes.runs import Outcome, llm_points, synthetic_run

FAILED = Outcome(status="unsupported", stage="compile", reason="no rule for 'aten.foo' in layer 7")
POINTS = llm_points(workloads=("prefill", "decode"), batches=(1, 2, 4, 8))


def statuses(**failed: Outcome):
    named = {("xla", workload): outcome for workload, outcome in failed.items()}
    return statuses_of(synthetic_run(backends=("eager", "xla"), points=POINTS, statuses=named))


def test_statuses_are_kept_and_read_back(tmp_path: Path) -> None:
    kept = statuses(decode=FAILED)
    write(kept, tmp_path / "statuses.json")
    assert read(tmp_path / "statuses.json") == kept
    title = next(title for title in kept.statuses if title.startswith("decode"))
    assert kept.statuses[title]["xla"] == "unsupported"
    assert kept.statuses[title]["tensorrt"] == "unsupported"  # left out before it began
    text = (tmp_path / "statuses.json").read_text()
    assert sum(title in line for line in text.splitlines()) == 1
    assert json.loads(text)["versions"]


def test_what_works_now_is_a_difference_as_what_fails_now() -> None:
    before, after = statuses(decode=FAILED), statuses(prefill=FAILED)
    found = {(item.title.split()[0], item.before, item.after) for item in differences(before, after)}
    assert found == {("decode", "unsupported", "ok"), ("prefill", "ok", "unsupported")}
    assert not list(differences(before, before))


def test_new_and_gone_configurations_are_told() -> None:
    fewer = statuses_of(synthetic_run(backends=("eager", "xla"), points=POINTS[:4]))
    assert {item.after for item in differences(statuses(), fewer)} == {"absent"}
    assert {item.before for item in differences(fewer, statuses())} == {"absent"}


def test_a_job_ends_with_1_where_anything_changed(tmp_path: Path) -> None:
    old, new = str(tmp_path / "old.json"), str(tmp_path / "new.json")
    write(statuses(decode=FAILED), Path(old))
    write(statuses(), Path(new))
    same = CliRunner().invoke(app, ["coverage", "diff", old, old])
    assert (same.exit_code, "nothing ended otherwise" in same.stdout) == (0, True)
    changed = CliRunner().invoke(app, ["coverage", "diff", old, new])
    assert changed.exit_code == 1
    assert "xla 4 of 8" in changed.stdout
    assert "xla 8 of 8" in changed.stdout
    assert changed.stdout.count("unsupported") == 4


def test_a_part_is_held_against_the_whole_by_what_both_have(tmp_path: Path) -> None:
    whole, part, other = (str(tmp_path / f"{name}.json") for name in ("whole", "part", "other"))
    named = {("xla", "decode"): FAILED}
    write(statuses(decode=FAILED), Path(whole))
    write(statuses_of(synthetic_run(backends=("xla",), points=POINTS[4:], statuses=named)), Path(part))
    write(statuses_of(synthetic_run(backends=("xla",), points=llm_points(("decode",), batches=(3,)))), Path(other))
    assert CliRunner().invoke(app, ["coverage", "diff", whole, part]).exit_code == 1
    same = CliRunner().invoke(app, ["coverage", "diff", "--common", whole, part])
    assert (same.exit_code, "nothing ended otherwise" in same.stdout) == (0, True)
    assert "eager" not in same.stdout
    nothing = CliRunner().invoke(app, ["coverage", "diff", "--common", whole, other])
    assert isinstance(nothing.exception, UsageError)


def test_a_file_that_holds_no_statuses_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"suite": 3}')
    with pytest.raises(Exception, match=r"other\.json: not a valid Statuses"):
        read(tmp_path / "other.json")


def test_failures_stand_together_by_their_cause() -> None:
    run = synthetic_run(backends=("eager", "xla"), points=POINTS, statuses={("xla", "decode"): FAILED})
    table = build(run).table("causes")
    (row,) = table.rows
    assert table.cell(row, "count").value == 4
    assert table.cell(row, "reason").text == FAILED.reason
    assert "and 1 more" in table.cell(row, "where").text
    assert "causes" not in [each.name for each in build(synthetic_run()).tables]
