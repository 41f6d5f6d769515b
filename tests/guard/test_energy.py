"""Energy windows over a tree of counter files and a stand-in for NVML, both driven by values."""

import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.guard.energy_source import Absent
from steelyard.guard.meter_readings import Domain, Fault, outermost
from steelyard.guard.meter_window import Meter
from steelyard.guard.meters import describe, meter_for
from steelyard.guard.nvml import NvmlCounter
from steelyard.guard.rapl import Rapl, is_virtual, rapl_source
from tests.fakes.one_board import OneBoard

RANGE_UJ = 262_143_328_850


@dataclass
class Clock:
    """Nanoseconds that pass when told to."""

    now: int = 1_000_000_000

    def __call__(self) -> int:
        return self.now

    def pass_s(self, seconds: float) -> None:
        self.now += round(seconds * 1e9)


@dataclass
class Powercap:
    """A powercap directory whose counters are set to what a given power would have made of them."""

    root: Path
    clock: Clock = field(default_factory=Clock)

    def zone(self, name: str, label: str, raw: int = 0, range_uj: int | None = RANGE_UJ) -> None:
        directory = self.root / name
        directory.mkdir(parents=True)
        (directory / "name").write_text(label + "\n")
        (directory / "energy_uj").write_text(f"{raw}\n")
        if range_uj is not None:
            (directory / "max_energy_range_uj").write_text(f"{range_uj}\n")

    def spend(self, name: str, joules: float) -> None:
        path = self.root / name / "energy_uj"
        path.write_text(f"{(int(path.read_text()) + round(joules * 1e6)) % RANGE_UJ}\n")

    def source(self) -> Rapl:
        return Rapl(self.root, self.clock)

    def meter(self) -> Meter:
        return Meter(self.source(), self.clock)


@pytest.fixture
def powercap(tmp_path) -> Powercap:
    return Powercap(tmp_path / "powercap")


def test_a_window_is_the_difference(powercap):
    powercap.zone("intel-rapl:0", "package-0", raw=5_000_000)
    meter = powercap.meter()
    window = meter.open_window()
    powercap.spend("intel-rapl:0", 120.5)
    powercap.clock.pass_s(2)
    energy = meter.close_window(window)
    assert energy.joules == pytest.approx(120.5)
    assert (energy.quality, energy.boundary, energy.window_s) == ("measured_counter", "package-0", 2.0)
    assert energy.uncertainty_j == pytest.approx(120.5 * 3 * 0.001 / 2 + 1e-6)
    assert energy.per(10).value == pytest.approx(12.05)


@given(
    start=st.integers(0, RANGE_UJ - 1),
    steps=st.lists(st.tuples(st.floats(0.1, 100), st.floats(0.1, 1900)), min_size=1, max_size=8),
)
def test_wraps_at_any_phase_are_unwound(tmp_path_factory, start, steps):
    """Each step is (seconds, watts), read once: 100 s at 1900 W is less than the range of 262 kJ."""
    powercap = Powercap(tmp_path_factory.mktemp("tree") / "powercap")
    powercap.zone("intel-rapl:0", "package-0", raw=start)
    meter = powercap.meter()
    window = meter.open_window()
    for seconds, watts in steps:
        powercap.spend("intel-rapl:0", seconds * watts)
        powercap.clock.pass_s(seconds)
        meter.source.read()
    energy = meter.close_window(window)
    assert energy.joules == pytest.approx(sum(seconds * watts for seconds, watts in steps), abs=1e-4)


def test_a_wrap_without_a_known_range_is_no_number(powercap):
    powercap.zone("intel-rapl:0", "package-0", raw=RANGE_UJ - 1_000_000, range_uj=None)
    meter = powercap.meter()
    window = meter.open_window()
    powercap.spend("intel-rapl:0", 50)
    powercap.clock.pass_s(2)
    energy = meter.close_window(window)
    assert energy.joules is None
    assert energy.fault.code == "wrapped_unknown"
    window = meter.open_window()  # the next window is whole again
    powercap.spend("intel-rapl:0", 50)
    powercap.clock.pass_s(2)
    assert meter.close_window(window).joules == pytest.approx(50)


def test_a_counter_that_was_reset_is_no_number(powercap):
    powercap.zone("intel-rapl:0", "package-0", raw=9_000_000)
    meter = powercap.meter()
    window = meter.open_window()
    (powercap.root / "intel-rapl:0/energy_uj").write_text("5")
    powercap.clock.pass_s(2)
    energy = meter.close_window(window)
    assert (energy.joules, energy.fault.code) == (None, "counter_reset")


def test_a_vanished_file_is_no_number(powercap):
    powercap.zone("intel-rapl:0", "package-0")
    meter = powercap.meter()
    window = meter.open_window()
    (powercap.root / "intel-rapl:0/energy_uj").unlink()
    powercap.clock.pass_s(2)
    energy = meter.close_window(window)
    assert (energy.joules, energy.fault.code) == (None, "vanished")
    assert energy.per(4).value is None


def test_a_file_that_vanished_in_between_spoils_the_window_too(powercap):
    powercap.zone("intel-rapl:0", "package-0", raw=1_000_000)
    meter = powercap.meter()
    window = meter.open_window()
    path = powercap.root / "intel-rapl:0/energy_uj"
    kept = path.read_text()
    path.unlink()
    powercap.clock.pass_s(1)
    meter.source.read()
    path.write_text(kept)
    powercap.spend("intel-rapl:0", 10)
    powercap.clock.pass_s(1)
    energy = meter.close_window(window)
    assert (energy.joules, energy.fault.code) == (None, "vanished")


@pytest.mark.parametrize("content", ["", "garbage", "-5", "1.5e3", "12 34"])
def test_garbage_is_no_number(powercap, content):
    powercap.zone("intel-rapl:0", "package-0")
    meter = powercap.meter()
    window = meter.open_window()
    (powercap.root / "intel-rapl:0/energy_uj").write_text(content)
    powercap.clock.pass_s(2)
    energy = meter.close_window(window)
    assert (energy.joules, energy.fault.code) == (None, "garbage")


def test_no_permission_says_what_an_administrator_can_do(powercap, monkeypatch):
    powercap.zone("intel-rapl:0", "package-0")
    real = Path.read_text

    def denied(self, *arguments, **options):
        if self.name == "energy_uj":
            raise PermissionError(13, "Permission denied", str(self))
        return real(self, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", denied)  # the tests may run as root, who is denied nothing
    source = rapl_source(powercap.root)
    assert isinstance(source, Absent)
    assert source.fault.code == "no_permission"
    assert "administrator" in source.fault.detail
    assert describe(source).reason.startswith("no_permission")


def test_a_short_window_is_too_short_and_a_dead_counter_is_not_zero(powercap):
    powercap.zone("intel-rapl:0", "package-0")
    meter = powercap.meter()
    window = meter.open_window()
    powercap.spend("intel-rapl:0", 1)
    powercap.clock.pass_s(0.04)
    assert meter.close_window(window).fault.code == "too_short"
    window = meter.open_window()
    powercap.clock.pass_s(5)
    dead = meter.close_window(window)
    assert (dead.joules, dead.fault.code) == (None, "not_supported")


def test_what_contains_another_is_counted_once(powercap):
    powercap.zone("intel-rapl:0", "package-0")
    powercap.zone("intel-rapl:0:0", "core")
    powercap.zone("intel-rapl:0:1", "dram")
    powercap.zone("intel-rapl:1", "package-1")
    powercap.zone("intel-rapl-mmio:0", "package-0")
    source = powercap.source()
    assert [domain.id for domain in source.domains()] == [
        "package-0", "package-0/core", "package-0/dram", "package-1"
    ]  # fmt: skip
    assert [domain.id for domain in outermost(source.domains())] == ["package-0", "package-0/dram", "package-1"]
    meter = Meter(source, powercap.clock)
    window = meter.open_window()
    for name, joules in {"intel-rapl:0": 100, "intel-rapl:0:0": 60, "intel-rapl:0:1": 8, "intel-rapl:1": 40}.items():
        powercap.spend(name, joules)
    powercap.clock.pass_s(2)
    assert meter.close_window(window).joules == pytest.approx(148)


def test_the_platform_counter_holds_all_others(powercap):
    powercap.zone("intel-rapl:0", "package-0")
    powercap.zone("intel-rapl:0:0", "dram")
    powercap.zone("intel-rapl:1", "psys")
    assert [domain.id for domain in outermost(powercap.source().domains())] == ["psys"]


def test_one_broken_member_makes_the_sum_unknown(powercap):
    powercap.zone("intel-rapl:0", "package-0")
    powercap.zone("intel-rapl:1", "package-1")
    meter = powercap.meter()
    window = meter.open_window()
    powercap.spend("intel-rapl:0", 10)
    (powercap.root / "intel-rapl:1/energy_uj").write_text("?")
    powercap.clock.pass_s(2)
    assert meter.close_window(window).joules is None


def test_reads_from_many_threads_lose_nothing(powercap):
    powercap.zone("intel-rapl:0", "package-0", raw=RANGE_UJ - 500_000)
    source = powercap.source()
    powercap.clock.pass_s(10)
    powercap.spend("intel-rapl:0", 1.0)
    threads = [threading.Thread(target=lambda: [source.read() for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert source.read()["package-0"].joules == pytest.approx(1.0)


def test_how_far_apart_reads_may_lie(powercap):
    powercap.zone("intel-rapl:0", "package-0")
    assert powercap.source().longest_gap_s == pytest.approx(RANGE_UJ / 1e6 / 2000 / 2)


def test_no_meter_is_null_with_the_reason(tmp_path):
    machine = "virtual machine" if is_virtual() else "machine"
    (tmp_path / "empty/sys/class/powercap/dtpm").mkdir(parents=True)
    for root, reason in (
        (tmp_path / "none", f"no_device: no powercap on this {machine}"),
        (tmp_path / "empty", f"no_device: powercap has no RAPL zone on this {machine}"),
    ):
        meter = Meter(meter_for("cpu", root=root))
        reading = meter.close_window(meter.open_window()).per(3)
        assert (reading.value, reading.reason) == (None, reason)
    meter = Meter(meter_for("tpu"))
    assert meter.close_window(meter.open_window()).per(1).reason == "not_supported: no energy meter is known for tpu"


def test_an_empty_window_on_this_machine_is_never_zero():
    meter = Meter(meter_for("cpu"))
    reading = meter.close_window(meter.open_window()).per(1)
    assert reading.value is None
    assert reading.reason


class NvmlError(Exception):
    def __init__(self, value: int) -> None:
        super().__init__(f"error {value}")
        self.value = value


class FakeNvml(OneBoard):
    """The few functions of NVML that the counter uses, over a value the test sets."""

    NVMLError = NvmlError
    NVML_ERROR_NOT_SUPPORTED, NVML_ERROR_FUNCTION_NOT_FOUND = 3, 13
    NVML_ERROR_NO_PERMISSION, NVML_ERROR_GPU_IS_LOST = 4, 15

    def __init__(self) -> None:
        self.millijoules: int | NvmlError = 7_000

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        if isinstance(self.millijoules, Exception):
            raise self.millijoules
        return self.millijoules


def test_the_board_counter(tmp_path):
    nvml, clock = FakeNvml(), Clock()
    meter = Meter(NvmlCounter(nvml, 0, clock), clock)
    window = meter.open_window()
    nvml.millijoules += 2_500_000
    clock.pass_s(10)
    assert meter.close_window(window).joules == pytest.approx(2500)
    window = meter.open_window()
    nvml.millijoules += 100
    clock.pass_s(1)
    assert meter.close_window(window).fault.code == "too_short"
    window = meter.open_window()
    nvml.millijoules = 5
    clock.pass_s(10)
    assert meter.close_window(window).fault.code == "counter_reset"
    window = meter.open_window()
    nvml.millijoules = NvmlError(15)
    clock.pass_s(10)
    assert meter.close_window(window).fault.code == "vanished"


def test_outermost_of_nothing():
    assert outermost(()) == ()
    assert outermost((Domain(id="a", boundary="package"),))[0].id == "a"
    assert Absent(Fault(code="no_device", detail="x")).read() == {}
