"""What stored files and runtimes say is shown: it moves no cursor, names no path, and ends no program."""

import io
import json
import sys
from pathlib import Path

import pytest

from steelyard.artifact.receipt import Batch
from steelyard.cli.main import main
from steelyard.core.errors import UsageError
from steelyard.core.run import SCHEMA_VERSION
from steelyard.service.rendering import renderer
from steelyard.service.screen import Screen
from steelyard.store import create_run, open_run, run_of_id
from tests.fakes.runs import llm_points, synthetic_run
from tests.fakes.stored import store

TITLE = "\x1b]0;owned\x07"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return store(synthetic_run(backends=("eager",), rounds=1, points=llm_points(("decode",))), tmp_path / "runs")


def test_an_error_shows_what_a_file_says_and_does_not_obey_it(path, monkeypatch, capsys):
    other = path.parent / "other"
    create_run(other, open_run(path).manifest).close()
    (journal,) = [run / "segment-000.open" for run in other.iterdir()]
    journal.mkdir()
    head = {"event": "segment", "value": {"schema_version": SCHEMA_VERSION}}
    lines = [json.dumps(event) for event in (head, {"event": TITLE, "value": {}})]
    (journal / "journal.jsonl").write_text("\n".join([*lines, ""]))
    monkeypatch.setattr(sys, "argv", ["bench", "show", "latest", "--runs", str(other)])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert "unknown event" in said
    assert "owned" in said
    assert "\x1b" not in said
    assert "\x07" not in said


def test_a_runtimes_words_on_the_screen_are_words(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with Screen(as_json=False) as screen:
        screen.line(f"xla: failed: {TITLE}\x1b[2J")
    assert stream.getvalue().startswith("xla: failed: ")
    assert "\x1b" not in stream.getvalue()


def test_an_id_out_of_a_file_is_never_a_path(path, monkeypatch):
    runs = path.parent
    assert run_of_id(runs, path.name) == path
    elsewhere = runs / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(path.parent)
    for name in (str(path), f"elsewhere/../{path.name}", "latest", path.name[:-1], "", ".", ".."):
        with pytest.raises(UsageError, match="there is no run"):
            run_of_id(runs, name)
    with pytest.raises(UsageError, match="there is no run"):
        renderer(elsewhere)(open_run(path), Batch(formats=("otava",), earlier=(str(path),)))
