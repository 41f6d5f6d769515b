"""Intel's GPUs and NPUs by what their drivers' files say."""

import pytest

from steelyard.hardware.devices import devices, identity_of
from steelyard.hardware.intel import gpu_facts, npu_facts
from tests.fakes.sysfs import intel_gpu, intel_npu, write

CARD = "0000:03:00.0"
SHARED = {"value": None, "reason": "it has no memory of its own and shares the machine's"}


def test_a_card_with_memory_of_its_own(tmp_path):
    intel_gpu(tmp_path, 0, CARD, 0xE20B, memory=12 << 30, hwmon=4)
    write(tmp_path / "usr/share/hwdata", **{"pci.ids": "8086  Intel Corporation\n\te20b  Battlemage G21 [Arc B580]\n"})
    (facts,), reason = gpu_facts(tmp_path)
    assert reason == ""
    assert facts == {
        "name": "Intel Arc B580",
        "memory_bytes": 12 << 30,
        "integrated": False,
        "tiles": 1,
        "clock_max_hz": 2.85e9,
        "power_cap_w": 190.0,
        "driver": "xe",
    }


@pytest.mark.parametrize("driver", ["i915", "xe"])
def test_the_gpu_of_a_processor_shares_its_memory(tmp_path, driver):
    intel_gpu(tmp_path, 0, "0000:00:02.0", 0xA7A0, driver=driver, clock_mhz=1500)
    (facts,), _ = gpu_facts(tmp_path)
    assert (facts["name"], facts["integrated"], facts["memory_bytes"]) == ("Intel GPU 8086:a7a0", True, SHARED)
    assert facts["clock_max_hz"] == 1.5e9
    assert facts["power_cap_w"]["reason"]


def test_a_card_whose_driver_does_not_tell_its_memory_is_no_part_of_the_processor(tmp_path):
    intel_gpu(tmp_path, 0, CARD, 0x56A0, driver="i915")
    (facts,), _ = gpu_facts(tmp_path)
    assert facts["integrated"] is False
    assert facts["memory_bytes"] == {"value": None, "reason": "the driver i915 does not tell it"}


def test_memory_of_several_tiles_is_added(tmp_path):
    card = intel_gpu(tmp_path, 0, CARD, 0x0BD5, memory=64 << 30)
    write(card / "tile1", physical_vram_size_bytes=f"{64 << 30:#x}")
    (facts,), _ = gpu_facts(tmp_path)
    assert (facts["memory_bytes"], facts["tiles"]) == (128 << 30, 2)


@pytest.mark.parametrize(("device", "name"), [(0x643E, "Intel NPU (Lunar Lake)"), (0x1234, "Intel NPU 8086:1234")])
def test_an_npu(tmp_path, device, name):
    intel_npu(tmp_path, device=device)
    (facts,), _ = npu_facts(tmp_path)
    assert facts == {
        "name": name,
        "memory_bytes": SHARED,
        "integrated": True,
        "clock_max_hz": 1.95e9,
        "driver": "intel_vpu",
    }


def test_newer_drivers_tell_the_clock_elsewhere(tmp_path):
    npu = intel_npu(tmp_path)
    (npu / "npu_max_frequency_mhz").unlink()
    write(npu / "freq", hw_max_freq=1850)
    assert npu_facts(tmp_path)[0][0]["clock_max_hz"] == 1.85e9


def test_an_accelerator_of_another_vendor_is_no_npu_and_a_screen_no_gpu(tmp_path):
    npu = intel_npu(tmp_path)
    write(npu, uevent="DRIVER=habanalabs\nPCI_SLOT_NAME=0000:00:0b.0")
    write(tmp_path / "sys/class/drm/card0-DP-1", status="connected")
    assert npu_facts(tmp_path) == ([], "no driver intel_vpu shows a device in /sys/class/accel")
    assert gpu_facts(tmp_path) == ([], "no driver i915 or xe shows a device in /sys/class/drm")


def test_without_device_files_the_reason_names_them(tmp_path):
    intel_gpu(tmp_path, 0, CARD, 0x56A0, opened=False)
    intel_npu(tmp_path)
    (tmp_path / "dev/accel/accel0").unlink()
    assert "give the container /dev/dri" in gpu_facts(tmp_path)[1]
    assert "give the container /dev/accel" in npu_facts(tmp_path)[1]


def test_they_stand_in_the_list_and_each_has_a_lock_of_its_own(tmp_path):
    intel_gpu(tmp_path, 1, "0000:00:02.0", 0xA7A0, driver="i915")
    intel_gpu(tmp_path, 0, CARD, 0x56A0, memory=16 << 30)
    intel_npu(tmp_path)
    found = [device for device in devices(tmp_path) if device.kind in ("xpu", "npu")]
    assert [device.id for device in found] == ["xpu:0", "xpu:1", "npu:0"]
    locks = [identity_of(device, tmp_path) for device in found]
    assert len(set(locks)) == 3
    assert all(lock and ":" not in lock for lock in locks)
