"""`bench fleet goodput`: what stored runs made of their time."""

import dataclasses
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from steelyard.analysis.machine_time import MachineTime
from steelyard.cli.main import app
from steelyard.core.errors import StoreError
from steelyard.service import goodput
from steelyard.service.goodput import in_words
from tests.fakes.runs import synthetic_run

PUBLISHED = Path(__file__).parents[2] / "results" / "published"


def test_the_runs_of_a_device_are_added_up():
    names = sorted(path.name for path in PUBLISHED.iterdir() if path.is_dir())
    done = CliRunner().invoke(app, ["fleet", "goodput", "--runs", str(PUBLISHED), "--json"])
    assert done.exit_code == 0, done.output
    devices = json.loads(done.stdout)["devices"]
    assert sum(each["runs"] for each in devices) == len(names) - 1, "one of them is traced, and times nothing"
    for each in devices:
        assert 0 < each["runtime"] < each["availability"] <= 1
        assert each["goodput"] is None or each["goodput"] == pytest.approx(
            each["availability"] * each["runtime"] * each["program"]
        )
    done = CliRunner().invoke(app, ["fleet", "goodput", names[0], "--runs", str(PUBLISHED)])
    assert done.exit_code == 0, done.output
    assert "100 %" in done.stdout
    assert "goodput" in done.stdout


def test_a_run_that_is_part_of_a_joined_one_or_cannot_be_read_is_not_counted(tmp_path, monkeypatch):
    one, other, broken = (tmp_path / name for name in ("one", "other", "broken"))
    part = synthetic_run()
    whole = dataclasses.replace(
        part,
        manifest=dataclasses.replace(
            part.manifest, run_id="joined", plan={**part.manifest.plan, "joined": {part.manifest.run_id: "digest"}}
        ),
    )

    def opened(path):
        if path == broken:
            raise StoreError("cut off")
        return {one: part, other: whole}[path]

    monkeypatch.setattr(goodput, "open_run", opened)
    found = goodput.by_device([one, one, other, broken])
    assert found.unread == {broken: "cut off"}
    assert [count for count, _ in found.devices.values()] == [1]
    assert found.devices == goodput.by_device([other]).devices
    assert found.devices == goodput.by_device([one, one]).devices, "the same launches"


def test_it_is_told_in_a_sentence():
    spent = MachineTime(spent_s=100, sound_s=80, timed_s=40, rated_s=40, ideal_s=10)
    assert in_words(spent) == (
        "100 s of launches: 80 % of launches that count, 50 % of these timed calls, 25 % of the ceiling reached in "
        "them, 10 % goodput"
    )
    assert in_words(MachineTime()) == "nothing was launched"
