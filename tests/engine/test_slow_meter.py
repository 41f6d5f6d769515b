"""A meter that moves seldom makes the windows of energy long: the launch that meters is given the time for them."""

import dataclasses
import time

import pytest

from steelyard.core.energy import EnergySettings
from steelyard.engine import session as engine
from steelyard.engine.plan import DEFAULT_TIMEOUTS
from tests.engine.test_contaminated_rounds import Listener, plan_of  # noqa: F401 (a fixture)
from tests.fakes.numpy_work import lowered_point

PERIOD_S = 3.0
WINDOWS_S = 3 * 50 * PERIOD_S


def allowed(plan, monkeypatch, tmp_path) -> dict[str, float]:
    """The time-outs with which a segment's launches are made."""
    seen: list[dict[str, float]] = []

    def launch(request, *, timeouts, **_):
        seen.append(dict(timeouts))
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "run_launch", launch)
    lowered = {point.key: lowered_point(tmp_path / "point") for point in plan.points}
    engine.Session(plan, lowered, {}, Listener(), run_id="r", work=tmp_path, started_s=time.monotonic()).run()
    return seen[0]


@pytest.mark.parametrize("asked", [DEFAULT_TIMEOUTS["energy"], 20.0])
def test_the_time_out_of_energy_begins_where_its_windows_end(monkeypatch, tmp_path, plan_of, asked):  # noqa: F811
    log = tmp_path / "power.csv"
    now = time.time()
    log.write_text("unix_time_s,power_w\n" + "".join(f"{now + (n - 4) * PERIOD_S},42\n" for n in range(5)))
    plan = plan_of(1)
    settings = {
        "energy": EnergySettings(enabled=True, meter=str(log)),
        "timeouts": {**DEFAULT_TIMEOUTS, "energy": asked},
    }
    timeouts = allowed(
        dataclasses.replace(plan, request=dataclasses.replace(plan.request, **settings)), monkeypatch, tmp_path
    )
    assert timeouts.pop("energy") >= WINDOWS_S + asked
    assert timeouts == {name: seconds for name, seconds in DEFAULT_TIMEOUTS.items() if name != "energy"}


def test_without_a_meter_it_is_what_was_asked_for(monkeypatch, tmp_path, plan_of):  # noqa: F811
    plan = plan_of(1)
    off = dataclasses.replace(plan.request, energy=EnergySettings(enabled=False))
    assert allowed(dataclasses.replace(plan, request=off), monkeypatch, tmp_path) == DEFAULT_TIMEOUTS
