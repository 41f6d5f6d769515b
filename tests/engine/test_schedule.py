"""How the time that is left is shared out between rounds and windows."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from steelyard.engine.schedule import SHORTEST_WINDOW_S, Aim, RoundCosts, fit

AIM = Aim(rounds=8, fewest=4, window_s=2.0, minimum={"decode": 10, "generate": 5}, headline=["decode"])
ARMS = ("eager", "xla", "control")
CALLS_S = {"decode": 0.02, "generate": 1.0}
COSTS = RoundCosts(launches_s=30.0, calls={(arm, point): call_s for arm in ARMS for point, call_s in CALLS_S.items()})


def test_with_time_enough_all_is_as_asked_for():
    found = fit(COSTS, AIM, 3600.0)
    assert (found.rounds, found.windows, found.missing_s) == (8, {"decode": 2.0, "generate": 2.0}, 0.0)


def test_a_window_lasts_at_least_as_long_as_its_fewest_calls():
    found = fit(COSTS, AIM, 3600.0)
    assert found.round_s == 30.0 + 3 * (2.0 + 0.01) + 3 * (5 * 1.0 + 0.5)


def test_windows_give_way_before_rounds_do_and_those_of_the_headline_last():
    calls = {(arm, point): 0.02 for arm in ARMS for point in AIM.minimum}
    costs = replace(COSTS, calls=calls)
    pressed = fit(costs, AIM, 8 * (30.0 + 3 * (2.0 + 1.5) + 0.06))
    assert (pressed.rounds, pressed.windows["decode"]) == (8, 2.0)
    assert abs(pressed.windows["generate"] - 1.5) < 1e-6
    harder = fit(costs, AIM, 8 * (30.0 + 3 * (1.2 + 1.0) + 0.06))
    assert (harder.rounds, harder.windows["generate"]) == (8, 1.0)
    assert abs(harder.windows["decode"] - 1.2) < 1e-6


def test_what_is_missing_for_a_verdict_is_told():
    least = COSTS.round_s(dict.fromkeys(AIM.minimum, SHORTEST_WINDOW_S), AIM.minimum)
    found = fit(COSTS, AIM, 3.5 * least)
    assert found.rounds == 3
    assert abs(found.missing_s - 0.5 * least) < 1e-6
    assert fit(COSTS, AIM, -5.0).rounds == 0


def test_the_fewest_rounds_that_carry_a_verdict_may_take_the_overtime_and_no_others():
    least = COSTS.round_s(dict.fromkeys(AIM.minimum, SHORTEST_WINDOW_S), AIM.minimum)
    found = fit(COSTS, AIM, 3.5 * least, 0.6 * least)
    assert (found.rounds, found.missing_s) == (4, 0.0)
    assert abs(found.over_s - 0.5 * least) < 1e-6
    assert fit(COSTS, AIM, 3.5 * least, 0.4 * least).rounds == 3
    more = fit(COSTS, AIM, 5.9 * least, 0.6 * least)
    assert (more.rounds, more.over_s) == (5, 0.0)
    over = fit(COSTS, replace(AIM, rounds=4, fewest=0), -5.0, 60.0)
    assert (over.rounds, over.over_s, over.missing_s) == (0, 0.0, 0.0), "they have their verdicts"


def test_windows_that_were_asked_for_shorter_stay_so():
    found = fit(COSTS, replace(AIM, window_s=0.05), 8 * 50.0)
    assert set(found.windows.values()) == {0.05}


@given(
    left_s=st.floats(-100, 10_000),
    launches_s=st.floats(0, 500),
    calls=st.lists(st.floats(1e-5, 20.0), min_size=2, max_size=2),
    rounds=st.integers(1, 30),
    window_s=st.floats(0.01, 10.0),
    overtime_s=st.floats(0, 1000),
)
def test_a_schedule_fits_its_time(left_s, launches_s, calls, rounds, window_s, overtime_s):
    costs = RoundCosts(
        launches_s=launches_s,
        calls={(arm, point): call for arm in ("a", "b") for point, call in zip(AIM.minimum, calls, strict=True)},
    )
    aim = replace(AIM, rounds=rounds, fewest=min(4, rounds), window_s=window_s)
    found = fit(costs, aim, left_s, overtime_s)
    assert 0 <= found.rounds <= rounds
    assert found.over_s <= overtime_s
    assert not found.over_s or found.rounds == aim.fewest
    assert found.rounds * found.round_s <= max(0.0, left_s + found.over_s) + 1e-6
    assert all(min(window_s, SHORTEST_WINDOW_S) <= window <= window_s for window in found.windows.values())
    fewest_calls_s = AIM.minimum["generate"] * calls[1]  # a window that lasts so long anyway costs nothing
    assert found.windows["generate"] <= max(found.windows["decode"], fewest_calls_s)
    assert (found.missing_s > 0) == (found.rounds < aim.fewest)
