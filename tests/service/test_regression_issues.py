"""Confirmed regressions as files for an issue tracker: one each, the same title every night, nothing hostile in it."""

from dataclasses import replace
from pathlib import Path

from steelyard.core.comparison import Estimate, Interval
from steelyard.history.changes import Change, told
from steelyard.service.confirming import Alarm
from steelyard.service.regression_issues import write_issues
from tests.history.nights import SERIES, nights

VERSIONS = [{"jax": "0.10.1"}] * 6 + [{"jax": "0.10.2"}] * 6


def change_of(title: str = SERIES.title) -> Change:
    series = replace(SERIES, title=title)
    (found,) = told(nights([1.0] * 6 + [1.2] * 6, VERSIONS, series))
    (change,) = found.changes
    return change


def alarm_of(title: str = SERIES.title, outcome: str = "confirmed") -> Alarm:
    speedup = Estimate(value=0.83, interval=Interval(low=0.81, high=0.85, confidence=0.95), n=8)
    return Alarm(change=change_of(title), outcome=outcome, told="xla@0.10.1 against xla: slower, run", speedup=speedup)  # type: ignore[arg-type]


def test_each_confirmed_regression_is_a_file_with_its_title_first(tmp_path: Path) -> None:
    alarms = [alarm_of(), alarm_of("prefill batch=4"), alarm_of("other", "refuted"), alarm_of("more", "undecided")]
    files = write_issues(alarms, tmp_path / "issues")
    titles = [file.read_text().splitlines()[0] for file in files]
    assert titles == [
        "slower: xla, llm decode batch=1, latency on cpu",
        "slower: xla, llm prefill batch=4, latency on cpu",
    ]
    _, empty, *text = files[0].read_text().splitlines()
    assert empty == ""
    assert "0.830 [0.810, 0.850]" in "\n".join(text)
    assert "jax 0.10.1 -> 0.10.2" in "\n".join(text)
    assert sorted(tmp_path.glob("issues/*.md")) == sorted(files)


def test_a_night_without_regressions_leaves_none_of_the_night_before(tmp_path: Path) -> None:
    write_issues([alarm_of()], tmp_path)
    assert write_issues([], tmp_path) == ()
    assert list(tmp_path.iterdir()) == []


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Mine\n")
    write_issues([alarm_of()], tmp_path)
    write_issues([], tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["README.md"]


def test_a_title_is_one_line_and_a_file_stays_in_its_folder(tmp_path: Path) -> None:
    (file,) = write_issues([alarm_of("../../etc\n# <script>`x`")], tmp_path)
    assert file.parent == tmp_path
    assert file.read_text().splitlines()[0] == "slower: xla, llm ../../etc # <script>`x`, latency on cpu"
