"""The energy window of a case over a meter that a virtual load drives, and the model beside it."""

import dataclasses
import math
import time

import pytest

from steelyard.core.energy import EnergySettings, settings_of
from steelyard.core.metrics import Reading
from steelyard.engine import metering
from steelyard.engine.metering import Metering, estimated, metering_s
from steelyard.guard.energy_source import EnergySource
from steelyard.guard.meter_readings import Count, Domain

IDLE_W, CALL_W = 20.0, 120.0


class Load(EnergySource):
    """IDLE_W always, and CALL_W while a call runs: the counter is exact at every read."""

    name, kind = "load", "counter"
    update_period_s, resolution_j = 1e-4, 1e-6

    def __init__(self) -> None:
        super().__init__()
        self.begun = time.monotonic_ns()
        self.calls_ns = 0

    def domains(self):
        return (Domain(id="package-0", boundary="package"),)

    def _read(self):
        now = time.monotonic_ns()
        joules = ((now - self.begun) * IDLE_W + self.calls_ns * (CALL_W - IDLE_W)) / 1e9
        return {"package-0": Count(t_ns=now, joules=joules)}


class Call:
    def __init__(self, load: Load) -> None:
        self.load, self.settled = load, 0

    def run(self) -> None:
        begun = time.monotonic_ns()
        time.sleep(0.002)
        self.load.calls_ns += time.monotonic_ns() - begun

    def settle(self) -> None:
        self.settled += 1


def test_gross_net_and_trace_of_a_known_load(monkeypatch):
    load = Load()
    monkeypatch.setattr(metering, "meter_for", lambda *a, **k: load)
    monkeypatch.setattr(metering, "measure_period", lambda source: True)
    monkeypatch.setattr(metering, "LEAST_WINDOW_S", 0.2)
    calls = [Call(load), Call(load)]
    use = Metering(EnergySettings(enabled=True), "cpu", 0, seed=1).case(calls)
    assert use.calls == sum(call.settled for call in calls)
    assert use.calls > 3
    busy = load.calls_ns / 1e9
    assert use.gross_j == pytest.approx(IDLE_W * use.window_s + (CALL_W - IDLE_W) * busy, rel=0.02)
    assert use.net_j == pytest.approx((CALL_W - IDLE_W) * busy, rel=0.05)
    assert use.idle_before_w == pytest.approx(IDLE_W, rel=0.01)
    assert use.idle_after_w == pytest.approx(IDLE_W, rel=0.01)
    assert use.per_call.value == pytest.approx(use.gross_j / use.calls)
    assert use.net_per_call.value < use.per_call.value
    assert use.trace.times_s[0] < 0 < use.window_s < use.trace.times_s[-1]
    assert len(use.trace.times_s) == len(use.trace.watts) + 1
    assert use.domains == {"package-0": use.gross_j}


def test_windows_hold_2_seconds_and_50_periods():
    load = Load()
    assert metering._window_s(load) >= 2.0
    load.update_period_s = 0.1
    assert metering._window_s(load) >= 5.0


def test_what_energy_costs_in_time_is_nothing_without_a_meter(tmp_path, monkeypatch):
    from steelyard.core.backend import Device

    cpu = Device(kind="cpu", index=0, name="a CPU", memory_bytes=None)
    monkeypatch.setenv("STEELYARD_METER_ROOT", str(tmp_path))
    assert metering_s(EnergySettings(enabled=True), cpu) == 0.0
    assert metering_s(EnergySettings(enabled=False), cpu) == 0.0
    monkeypatch.setattr(metering, "meter_for", lambda *a, **k: Load())
    assert metering_s(EnergySettings(enabled=True), cpu) == pytest.approx(3 * 2.1)


def test_the_model_shares_out_the_rated_power_and_says_what_it_is():
    reading = estimated(EnergySettings(estimate=True, tdp_w=100.0), cpu_s=4.0, calls=10, cpus=8)
    assert reading == Reading(value=5.0, unit="J", method="estimated_model: 100 W x CPU time / 8 CPUs")
    nothing = estimated(EnergySettings(estimate=True), cpu_s=4.0, calls=10, cpus=8)
    assert (nothing.value, nothing.reason) == (None, "no profile declares the rated power of this processor")


def test_settings_survive_in_a_plan_without_the_path_of_the_log():
    asked = EnergySettings(enabled=True, meter="/home/me/power.csv", estimate=True, tdp_w=65.0)
    assert "/home/me/power.csv" not in str(asked.stored)
    assert settings_of({"energy": asked.stored}, "other.csv") == EnergySettings(
        enabled=True, meter="other.csv", estimate=True, tdp_w=65.0
    )
    assert settings_of({}).enabled, "runs older than the option metered without being asked"


class Broken(Load):
    """A load whose meter fails at one place, once the calls have begun."""

    update_period_s = 1e-4

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place

    def fails(self, place: str) -> bool:
        return self.place == place and self.calls_ns > 0

    def domains(self):
        if self.fails("domains"):
            raise RuntimeError("gone")
        return super().domains()

    def _read(self):
        if self.fails("read"):
            raise ZeroDivisionError("gone")
        counts = super()._read()
        if self.fails("nan"):
            return {name: dataclasses.replace(count, joules=math.nan) for name, count in counts.items()}
        return counts

    def _settled(self, reads):
        if self.fails("settled"):
            raise ValueError("gone")
        return reads


@pytest.mark.parametrize("place", ["opened", "period", "read", "nan", "settled", "domains"])
def test_whatever_a_meter_does_the_case_stands_and_says_why_it_has_no_energy(place, monkeypatch):
    load = Broken(place)

    def meter(*_, **__):
        if place == "opened":
            raise KeyError("gone")
        return load

    def period(_):
        if place == "period":
            raise OverflowError("gone")
        return True

    monkeypatch.setattr(metering, "meter_for", meter)
    monkeypatch.setattr(metering, "measure_period", period)
    monkeypatch.setattr(metering, "LEAST_WINDOW_S", 0.02)
    use = Metering(EnergySettings(enabled=True), "cpu", 0, seed=1).case([Call(load)])
    assert (use.gross_j, use.per_call.value, use.net_j) == (None, None, None)
    assert use.reason.startswith("garbage: ")
    assert ("nan J" if place == "nan" else "gone") in use.reason


def test_what_a_call_raises_is_the_calls_own_failure(monkeypatch):
    class Failing(Call):
        def run(self) -> None:
            raise RuntimeError("out of memory")

    monkeypatch.setattr(metering, "meter_for", lambda *a, **k: Load())
    monkeypatch.setattr(metering, "measure_period", lambda source: True)
    monkeypatch.setattr(metering, "LEAST_WINDOW_S", 0.02)
    with pytest.raises(RuntimeError, match="out of memory"):
        Metering(EnergySettings(enabled=True), "cpu", 0, seed=1).case([Failing(Load())])
