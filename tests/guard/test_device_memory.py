"""The driver's view of a process's memory, by a stand-in for NVML's module."""

from types import SimpleNamespace

import pytest

from steelyard.guard.device_memory import NoDriver, NvmlMemory, device_memory
from tests.fakes.one_board import OneBoard

PID = 4711


class Nvml(OneBoard):
    """What the functions used here answer; attributes are changed by the tests."""

    NVML_FEATURE_ENABLED = 1
    NVML_ERROR_NOT_SUPPORTED = 3
    NVML_ERROR_FUNCTION_NOT_FOUND = 13
    NVML_ERROR_NO_PERMISSION = 4
    NVML_ERROR_GPU_IS_LOST = 15

    class NVMLError(Exception):
        def __init__(self, value: int) -> None:
            super().__init__(f"error {value}")
            self.value = value

    def __init__(self) -> None:
        self.used, self.processes, self.accounted, self.accounting = 100, [], 0, 0

    def nvmlDeviceGetMemoryInfo(self, board):
        return SimpleNamespace(used=self.used)

    def nvmlDeviceGetComputeRunningProcesses(self, board):
        return [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in self.processes]

    def nvmlDeviceGetAccountingMode(self, board):
        return self.accounting

    def nvmlDeviceGetAccountingStats(self, board, pid):
        if not self.accounted:
            raise self.NVMLError(6)
        return SimpleNamespace(maxMemoryUsage=self.accounted)


@pytest.fixture
def nvml():
    return Nvml()


def test_the_process_itself_is_read_where_the_driver_lists_it(nvml):
    memory = NvmlMemory(nvml, 0, PID)
    nvml.processes = [(PID, 700), (1, 9000)]
    reading = memory.readings()["device_used_bytes"]
    assert reading.value == 700
    assert "this process" in reading.method


@pytest.mark.parametrize("listed", [[(1, 9000)], [(PID, None)]], ids=["in a container", "without permission"])
def test_otherwise_the_board_is_read_and_labelled_so(nvml, listed):
    memory = NvmlMemory(nvml, 0, PID)
    nvml.processes, nvml.used = listed, 450
    reading = memory.readings()["device_used_bytes"]
    assert reading.value == 350
    assert "whole board" in reading.method


def test_a_board_that_holds_no_more_gives_no_zero(nvml):
    reading = NvmlMemory(nvml, 0, PID).readings()["device_used_bytes"]
    assert reading.value is None
    assert reading.reason


def test_the_peak_is_known_in_accounting_mode_and_only_if_the_phase_raised_it(nvml):
    memory = NvmlMemory(nvml, 0, PID)
    memory.begin()
    assert "accounting mode" in memory.readings()["device_peak_bytes"].reason
    nvml.accounting = 1
    memory.begin()  # before the process's first use of the board
    nvml.accounted = 800
    assert memory.readings()["device_peak_bytes"].value == 800
    memory.begin()
    lower = memory.readings()["device_peak_bytes"]
    assert lower.value is None
    assert "not above the 800 B" in lower.reason


def test_a_cpu_has_no_device_memory_apart_and_others_say_why():
    assert device_memory("cpu", 0).readings() == {}
    unknown = NoDriver("tpu").readings()
    assert all(reading.value is None and "tpu" in reading.reason for reading in unknown.values())
