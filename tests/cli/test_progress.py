"""What a run says of its rounds: numbers of the whole run, however many segments it has."""

import json

from steelyard.cli.progress import Screen


def screen(*, before: int = 0, as_json: bool = False) -> Screen:
    return Screen(launches=3, as_json=as_json, time_s=None, started_s=0.0, before=before)


def test_a_new_run_counts_from_one(capsys):
    with screen() as told:
        told.round_begins(0, 30, None)
        told.round_begins(1, 30, None)
    assert capsys.readouterr().err == "cold round (then up to 30 more)\nround 1 (of at most 30)\n"


def test_a_resumed_run_counts_what_was_done_before(capsys):
    with screen(before=20) as told:
        told.round_begins(0, 22, None)
        told.round_begins(21, 22, None)
    assert capsys.readouterr().err == "cold round (then up to 2 more)\nround 21 (of at most 22)\n"


def test_json_has_the_number_of_the_last_round_that_may_come(capsys):
    with screen(before=20, as_json=True) as told:
        told.round_begins(21, 22, None)
    assert json.loads(capsys.readouterr().out) == {"event": "round", "round": 21, "planned": 22, "remaining_s": None}
