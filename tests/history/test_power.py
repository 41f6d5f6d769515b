"""How often a history is wrong and how soon it sees a step, in a few of the series behind docs/history.md."""

from tests.history.simulate import confirmed_share, row


def test_no_false_alarm_and_a_step_of_five_percent_is_confirmed_within_three_nights() -> None:
    found = row(series=20, noise=0.01, step=0.05, seed=3)
    assert found.alarms == 0
    assert found.confirmed[0] >= 0.9


def test_a_run_of_old_and_new_calls_what_is_slower_and_hardly_ever_what_is_not() -> None:
    assert confirmed_share(0.0) <= 0.005
    assert confirmed_share(0.05) >= 0.9
