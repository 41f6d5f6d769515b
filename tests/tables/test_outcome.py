"""How an arm fared at a point: the worst of its launches, whichever came last."""

from itertools import permutations

import pytest

from steelyard.core.result import Result, Status
from steelyard.tables.outcome import outcome_of, together


def result(status: Status, number: int) -> Result:
    return Result(
        case_id="c",
        arm="xla",
        round=number,
        position=0,
        launch=str(number),
        status=status,
        stage="check",
        reason=f"it was {status}",
    )


@pytest.mark.parametrize("statuses", list(permutations(("ok", "crashed", "incorrect", "skipped"))))
def test_a_wrong_answer_weighs_more_than_a_crash_in_any_order(statuses: tuple[Status, ...]) -> None:
    found = outcome_of([result(status, number) for number, status in enumerate(statuses)])
    assert (found.status, found.reason, found.ok, found.launches) == ("incorrect", "it was incorrect", 1, 4)
    assert not found.speed
    assert found.remark == "incorrect at check in 3 of 4 launches: it was incorrect"


@pytest.mark.parametrize("statuses", list(permutations(("ok", "crashed", "incorrect"))))
def test_outcomes_of_several_runs_are_the_worst_of_them_with_the_launches_of_all(statuses: tuple[Status, ...]) -> None:
    found = together([outcome_of([result(status, 0), result("ok", 1)]) for status in statuses])
    assert (found.status, found.ok, found.launches) == ("incorrect", 4, 6)


def test_all_ok_is_ok() -> None:
    found = outcome_of([result("ok", 0), result("ok", 1)])
    assert (found.status, found.ok, found.launches, found.speed) == ("ok", 2, 2, True)
