"""AMD's GPUs by what the driver's files and AMD's library say."""

import sys
from types import SimpleNamespace

import pytest

from steelyard.core.backend import Budget, Device
from steelyard.hardware.amd import amd_facts, amd_identities
from steelyard.hardware.devices import devices
from steelyard.hardware.occupied import names_of
from steelyard.hardware.profiles import profile_of
from tests.fakes.sysfs import MI300X, PHOENIX, RADEON, amd_cpu, amd_gpu, write

PLACE = "0000:03:00.0"
PCI_IDS = "1002  Advanced Micro Devices\n\t744c  Navi 31 [Radeon RX 7900 XTX]\n\t\t1002 0e3b  Board\n"
AMDGPU_IDS = "# List\n1.0.0\n744C,\tC8,\tAMD Radeon RX 7900 XT\n744C,\t00,\tAMD Radeon Pro\n"


@pytest.fixture(autouse=True)
def all_visible(monkeypatch):
    for name in ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delitem(sys.modules, "amdsmi", raising=False)


def only(root):
    (facts,), reason = amd_facts(root)
    assert reason == ""
    return facts


def test_a_board_of_a_server(tmp_path):
    amd_cpu(tmp_path)
    amd_gpu(tmp_path, 1, PLACE, MI300X, unique_id=7, product="AMD Instinct MI300X OAM", hwmon=2)
    write(tmp_path / "sys/module/amdgpu", version="6.10.5")
    facts = only(tmp_path)
    assert facts == {
        "name": "AMD Instinct MI300X OAM",
        "memory_bytes": 206 << 30,
        "integrated": False,
        "architecture": "gfx942",
        "compute_units": 304,
        "partition": {"value": None, "reason": "the board has no partitioned modes"},
        "clock_max_hz": 2_100_000_000,
        "memory_clock_max_hz": 1_300_000_000,
        "power_cap_w": 750.0,
        "driver": "amdgpu 6.10.5",
        "vbios": "113-M3000100-102",
    }
    assert profile_of(facts["name"], "rocm").model == "AMD Instinct MI300X"


def test_a_part_of_a_board_has_no_profile_since_that_is_of_the_whole(tmp_path):
    for part in (0, 1):
        board = amd_gpu(tmp_path, part + 1, PLACE, MI300X, product="AMD Instinct MI300X OAM", part=part, unique_id=7)
    write(board, current_compute_partition="CPX")
    found = [device for device in devices(tmp_path) if device.kind == "rocm"]
    assert [device.id for device in found] == ["rocm:0", "rocm:1"]
    assert {device.name for device in found} == {"AMD MI300X OAM part (CPX)"}
    assert profile_of(found[0].name, "rocm") is None
    first, second = amd_identities(tmp_path).values()
    assert first != second


@pytest.mark.parametrize(
    ("path", "content", "name"),
    [
        ("usr/share/misc/none", "", "AMD GPU 1002:744c (gfx1100)"),
        ("usr/share/misc/pci.ids", PCI_IDS, "AMD Radeon RX 7900 XTX"),
        ("usr/share/libdrm/amdgpu.ids", AMDGPU_IDS, "AMD Radeon Pro"),
    ],
)
def test_a_card_without_a_name_of_its_own_is_called_as_lists_call_it(tmp_path, path, content, name):
    amd_gpu(tmp_path, 1, PLACE, RADEON)
    write((tmp_path / path).parent, **{(tmp_path / path).name: content})
    facts = only(tmp_path)
    assert facts["name"] == name
    assert facts["compute_units"] == 96
    assert facts["power_cap_w"]["reason"] == "no power1_cap in the device's hwmon"


def test_the_library_of_amds_is_asked_where_it_is_installed(tmp_path, monkeypatch):
    amd_gpu(tmp_path, 1, PLACE, RADEON)
    open_uses = []
    smi = SimpleNamespace(
        AmdSmiException=RuntimeError,
        amdsmi_init=lambda: open_uses.append(1),
        amdsmi_shut_down=open_uses.pop,
        amdsmi_get_processor_handle_from_bdf={PLACE: "handle"}.__getitem__,
        amdsmi_get_gpu_asic_info={"handle": {"market_name": "Radeon RX 7900 XTX"}}.__getitem__,
    )
    monkeypatch.setitem(sys.modules, "amdsmi", smi)
    assert only(tmp_path)["name"] == "Radeon RX 7900 XTX"
    smi.amdsmi_get_gpu_asic_info = {}.__getitem__
    assert only(tmp_path)["name"] == "AMD GPU 1002:744c (gfx1100)"
    assert open_uses == []


def test_the_gpu_of_a_processor_is_told_from_a_card(tmp_path):
    amd_gpu(tmp_path, 1, PLACE, PHOENIX)
    assert (only(tmp_path)["integrated"], only(tmp_path)["architecture"]) == (True, "gfx1103")


def test_why_there_is_none(tmp_path):
    assert "no driver amdgpu is loaded (/sys/class/kfd)" in amd_facts(tmp_path)[1]
    (tmp_path / "sys/module/amdgpu").mkdir(parents=True)
    assert "the driver amdgpu shows no compute topology" in amd_facts(tmp_path)[1]
    amd_gpu(tmp_path, 1, PLACE, RADEON, opened=False)
    found, reason = amd_facts(tmp_path)
    assert found == []
    assert "give the container /dev/kfd and /dev/dri" in reason
    write(tmp_path / "dev/dri", renderD200="")
    assert "/dev/dri/renderD* here and is chosen by the *_VISIBLE_DEVICES variables" in amd_facts(tmp_path)[1]


def test_the_lock_is_on_the_board_whatever_its_index(tmp_path, monkeypatch):
    for node, address in ((1, PLACE), (2, "0000:83:00.0")):
        amd_gpu(tmp_path, node, address, MI300X, unique_id=0xFEED0 + node)
    monkeypatch.setattr(
        "steelyard.hardware.occupied.identity_of", lambda device: amd_identities(tmp_path)[device.index]
    )
    gpu, budget = Device(kind="rocm", index=0, name="", memory_bytes=None), Budget(threads=1, cpus=(0,))
    first = names_of(gpu, budget)
    monkeypatch.setenv("ROCR_VISIBLE_DEVICES", "1")
    second = names_of(gpu, budget)
    monkeypatch.setenv("ROCR_VISIBLE_DEVICES", "0")
    assert names_of(gpu, budget) == first != second
    assert "feed" not in "".join(first)
