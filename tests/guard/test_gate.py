"""Nothing that a meter tells comes through unless it can be true, and nothing that its code raises comes out."""

import math
import sys
from types import SimpleNamespace

import pytest

from steelyard.guard.amdsmi import amdsmi_source
from steelyard.guard.energy_source import Absent, EnergySource
from steelyard.guard.meter_readings import Count, Domain
from steelyard.guard.meter_window import powers, total
from steelyard.guard.meters import meter_for, sources
from steelyard.guard.unwrap import Integrated

STEP_NS = 100_000_000


class Told(EnergySource):
    """A counter that tells these joules, one after the other and 0.1 s apart; an exception is raised."""

    name, kind = "told", "counter"
    update_period_s = 0.001

    def __init__(self, *joules, times=None):
        super().__init__(lambda: 0)
        self.joules = list(joules)
        self.times = times or [STEP_NS * number for number in range(len(joules))]

    def domains(self):
        return (Domain(id="package-0", boundary="package"),)

    def _read(self):
        told, t_ns = self.joules.pop(0), self.times.pop(0)
        if isinstance(told, Exception):
            raise told
        return {"package-0": Count(t_ns=t_ns, joules=told, watts=10.0)}


def reads_of(source: EnergySource, count: int):
    return [source.read() for _ in range(count)]


@pytest.mark.parametrize(
    ("wrong", "code", "told"),
    [
        (math.nan, "garbage", "nan J"),
        (math.inf, "garbage", "inf J"),
        (-math.inf, "garbage", "-inf J"),
        (0.5, "counter_reset", "fell from 1 J to 0.5 J"),
        (ValueError("cannot convert float NaN to integer"), "garbage", "ValueError: cannot convert float NaN"),
        (OSError(5, "Input/output error"), "garbage", "OSError"),
    ],
)
def test_a_reading_that_cannot_be_true_leaves_its_window_without_a_number_and_the_next_one_has_it(wrong, code, told):
    source = Told(0.0, 1.0, wrong, 2.0, 3.0, 4.0)
    reads = reads_of(source, 6)
    assert reads[2]["package-0"].joules is None
    for window in (reads[:3], reads[:4], reads[2:4]):
        energy = total(source, window)
        assert (energy.joules, energy.fault.code) == (None, code)
        assert told in energy.fault.detail
    assert total(source, reads[3:]).joules == pytest.approx(2.0)
    assert all(math.isfinite(watts) for _, _, watts in powers(source, reads))
    assert total(source, source.settled(reads)).joules is None, "what is settled passes the gate again"


def test_a_time_that_goes_back_leaves_no_number():
    source = Told(0.0, 1.0, 2.0, times=[0, 2 * STEP_NS, STEP_NS])
    energy = total(source, reads_of(source, 3))
    assert (energy.joules, energy.fault.detail) == (None, "the time of the meter went backwards")


@pytest.mark.parametrize("watts", [math.nan, math.inf, -3.0, 4294967.295])
def test_power_that_is_none_is_not_integrated_and_does_not_spoil_what_follows(watts):
    state = Integrated()
    for number, told in enumerate((10.0, 10.0, watts, 10.0, 10.0)):
        count = state.advance(told, number * 1_000_000_000)
        assert (count.joules is None) == (number == 2)
    assert (count.joules, count.faults) == (20.0, 1)


def test_a_power_beside_a_counter_that_is_none_is_left_out_alone():
    source = Told(0.0, 1.0)
    source._read = lambda: {"package-0": Count(t_ns=0, joules=1.0, watts=math.nan)}
    assert source.read()["package-0"] == Count(t_ns=0, joules=1.0, watts=None)


@pytest.mark.parametrize("resolution", [math.nan, math.inf])
def test_an_amd_board_whose_step_is_no_number_has_no_meter(resolution, monkeypatch):
    smi = SimpleNamespace(
        AmdSmiException=RuntimeError,
        amdsmi_init=lambda: None,
        amdsmi_shut_down=lambda: None,
        amdsmi_get_processor_handles=lambda: ["board"],
        amdsmi_get_energy_count=lambda handle: {"energy_accumulator": 1000, "counter_resolution": resolution},
    )
    monkeypatch.setitem(sys.modules, "amdsmi", smi)
    source = amdsmi_source()
    assert isinstance(source, Absent)
    assert source.fault.code == "garbage"


def test_a_driver_that_raises_what_nobody_expects_is_no_meter_and_hides_no_other(monkeypatch, tmp_path):
    def raises():
        raise RuntimeError("the driver is of another version")

    nvml = SimpleNamespace(NVMLError=OSError, nvmlInit=raises)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    source = meter_for("cuda", root=tmp_path)
    assert source.fault.text == "garbage: the meter raised RuntimeError: the driver is of another version"
    found = sources(tmp_path)
    assert found["nvml"].fault == source.fault
    assert found["rapl"].fault.code == "no_device"
