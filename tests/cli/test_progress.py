"""What a run says of its rounds: numbers of the whole run, however many segments it has."""

import json
import sys
from dataclasses import replace

from steelyard.core.result import LaunchRecord
from steelyard.service.screen import Screen


def screen(*, before: int = 0, as_json: bool = False) -> Screen:
    made = Screen(as_json=as_json)
    made.goes_on(before)
    return made


def test_a_new_run_counts_from_one(capsys):
    with screen() as told:
        told.round_begins(0, 30, None, 3)
        told.round_begins(1, 30, None, 3)
    assert capsys.readouterr().err == "cold round (then up to 30 more)\nround 1 (of at most 30)\n"


def test_a_resumed_run_counts_what_was_done_before(capsys):
    with screen(before=20) as told:
        told.round_begins(0, 22, None, 3)
        told.round_begins(21, 22, None, 3)
    assert capsys.readouterr().err == "cold round (then up to 2 more)\nround 21 (of at most 22)\n"


def test_json_has_the_number_of_the_last_round_that_may_come(capsys):
    with screen(before=20, as_json=True) as told:
        told.round_begins(21, 22, None, 3)
    assert json.loads(capsys.readouterr().out) == {"event": "round", "round": 21, "planned": 22, "remaining_s": None}


def test_each_launch_is_told_with_the_time_that_is_left(capsys):
    record = LaunchRecord(
        launch="a", arm="xla", round=0, position=0, started_s=1.0, ended_s=13.4, exit_code=0, supervisor_cpu_s=0.0
    )
    with screen() as told:
        told.round_begins(0, 30, 600.2, 3)
        told.launch(record)
        told.round_begins(1, 30, 45.2, 3)
        told.launch(replace(record, round=1, ran_s=4.1))
    assert capsys.readouterr().err.splitlines() == [
        "cold round (about 10 min left)",
        "  xla: 12 s; about 10 min left",
        "round 1 (about 45 s left)",
        "  xla: 4 s; about 45 s left",
    ]


def test_the_bar_of_a_terminal_is_drawn_once_a_second(monkeypatch):
    """Ten times, as unasked, it took 1 % of a CPU that may be a measured one."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with screen() as told:
        assert told._bar.live.refresh_per_second == 1
