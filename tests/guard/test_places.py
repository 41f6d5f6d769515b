"""A meter is the device's own: joined by the PCI address, whatever numbers the drivers were given at boot."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.guard.amdsmi import amdsmi_source
from steelyard.guard.board import foreign_processes
from steelyard.guard.hwmon import hwmon_source
from steelyard.guard.jetson import jetson_source
from steelyard.guard.meters import meter_for
from steelyard.guard.pci import by_number
from steelyard.guard.places import address_of
from steelyard.guard.visible_amd import visible_nodes
from steelyard.guard.visible_intel import gpus
from tests.fakes.sysfs import MI300X, RADEON, amd_cpu, amd_gpu, intel_gpu, intel_npu, write
from tests.guard.test_energy import Clock
from tests.guard.test_sources import FakeSmi

FIRST, SECOND, THIRD = "0000:03:00.0", "0000:83:00.0", "0001:c3:00.0"


@pytest.fixture
def amd(tmp_path, monkeypatch):
    """Three boards; the drivers' monitors were registered in another order than that of the topology."""
    for name in ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    amd_cpu(tmp_path)
    for node, (address, hwmon) in enumerate(((FIRST, 10), (SECOND, 2), (THIRD, 3)), start=1):
        amd_gpu(tmp_path, node, address, MI300X, unique_id=0xA0 + node, hwmon=hwmon)
    return tmp_path


@given(st.lists(st.integers(0, 300), unique=True))
def test_numbers_order_as_numbers(numbers):
    folders = [Path("sys/class/hwmon", f"hwmon{number}") for number in numbers]
    assert [path.name for path in by_number(folders)] == [f"hwmon{number}" for number in sorted(numbers)]


def test_amd_boards_are_counted_by_the_topology_and_the_variables_choose_among_them(amd):
    assert [address_of("rocm", index, amd) for index in range(4)] == [FIRST, SECOND, THIRD, None]

    def seen(**variables):
        return [node.address for node in visible_nodes(amd, variables)]

    assert seen(ROCR_VISIBLE_DEVICES="2,0") == [THIRD, FIRST]
    assert seen(ROCR_VISIBLE_DEVICES="GPU-00000000000000a2") == [SECOND]
    assert seen(ROCR_VISIBLE_DEVICES="2,0", HIP_VISIBLE_DEVICES="1") == [FIRST]
    assert seen(CUDA_VISIBLE_DEVICES="1") == [SECOND]
    assert seen(HIP_VISIBLE_DEVICES="0", CUDA_VISIBLE_DEVICES="1") == [FIRST]


def test_a_board_whose_device_file_is_not_here_is_not_counted(amd):
    (amd / "dev/dri/renderD128").unlink()  # a container that was given the others
    assert address_of("rocm", 0, amd) == SECOND


def test_parts_of_one_board_have_its_address(tmp_path):
    for part in (1, 2):
        amd_gpu(tmp_path, part, FIRST, MI300X, part=part)
    assert [node.address for node in visible_nodes(tmp_path, {})] == [FIRST, FIRST]


def test_the_monitor_of_a_board_is_found_by_its_address(amd):
    (amd / "sys/class/hwmon/hwmon10/power1_average").write_text("700000000\n")  # the first board works, others idle
    assert {count.watts for count in meter_for("rocm", 0, root=amd).read().values()} == {700.0}
    assert {count.watts for count in meter_for("rocm", 1, root=amd).read().values()} == {200.0}
    assert meter_for("rocm", 3, root=amd).fault.code == "no_device"


def test_others_that_compute_on_a_board_are_found_and_on_another_they_are_not(amd):
    processes = amd / "sys/class/kfd/kfd/proc"
    write(processes / "4711", vram_30001=1 << 30, vram_30002=0, pasid=32770)
    write(processes / "4712", vram_30002=0)
    write(processes / str(os.getpid()), vram_30001=1 << 20)
    count, ids = foreign_processes("rocm", 0, amd)
    assert (count.value, ids) == (1, (4711,))
    assert foreign_processes("rocm", 1, amd)[0].value == 0
    (amd / "sys/class/kfd/kfd/topology/nodes/3/gpu_id").unlink()
    for index in (2, 7):
        assert "does not tell who computes" in foreign_processes("rocm", index, amd)[0].reason


def test_anothers_monitor_is_none_for_a_board_without_one(tmp_path):
    amd_gpu(tmp_path, 1, FIRST, RADEON)
    amd_gpu(tmp_path, 2, SECOND, RADEON, hwmon=4)
    assert meter_for("rocm", 0, root=tmp_path).fault.code == "no_device"
    assert meter_for("rocm", 1, root=tmp_path).name == "hwmon-power"


def test_without_addresses_the_order_is_that_of_the_numbers(tmp_path):
    for number, watts in ((10, 300), (2, 100), (9, 200)):
        write(tmp_path / f"hwmon{number}", name="amdgpu", power1_average=watts * 1_000_000)
    told = [hwmon_source("rocm", index, tmp_path, Clock()).read()["amdgpu/power1"].watts for index in range(3)]
    assert told == [100, 200, 300]


def test_intel_devices_are_counted_by_the_bus(tmp_path):
    intel_gpu(tmp_path, 0, SECOND, 0x56A0, memory=16 << 30, hwmon=11)
    intel_gpu(tmp_path, 1, "0000:00:02.0", 0xA7A0, driver="i915")
    intel_gpu(tmp_path, 2, FIRST, 0xE20B, memory=12 << 30, opened=False)
    intel_npu(tmp_path)
    assert [address_of("xpu", index, tmp_path) for index in range(3)] == ["0000:00:02.0", SECOND, None]
    assert [card.name for card in gpus(tmp_path)] == ["card1", "card0"]
    assert address_of("npu", 0, tmp_path) == "0000:00:0b.0"
    assert meter_for("xpu", 0, root=tmp_path).fault.code == "no_device"  # an integrated GPU has no meter of its own
    assert meter_for("xpu", 1, root=tmp_path).name == "hwmon"


def test_rails_of_a_second_monitor_follow_those_of_the_first(tmp_path):
    for number, label in ((10, "VDD_SOC"), (9, "VDD_IN")):
        write(tmp_path / f"hwmon{number}", name="ina3221", in1_label=label, in1_input=5000, curr1_input=100)
    assert [domain.id for domain in jetson_source(tmp_path, Clock()).domains()] == ["VDD_IN", "VDD_SOC"]


def test_amdsmi_is_asked_for_the_board_at_the_address(monkeypatch):
    class Smi(FakeSmi):
        def amdsmi_get_processor_handles(self):
            return [SECOND.upper(), FIRST]

        def amdsmi_get_gpu_device_bdf(self, handle):
            return handle

        def amdsmi_get_energy_count(self, handle):
            self.asked = handle
            return super().amdsmi_get_energy_count(handle)

    smi = Smi()
    monkeypatch.setitem(sys.modules, "amdsmi", smi)
    assert amdsmi_source(0, SECOND).name == "amdsmi"
    assert smi.asked == SECOND.upper()
    assert amdsmi_source(0, FIRST).name == "amdsmi"
    assert smi.asked == FIRST
    assert amdsmi_source(0, THIRD).fault.code == "no_device"
