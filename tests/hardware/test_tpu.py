"""TPUs by what the kernel of a TPU machine shows of its PCI bus."""

import pytest

from steelyard.hardware.devices import devices
from steelyard.hardware.tpu import tpu_devices, tpu_facts


def machine(root, ids, node="dev/accel0", vendor="0x1ae0"):
    for place, device in enumerate(ids):
        chip = root / f"sys/bus/pci/devices/0000:00:{place + 4:02x}.0"
        chip.mkdir(parents=True)
        (chip / "vendor").write_text(f"{vendor}\n")
        (chip / "device").write_text(f"{device}\n")
    if node:
        (root / node).parent.mkdir(parents=True, exist_ok=True)
        (root / node).write_text("")
    return root


@pytest.mark.parametrize(
    ("device", "name", "each"),
    [
        ("0x0027", "TPU v3", 2),
        ("0x005e", "TPU v4", 1),
        ("0x0062", "TPU v5p", 1),
        ("0x0063", "TPU v5e", 1),
        ("0x006f", "TPU v6e", 1),
        ("0x0076", "TPU7x", 1),  # each of its two chiplets stands on the bus by itself
    ],
)
def test_each_chip_is_as_many_devices_as_jax_shows(tmp_path, device, name, each):
    found, reason = tpu_devices(machine(tmp_path, [device] * 4))
    assert reason == ""
    assert [(one.kind, one.index, one.name) for one in found] == [("tpu", n, name) for n in range(4 * each)]
    assert {one.memory_bytes for one in found} == {None}
    assert tpu_facts(tmp_path)[0][0]["driver"]["reason"]


def test_the_network_card_of_the_same_vendor_is_none(tmp_path):
    assert tpu_devices(machine(tmp_path, ["0x0042"])) == ((), "no TPU is on the PCI bus")


def test_a_chip_of_another_vendor_is_none(tmp_path):
    assert tpu_devices(machine(tmp_path, ["0x0063"], vendor="0x8086"))[0] == ()


def test_in_a_container_without_its_file_there_is_none_and_the_reason_names_it(tmp_path):
    found, reason = tpu_devices(machine(tmp_path, ["0x0063"], node=""))
    assert found == ()
    assert "/dev/vfio/0" in reason


def test_it_stands_in_the_list_of_devices(tmp_path):
    root = machine(tmp_path, ["0x0063", "0x0063"], node="dev/vfio/0")
    assert [device.id for device in devices(root) if device.kind != "cuda"] == ["cpu", "tpu:0", "tpu:1"]
