"""What docs/history.md says of false alarms and of steps, at a reduced count."""

from tests.history.simulate import alarms, confirmed, confirmed_share


def test_series_that_never_become_slower_raise_no_alarm() -> None:
    assert alarms(series=10, noise=0.02, seed=3)[2] == 0
    assert alarms(series=5, noise=0.01, seed=3, drift=0.05)[2] == 0


def test_a_step_of_five_percent_is_confirmed_within_three_nights() -> None:
    assert confirmed(series=40, noise=0.02, step=0.05, seed=4)[0] >= 0.9


def test_a_run_of_old_and_new_calls_what_is_slower_and_hardly_ever_what_is_not() -> None:
    assert confirmed_share(0.0) <= 0.005
    assert confirmed_share(0.05) >= 0.9
