"""The real nvidia-ml-py over a library built from C: known profiles of power on a virtual clock, and every refusal."""

import ctypes
import random

import pytest

from steelyard.core.energy import EnergySettings
from steelyard.engine.metering import Metering, energy_use
from steelyard.guard.energy_source import Absent
from steelyard.guard.gate import Gate
from steelyard.guard.meter_window import total
from steelyard.guard.nvml import NvmlCounter, NvmlPower, nvml_source
from tests.fakes.nvml import SETTINGS, loaded

START_S = 100.0


@pytest.fixture(scope="module")
def library():
    """Loaded before the binding looks for it, which then finds it by its soname."""
    return loaded()


@pytest.fixture
def board(library, monkeypatch):
    """Sets up boards, and the virtual time of counter and source."""
    pytest.importorskip("pynvml")

    class Board:
        now_s = START_S

        def set(self, settings: str) -> None:
            monkeypatch.setenv(SETTINGS, settings)

        def at(self, seconds: float) -> None:
            self.now_s = seconds
            library.stub_set_time_ns(ctypes.c_int64(round(seconds * 1e9)))

        def clock_ns(self) -> int:
            return round(self.now_s * 1e9)

        def counter(self, index: int = 0, *, power: bool = False) -> NvmlCounter:
            import pynvml

            pynvml.nvmlInit()
            return NvmlCounter(pynvml, index, self.clock_ns, power=power)

    found = Board()
    found.at(START_S)
    yield found
    library.stub_set_time_ns(ctypes.c_int64(-1))


def square(low: float, high: float, period: float):
    def joules(t: float) -> float:
        whole, rest = divmod(t, period)
        half = period / 2
        return whole * half * (low + high) + (rest * low if rest < half else half * low + (rest - half) * high)

    return joules


def ramp(low: float, high: float, seconds: float):
    def joules(t: float) -> float:
        u = min(t, seconds)
        return low * u + (high - low) * u * u / (2 * seconds) + (t - u) * high

    return joules


PROFILES = {
    "watts=213.7": lambda t: 213.7 * t,
    "watts=square:70:430:0.04": square(70, 430, 0.04),  # in phase with the counter's steps
    "watts=square:60:700:0.37": square(60, 700, 0.37),
    "watts=square:100:400:7.3": square(100, 400, 7.3),
    "watts=ramp:50:650:60000": ramp(50, 650, 60000),
}


@pytest.mark.parametrize("settings", PROFILES)
def test_errors_stay_within_what_is_stated_in_99_of_100_windows(board, settings):
    """2,000 windows of each of five profiles, 10,000 together, of random length at random moments."""
    board.set(f"{settings};update_ms=20")
    counter, exact = board.counter(), PROFILES[settings]
    counter.update_period_s = 0.02
    source = random.Random(7)
    windows, outside, now = 2000, 0, START_S
    for _ in range(windows):
        begin = now + source.uniform(0, 3)
        end = begin + source.uniform(1.01, 6)
        reads = []
        between = sorted(begin + (end - begin) * source.random() for _ in range(10))
        for moment in (begin, *between, end):
            board.at(moment)
            reads.append(counter.read())
        energy = total(counter, reads)
        assert energy.quality == "measured_counter", energy.fault
        outside += abs(energy.joules - (exact(end) - exact(begin))) > energy.uncertainty_j
        assert energy.uncertainty_j <= 0.04 * energy.joules * 2 + 15
        now = end
    assert outside <= windows // 100


def test_a_window_of_fewer_than_50_steps_is_no_number(board):
    board.set("watts=100;update_ms=20")
    counter = board.counter()
    counter.update_period_s = 0.02
    start = counter.read()
    board.at(START_S + 0.9)
    energy = total(counter, [start, counter.read()])
    assert (energy.joules, energy.fault.code) == (None, "too_short")


def test_a_counter_that_is_reset_is_no_number_and_the_next_window_is(board):
    board.set(f"watts=100;reset_at={START_S + 5}")
    counter = board.counter()
    start = counter.read()
    board.at(START_S + 10)
    middle = counter.read()
    assert total(counter, [start, middle]).fault.code == "counter_reset"
    board.at(START_S + 20)
    assert total(counter, [middle, counter.read()]).joules == pytest.approx(1000, abs=3)


def test_a_board_that_is_lost_is_no_number(board):
    board.set("watts=100")
    counter = board.counter()
    start = counter.read()
    board.at(START_S + 10)
    board.set("watts=100;energy=gpu_lost")
    assert total(counter, [start, counter.read()]).fault.code == "vanished"


def test_each_of_several_boards_has_its_own_counter(board):
    board.set("devices=4;watts=100;2.watts=300")
    counters = [board.counter(index) for index in range(4)]
    starts = [counter.read() for counter in counters]
    board.at(START_S + 10)
    found = [total(counter, [start, counter.read()]) for counter, start in zip(counters, starts, strict=True)]
    assert [round(energy.joules) for energy in found] == [1000, 1000, 3000, 1000]
    assert [energy.boundary for energy in found] == [f"gpu_board:{index}" for index in range(4)]


def test_the_power_told_beside_the_counter_is_a_cross_check(board):
    board.set("watts=square:50:150:20;update_ms=10")
    counter = board.counter(power=True)
    counter.update_period_s = 0.01
    reads = [counter.read()]
    for step in range(1, 161):
        board.at(START_S + 0.25 * step)
        reads.append(counter.read())
    energy = total(counter, reads)
    assert energy.joules == pytest.approx(4000, abs=3)
    assert energy.integral_j == pytest.approx(energy.joules, rel=0.02)
    use = energy_use(counter, reads, (0, 40, 120, 160), 20, measured=True)
    assert use.notes == ()
    assert use.per_call.value == pytest.approx(100, rel=0.02)
    assert use.idle_before_w == pytest.approx(50, rel=0.01)
    board.set("watts=square:50:150:20;update_ms=10;energy=not_supported")
    assert counter.read()["gpu_board:0"].joules is None


def test_a_power_that_disagrees_with_the_counter_is_told(board):
    board.set("watts=100;sensor=0.25;update_ms=10")
    counter = board.counter(power=True)
    counter.update_period_s = 0.01
    reads = [counter.read()]
    for step in range(1, 31):
        board.at(START_S + 0.25 * step)
        reads.append(counter.read())
    use = energy_use(counter, reads, (0, 10, 20, 30), 20, measured=True)
    assert use.notes == ("the integral of the board's power is -75.0% of the counter's energy: doubt both",)
    assert use.gross_j == pytest.approx(250, abs=2), "the counter counts"


def test_a_board_without_a_counter_is_integrated_with_its_uncertainty(board):
    board.set("watts=square:100:400:1.7;energy=not_supported;update_ms=20")
    source = nvml_source()
    assert isinstance(source, NvmlPower)
    source._clock_ns = board.clock_ns
    source._integrated.last_ns = board.clock_ns()
    source._gate = Gate()
    draw = random.Random(3)
    source.update_period_s = 0.02
    outside = 0
    now = START_S
    for _ in range(100):
        reads, begin = [source.read()], now
        for _ in range(60):
            now += draw.uniform(0.04, 0.12)
            board.at(now)
            reads.append(source.read())
        energy = total(source, reads)
        exact = square(100, 400, 1.7)
        outside += abs(energy.joules - (exact(now) - exact(begin))) > energy.uncertainty_j
    assert energy.quality == "integrated_samples"
    assert outside <= 1
    source.close()


@pytest.mark.parametrize(
    ("settings", "code", "told"),
    [
        ("init=driver_not_loaded", "no_device", "Driver Not Loaded"),
        ("energy=not_supported;power=not_supported", "not_supported", "Not Supported"),
        ("energy=no_permission;power=no_permission", "no_permission", "Insufficient Permissions"),
        ("mig=2", "mig_shared", "MIG"),
        ("devices=0", "no_device", "Invalid Argument"),
    ],
)
def test_every_refusal_has_its_code(board, settings, code, told):
    board.set(settings)
    source = nvml_source()
    assert isinstance(source, Absent)
    assert source.fault.code == code
    assert told in source.fault.detail


def test_without_the_library_it_is_as_on_a_machine_without_a_driver(board, monkeypatch):
    monkeypatch.delenv(SETTINGS, raising=False)
    assert nvml_source().fault.code == "no_device"


def test_energy_that_is_switched_off_says_so(board):
    board.set("watts=100")
    use = Metering(EnergySettings(enabled=False), "cuda", 0, 1).case(())
    assert (use.quality, use.gross_j) == ("unavailable", None)
    assert use.per_call.reason == "not_supported: energy was switched off (--no-energy)"
