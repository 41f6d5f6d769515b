"""Detection and readings by what real machines printed: tests/fakes/recorded.py."""

import sys
from types import SimpleNamespace

import pytest

from steelyard.guard.amdsmi import amdsmi_source
from steelyard.guard.energy_source import Absent
from steelyard.guard.gate import Gate
from steelyard.guard.meter_window import total
from steelyard.guard.places import address_of
from steelyard.hardware.amd import amd_facts, amd_identities
from steelyard.hardware.devices import devices
from steelyard.hardware.profiles import profile_of
from steelyard.hardware.tpu import tpu_devices
from tests.fakes import recorded
from tests.fakes.sysfs import link, pci_device, write
from tests.guard.test_energy import Clock

BOARDS = ("0000:05:00.0", "0000:27:00.0")


@pytest.fixture(autouse=True)
def all_visible(monkeypatch):
    for name in ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)


def topology(root, *nodes):
    """The nodes as they were printed, each with its device file."""
    for number, properties in enumerate((recorded.PROCESSORS, *nodes)):
        write(root / f"sys/class/kfd/kfd/topology/nodes/{number}", properties=properties)
        minor = properties.partition("drm_render_minor ")[2].split()[0]
        write(root / "dev/dri", **{f"renderD{minor}": ""})
    return root


def part(board, number):
    """A part of an MI300X: the lines that differ from part 0 of the first board are those that were recorded."""
    location, minor, unique = ((1280, 128, 16404946649897475633), (9984, 136, 2472748907779728154))[board]
    text = recorded.MI300X_PART.replace("location_id 1280", f"location_id {location + number}")
    text = text.replace("drm_render_minor 128", f"drm_render_minor {minor + number}")
    return text.replace("unique_id 16404946649897475633", f"unique_id {unique}")


def test_a_board_under_an_older_kernel_that_tells_less(tmp_path):
    root = topology(tmp_path, recorded.VEGA)
    write(root / "sys/class/kfd/kfd/topology/nodes/1/mem_banks/0", properties=recorded.VEGA_BANK)
    (facts,), reason = amd_facts(root)
    assert reason == ""
    assert facts["memory_bytes"] == 17163091968
    assert (facts["compute_units"], facts["clock_max_hz"]) == (64, 1_500_000_000)
    assert facts["memory_clock_max_hz"] == 945_000_000
    assert facts["architecture"] == {"value": None, "reason": "the compute topology tells none"}
    assert facts["name"] == "AMD GPU 1002:6860 (unknown architecture)"
    assert address_of("rocm", 0, root) == "0000:19:00.0"


def test_a_board_of_a_server(tmp_path):
    root = topology(tmp_path, recorded.MI210)
    (facts,), _ = amd_facts(root)
    assert (facts["architecture"], facts["compute_units"], facts["integrated"]) == ("gfx90a", 104, False)
    assert facts["memory_bytes"]["reason"], "no bank is told, and that is no zero"
    assert address_of("rocm", 0, root) == "0000:63:00.0"


@pytest.fixture
def split(tmp_path):
    """Two boards, each in eight parts, of which the bus shows function 0 alone."""
    for address, watts in zip(BOARDS, (700, 200), strict=True):
        board = pci_device(tmp_path, address, "amdgpu", 0x1002, 0x74A1)
        write(board, current_compute_partition="CPX", product_name="AMD Instinct MI300X OAM")
        write(board / "hwmon/hwmon3", name="amdgpu", power1_cap=750_000_000, power1_average=watts * 1_000_000)
    return topology(tmp_path, *(part(board, number) for board in (0, 1) for number in range(8)))


def test_parts_of_two_boards_are_sixteen_devices_without_the_figures_of_the_whole(split):
    found = [device for device in devices(split) if device.kind == "rocm"]
    assert [device.index for device in found] == list(range(16))
    assert {device.name for device in found} == {"AMD MI300X OAM part (CPX)"}
    assert profile_of(found[0].name, "rocm") is None
    facts, _ = amd_facts(split)
    assert {(entry["compute_units"], entry["power_cap_w"]) for entry in facts} == {(38, 750.0)}


def test_each_part_lies_on_its_board_and_has_a_lock_of_its_own(split):
    assert [address_of("rocm", index, split) for index in range(16)] == [BOARDS[0]] * 8 + [BOARDS[1]] * 8
    assert len(set(amd_identities(split).values())) == 16


def test_a_part_whose_board_is_not_on_the_bus_keeps_the_place_that_is_told(tmp_path):
    root = topology(tmp_path, recorded.MI308X_PART)
    assert address_of("rocm", 0, root) == "0000:0a:00.1"
    assert amd_facts(root)[0][0]["compute_units"] == 20


def tpus(root, chips, files):
    for address, (vendor, device) in chips.items():
        write(root / "sys/bus/pci/devices" / address, vendor=vendor, device=device)
        write(root / "sys/bus/pci/drivers/vfio-pci", bind="")
        link(root / "sys/bus/pci/devices" / address / "driver", root / "sys/bus/pci/drivers/vfio-pci")
    write(root / "dev/vfio", **dict.fromkeys(files, ""))
    return root


def test_four_chips_of_a_tpu_machine(tmp_path):
    found, reason = tpu_devices(tpus(tmp_path, recorded.TPU_V6E, recorded.TPU_V6E_FILES))
    assert reason == ""
    assert [(device.id, device.name) for device in found] == [(f"tpu:{index}", "TPU v6e") for index in range(4)]


def test_the_control_file_of_vfio_alone_is_no_tpu_that_can_be_opened(tmp_path):
    found, reason = tpu_devices(tpus(tmp_path, recorded.TPU_V6E, ("vfio",)))
    assert found == ()
    assert "/dev/vfio/0" in reason


def test_an_accumulator_that_stands_still_under_load_is_no_number_and_no_zero(monkeypatch):
    clock, told = Clock(), iter(recorded.MI100_ENERGY * 4)
    smi = SimpleNamespace(
        AmdSmiException=RuntimeError,
        amdsmi_init=lambda: None,
        amdsmi_shut_down=lambda: None,
        amdsmi_get_processor_handles=lambda: ["board"],
        amdsmi_get_energy_count=lambda handle: next(told),
    )
    monkeypatch.setitem(sys.modules, "amdsmi", smi)
    source = amdsmi_source()
    assert not isinstance(source, Absent)
    assert source.resolution_j == pytest.approx(15.3e-6)
    source._clock_ns, source._gate = clock, Gate()
    start = source.read()
    clock.pass_s(10)
    energy = total(source, [start, source.read()])
    assert energy.joules is None
    assert energy.fault.code == "not_supported"
