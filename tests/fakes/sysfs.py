"""Trees of kernel files as machines with AMD and Intel devices have them: the drivers' file names and units."""

from pathlib import Path

MI300X = {"device_id": 0x74A1, "gfx_target_version": 90402, "simd_count": 1216, "clock_mhz": 2100, "memory": 206 << 30}
RADEON = {"device_id": 0x744C, "gfx_target_version": 110000, "simd_count": 192, "clock_mhz": 2500, "memory": 24 << 30}
PHOENIX = {"device_id": 0x15BF, "gfx_target_version": 110003, "simd_count": 24, "clock_mhz": 2700, "memory": 4 << 30}
"""Instinct MI300X and Radeon RX 7900 XTX have memory of their own; the GPU of a Phoenix APU shares the machine's."""


def write(folder: Path, **contents: object) -> Path:
    """Small files with a line each."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_text(f"{content}\n")
    return folder


def pci_device(root: Path, address: str, driver: str, vendor: int, device: int) -> Path:
    """What every PCI device has. `/sys/class/*/device` are links to such a folder."""
    link(root / "sys/bus/pci/devices" / address, root / "sys/devices/pci0000:00" / address)
    return write(
        root / f"sys/devices/pci0000:00/{address}",
        uevent=f"DRIVER={driver}\nPCI_CLASS=30000\nPCI_ID={vendor:04X}:{device:04X}\nPCI_SLOT_NAME={address}",
        vendor=f"0x{vendor:04x}",
        device=f"0x{device:04x}",
        revision="0x00",
    )


def amd_cpu(root: Path, node: int = 0) -> None:
    """The processors' node, which is no device of ROCm's."""
    write(root / f"sys/class/kfd/kfd/topology/nodes/{node}", properties="cpu_cores_count 96\nsimd_count 0\nunique_id 0")


def amd_gpu(
    root: Path,
    node: int,
    address: str,
    model: dict[str, int],
    *,
    unique_id: int = 0,
    product: str = "",
    hwmon: int | None = None,
    opened: bool = True,
    part: int = 0,
) -> Path:
    """A GPU of the driver amdgpu with its node in the compute topology. Returns the PCI device's folder."""
    domain, bus, rest = address.split(":")
    device, function = rest.split(".")
    location = part << 28 | int(bus, 16) << 8 | int(device, 16) << 3 | int(function, 16)
    minor = 127 + node
    pci = pci_device(root, address, "amdgpu", 0x1002, model["device_id"])
    write(pci, mem_info_vram_total=model["memory"], vbios_version="113-M3000100-102")
    if product:
        write(pci, product_name=product)
    folder = root / f"sys/class/kfd/kfd/topology/nodes/{node}"
    properties = {
        "cpu_cores_count": 0,
        "simd_count": model["simd_count"],
        "simd_per_cu": 4 if model["gfx_target_version"] < 100000 else 2,
        "gfx_target_version": model["gfx_target_version"],
        "vendor_id": 0x1002,
        "device_id": model["device_id"],
        "location_id": location,
        "domain": int(domain, 16),
        "drm_render_minor": minor,
        "max_engine_clk_fcompute": model["clock_mhz"],
        "unique_id": unique_id,
    }
    write(folder, properties="\n".join(f"{name} {value}" for name, value in properties.items()), gpu_id=30000 + node)
    write(
        folder / "mem_banks/0",
        properties=f"heap_type 1\nsize_in_bytes {model['memory']}\nflags 0\nwidth 8192\nmem_clk_max 1300",
    )
    (root / "dev/dri").mkdir(parents=True, exist_ok=True)
    if opened:
        write(root / "dev", kfd="")
        write(root / "dev/dri", **{f"renderD{minor}": ""})
    if hwmon is not None:
        write(pci / f"hwmon/hwmon{hwmon}", name="amdgpu", power1_cap=750_000_000, power1_average=200_000_000)
        link(root / f"sys/class/hwmon/hwmon{hwmon}", pci / f"hwmon/hwmon{hwmon}")
        link(pci / f"hwmon/hwmon{hwmon}/device", pci)
    return pci


def intel_gpu(
    root: Path,
    card: int,
    address: str,
    device: int,
    *,
    driver: str = "xe",
    memory: int | None = None,
    clock_mhz: int = 2850,
    hwmon: int | None = None,
    opened: bool = True,
) -> Path:
    """A GPU of the driver xe or i915; with `memory` it has its own. Returns the PCI device's folder."""
    pci = pci_device(root, address, driver, 0x8086, device)
    folder = root / f"sys/class/drm/card{card}"
    link(folder / "device", pci)
    write(root / f"sys/class/drm/card{card}-DP-1", status="connected")
    if driver == "xe":
        write(pci / "tile0/gt0/freq0", rp0_freq=clock_mhz, max_freq=clock_mhz - 100)
        if memory is not None:
            write(pci / "tile0", physical_vram_size_bytes=f"{memory:#x}")
    else:
        write(folder, gt_RP0_freq_mhz=clock_mhz)
    (pci / f"drm/renderD{128 + card}").mkdir(parents=True)
    (root / "dev/dri").mkdir(parents=True, exist_ok=True)
    if opened:
        write(root / "dev/dri", **{f"renderD{128 + card}": ""})
    if hwmon is not None:
        write(pci / f"hwmon/hwmon{hwmon}", name=driver, power1_max=190_000_000, energy1_input=5_000_000)
        link(root / f"sys/class/hwmon/hwmon{hwmon}", pci / f"hwmon/hwmon{hwmon}")
        link(pci / f"hwmon/hwmon{hwmon}/device", pci)
    return pci


def intel_npu(root: Path, number: int = 0, address: str = "0000:00:0b.0", device: int = 0x643E) -> Path:
    """An NPU of the driver intel_vpu. Returns the PCI device's folder."""
    pci = pci_device(root, address, "intel_vpu", 0x8086, device)
    link(root / f"sys/class/accel/accel{number}/device", pci)
    write(pci, npu_max_frequency_mhz=1950, npu_current_frequency_mhz=0, sched_mode="HW")
    write(root / "dev/accel", **{f"accel{number}": ""})
    return pci


def link(place: Path, target: Path) -> None:
    """A symbolic link, its folder included."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.is_symlink():  # the parts of one board share its folder
        place.symlink_to(target, target_is_directory=True)
