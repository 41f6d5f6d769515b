"""hwmon, Jetson rails, amdsmi, an external log, mirrored dies: over files and stand-ins driven by a virtual clock."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.errors import UsageError
from steelyard.guard.amdsmi import amdsmi_source
from steelyard.guard.energy_source import Absent
from steelyard.guard.external import ExternalLog
from steelyard.guard.gate import Gate
from steelyard.guard.hwmon import Hwmon, HwmonPower, hwmon_source
from steelyard.guard.jetson import jetson_source
from steelyard.guard.meter_readings import Fault
from steelyard.guard.meter_window import between, counted_once, mirrors, total
from steelyard.guard.meters import meter_for, sources
from steelyard.guard.period import measure_period
from steelyard.guard.power_log import read_log
from steelyard.guard.unwrap import Unwrapped
from tests.guard.test_energy import Clock, Powercap


def files(directory: Path, **contents: object) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (directory / name).write_text(f"{content}\n")
    return directory


def pass_and_read(source, clock: Clock, steps: int, seconds: float, change=lambda: None) -> list:
    reads = [source.read()]
    for _ in range(steps):
        clock.pass_s(seconds)
        change()
        reads.append(source.read())
    return reads


@given(
    range_=st.integers(1_000_000, 1 << 32),
    start=st.integers(0, 1 << 40),
    shares=st.lists(st.floats(0, 0.49), min_size=1, max_size=12),
)
def test_any_counter_is_unwound_at_any_phase(range_, start, shares):
    counter = Unwrapped(unit_j=1e-6, range_=range_, slack_s=0.0)
    now, raw = 0, start % range_
    counter.advance(raw, now)
    expected = 0
    for share in shares:
        step = round(share * range_)
        now += max(1, round(step * 1e-6 / 1500 * 1e9))  # at 1500 W
        raw, expected = (raw + step) % range_, expected + step
        count = counter.advance(raw, now)
        assert count.faults == 0
    assert count.joules == pytest.approx(expected * 1e-6)


def test_reads_too_far_apart_to_tell_how_often_it_wrapped_are_no_number():
    counter = Unwrapped(unit_j=1e-6, range_=1_000_000, slack_s=0.0)
    counter.advance(0, 0)
    count = counter.advance(10, 60_000_000_000)
    assert count.fault is not None
    assert (count.faults, count.fault.code) == (1, "wrapped_unknown")


def test_a_mirrored_die_counts_once_and_unlike_ones_do_not(tmp_path):
    powercap = Powercap(tmp_path / "powercap")
    for number in (0, 1, 2):
        powercap.zone(f"intel-rapl:{number}", f"package-{number}", raw=1000 * number)
    source = powercap.source()

    def spend():
        powercap.spend("intel-rapl:0", 5.25)
        powercap.spend("intel-rapl:1", 5.25)
        powercap.spend("intel-rapl:2", 5.5)

    reads = pass_and_read(source, powercap.clock, 8, 0.3, spend)
    assert dict(mirrors(source.domains(), reads)) == {"package-1": "package-0"}
    assert [domain.id for domain in counted_once(source, reads)] == ["package-0", "package-2"]
    assert total(source, reads).joules == pytest.approx(8 * 10.75)
    assert between(source, reads)["package-1"].joules == pytest.approx(8 * 5.25)


def test_two_reads_are_no_evidence_of_a_mirror(tmp_path):
    powercap = Powercap(tmp_path / "powercap")
    for number in (0, 1):
        powercap.zone(f"intel-rapl:{number}", f"package-{number}")
    source = powercap.source()
    reads = pass_and_read(
        source, powercap.clock, 1, 2.0, lambda: [powercap.spend(f"intel-rapl:{n}", 10) for n in (0, 1)]
    )
    assert total(source, reads).joules == pytest.approx(20)


def test_an_intel_card_holds_its_package(tmp_path):
    clock = Clock()
    card = files(
        tmp_path / "hwmon3",
        name="xe",
        energy1_input=5_000_000,
        energy1_label="card",
        energy2_input=7,
        energy2_label="pkg",
    )
    source = hwmon_source("xpu", 0, tmp_path, clock)
    assert isinstance(source, Hwmon)

    def spend():
        for name, joules in (("energy1_input", 3), ("energy2_input", 2)):
            (card / name).write_text(str(int((card / name).read_text()) + joules * 1_000_000))

    energy = total(source, pass_and_read(source, clock, 6, 1.0, spend))
    assert (energy.joules, energy.boundary, energy.quality) == (pytest.approx(18), "card", "measured_counter")
    (card / "energy1_input").write_text("0")
    energy = total(source, [source.read(), source.read()])
    assert energy.joules is None


def test_an_amd_board_without_a_counter_is_integrated(tmp_path):
    clock = Clock()
    board = files(tmp_path / "hwmon1", name="amdgpu", power1_average=200_000_000)
    files(tmp_path / "hwmon0", name="nvme", temp1_input=40)
    source = hwmon_source("rocm", 0, tmp_path, clock)
    assert isinstance(source, HwmonPower)
    watts = iter([200, 300] * 40)
    energy = total(
        source,
        pass_and_read(source, clock, 80, 0.1, lambda: (board / "power1_average").write_text(f"{next(watts)}000000")),
    )
    assert energy.quality == "integrated_samples"
    assert energy.joules == pytest.approx(250 * 8, rel=0.02)
    assert abs(energy.joules - 250 * 8) <= energy.uncertainty_j
    (board / "power1_average").unlink()
    assert source.read()["amdgpu/power1"].fault.code == "vanished"
    assert hwmon_source("rocm", 1, tmp_path).fault.detail == "hwmon shows no energy meter for rocm"


@pytest.mark.parametrize("content", ["", "-3", "watts", "1.5", "٣"])
def test_garbage_in_hwmon_is_no_number(tmp_path, content):
    files(tmp_path / "hwmon0", name="i915", energy1_input=content)
    source = hwmon_source("xpu", 0, tmp_path)
    assert isinstance(source, Absent)
    assert source.fault.code == "garbage"


def test_the_rail_that_feeds_a_jetson_holds_the_others(tmp_path):
    clock = Clock()
    files(
        tmp_path / "hwmon2",
        **{"name": "ina3221", "in1_input": 5000, "in1_label": "VDD_IN", "curr1_input": 2000},
        **{"in2_input": 5000, "in2_label": "VDD_CPU_GPU_CV", "curr2_input": 1000},
        **{"in3_input": 5000, "in3_label": "NC", "curr3_input": 9000},
    )
    source = jetson_source(tmp_path, clock)
    energy = total(source, pass_and_read(source, clock, 20, 0.1))
    assert (energy.joules, energy.boundary) == (pytest.approx(20), "VDD_IN")
    parts = between(source, pass_and_read(source, clock, 20, 0.1))
    assert parts["VDD_CPU_GPU_CV"].joules == pytest.approx(10)
    assert {domain.id for domain in source.domains()} == {"VDD_IN", "VDD_CPU_GPU_CV"}
    assert isinstance(jetson_source(tmp_path / "none"), Absent)


class FakeSmi:
    """The few functions of amdsmi that the source uses."""

    AmdSmiException = RuntimeError

    def __init__(self) -> None:
        self.steps: int | Exception = 1000
        self.open = 0

    def amdsmi_init(self):
        self.open += 1

    def amdsmi_shut_down(self):
        self.open -= 1

    def amdsmi_get_processor_handles(self):
        return ["board"]

    def amdsmi_get_energy_count(self, handle):
        if isinstance(self.steps, Exception):
            raise self.steps
        return {"energy_accumulator": self.steps, "counter_resolution": 15.3, "timestamp": 1}


def test_amd_steps_are_multiplied_by_what_one_is_worth(monkeypatch):
    smi, clock = FakeSmi(), Clock()
    monkeypatch.setitem(sys.modules, "amdsmi", smi)
    source = amdsmi_source()
    source._clock_ns, source._gate = clock, Gate()  # the virtual clock from here on
    source._counter.last_ns = clock.now
    start = source.read()
    smi.steps += 100_000_000
    clock.pass_s(10)
    energy = total(source, [start, source.read()])
    assert energy.joules == pytest.approx(1530)
    smi.steps = 5
    clock.pass_s(10)
    assert total(source, [start, source.read()]).fault.code == "counter_reset"
    smi.steps = RuntimeError("gone")
    assert source.read()["gpu_module:0"].fault.code == "not_supported"
    source.close()
    assert smi.open == 0
    assert amdsmi_source(index=3).fault.code == "no_device"


def test_amdsmi_without_its_library_is_absent_whatever_the_import_raises(monkeypatch, tmp_path):
    (tmp_path / "amdsmi.py").write_text("raise KeyError('ROCM_HOME')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "amdsmi", raising=False)
    assert amdsmi_source().fault.detail == "amdsmi cannot load its library: KeyError"


def log(path: Path, header: str, rows) -> Path:
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


def external(path: Path, clock: Clock, unix_at_zero: float) -> ExternalLog:
    return ExternalLog(path, clock, lambda: unix_at_zero + clock.now / 1e9, sleep=lambda _: None)


def test_a_log_on_the_hosts_clock_is_integrated_between_its_rows(tmp_path):
    clock = Clock(0)
    path = log(tmp_path / "log.csv", "unix_time_s,power_w", [(1000 + 0.1 * n, 50 + n) for n in range(200)])
    source = external(path, clock, 1000.0)
    assert source.update_period_s == pytest.approx(0.1)
    clock.now = 2_050_000_000
    start = source.read()
    clock.now = 12_030_000_000
    energy = total(source, source.settled([start, source.read()]))
    exact = 50 * 9.98 + 10 * (12.03**2 - 2.05**2) / 2  # 50 W and 10 W more each second
    assert (energy.quality, energy.boundary) == ("integrated_samples", "wall")
    assert energy.joules == pytest.approx(exact, rel=1e-5)


def test_markers_align_a_meters_own_clock_and_mend_its_speed(tmp_path):
    clock = Clock(0)
    own = [0.1 * n for n in range(300)]  # runs 5 % fast, and began at the host's 5000
    rows = [(t, 100 if t < 15 else 200, f"{5000 + t / 1.05:.9f}" if n in (10, 100) else "") for n, t in enumerate(own)]
    source = external(log(tmp_path / "log.csv", "time_s,power_w,marker", rows), clock, 5000.0)
    clock.now = 5_000_000_000
    start = source.read()
    clock.now = 25_000_000_000
    energy = total(source, source.settled([start, source.read()]))
    step = 15 / 1.05
    assert energy.joules == pytest.approx(100 * (step - 5) + 200 * (25 - step), abs=10)


def test_a_log_that_does_not_reach_the_window_is_no_number(tmp_path):
    clock = Clock(0)
    path = log(tmp_path / "log.csv", "unix_time_s,energy_j", [(n, 7 * n) for n in range(100)])
    source = external(path, clock, 0.0)
    start = source.read()
    clock.now = 200_000_000_000
    energy = total(source, source.settled([start, source.read()]))
    assert (energy.joules, energy.fault.code) == (None, "off_the_log")
    assert "ends before" in energy.fault.detail


def test_a_torn_last_row_is_waited_for(tmp_path):
    path = log(tmp_path / "log.csv", "unix_time_s,power_w", [(n, 10) for n in range(5)])
    for torn in ("5,", "5,1"):
        path.write_text("\n".join(path.read_text().splitlines()[:6]) + "\n" + torn)
        assert read_log(path).times_s == (0, 1, 2, 3, 4)


def test_a_log_that_breaks_meanwhile_is_no_number_and_no_failure(tmp_path):
    clock = Clock(0)
    path = log(tmp_path / "log.csv", "unix_time_s,power_w", [(n, 10) for n in range(100)])
    source = external(path, clock, 0.0)
    start = source.read()
    clock.now = 80_000_000_000
    path.write_text("gone\n")
    path_told = str(tmp_path)
    for fault in (total(source, source.settled([start, source.read()])).fault, meter_for("cpu", log=str(path)).fault):
        assert fault.code == "garbage"
        assert "log.csv" in fault.detail
        assert path_told not in fault.detail, "a run stores it"
    path.unlink()
    gone = meter_for("cpu", log=str(path)).fault
    assert "cannot be read" in gone.detail
    assert path_told not in gone.detail


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "fewer than two rows"),
        ("a,b\n1,2\n3,4\n", "the header must name"),
        ("time_s,power_w\n1,2\n3,4\n", "a clock of the meter's own"),
        (
            "unix_time_s,power_w\n1,2\nx,4\ny,6\n",
            "rows are made of numbers: row 3 .* unix_time_s is 'x'",
        ),
        ("unix_time_s,power_w\n2,2\n1,4\n3,1\n", "do not ascend"),
    ],
)
def test_a_log_that_cannot_be_used_says_why(tmp_path, text, told):
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=told):
        read_log(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_log(tmp_path / "none.csv")


def test_the_period_is_found_by_watching(tmp_path):
    clock = Clock()
    state = SimpleNamespace(period=0.0371)
    powercap = Powercap(tmp_path / "powercap", clock)
    powercap.zone("intel-rapl:0", "package-0")
    source = powercap.source()
    source.update_period_s = 0.1

    def sleep(seconds: float) -> None:
        clock.pass_s(seconds)
        edge = int(clock.now / 1e9 / state.period)
        (powercap.root / "intel-rapl:0/energy_uj").write_text(str(edge * 1_000_000))

    assert measure_period(source, clock, sleep)
    assert source.update_period_s == pytest.approx(0.0371, rel=0.15)
    state.period = 1e9
    source.update_period_s = 0.05
    assert not measure_period(source, clock, sleep)
    assert source.update_period_s == 0.05, "what is declared stays"


def test_a_device_gets_the_meter_whose_boundary_holds_it(tmp_path):
    zone = files(tmp_path / "sys/class/powercap/intel-rapl:0", name="package-0", energy_uj=5)
    assert meter_for("cpu", root=tmp_path).name == "rapl"
    (zone / "energy_uj").unlink()
    zone.joinpath("name").unlink()
    files(tmp_path / "sys/class/hwmon/hwmon0", name="power_meter", power1_average=300_000_000)
    assert meter_for("cpu", root=tmp_path).name == "hwmon-power"
    assert meter_for("rocm", root=tmp_path).fault.code == "no_device"
    assert meter_for("tpu").fault == Fault(code="not_supported", detail="no energy meter is known for tpu")
    assert all(source.domains() or isinstance(source, Absent) for source in sources(tmp_path).values())
