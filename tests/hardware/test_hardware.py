"""Devices, CPU sets and the fingerprint, on this machine and on trees of kernel files."""

import getpass
import json
import os
import platform
import re
import socket
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.backend import Device
from steelyard.core.errors import UsageError
from steelyard.hardware import processors
from steelyard.hardware.choice import choose_cpus, pick_device
from steelyard.hardware.cpu import cpu_facts, cpu_name, memory_bytes
from steelyard.hardware.devices import FoundDevice, Survey, devices
from steelyard.hardware.fingerprint import fingerprint

CPU = Device(kind="cpu", index=0, name="A CPU", memory_bytes=1 << 30)
GPUS = tuple(Device(kind="cuda", index=index, name="A GPU", memory_bytes=1 << 34) for index in (0, 1))


@pytest.fixture
def tree(tmp_path):
    def fill(files: dict[str, str]) -> Path:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return tmp_path

    return fill


def topology(cores: dict[int, tuple[int, int]]) -> dict[str, str]:
    files = {}
    for cpu, (package, core) in cores.items():
        base = f"sys/devices/system/cpu/cpu{cpu}/topology"
        files |= {f"{base}/physical_package_id": str(package), f"{base}/core_id": str(core)}
    return files


def test_this_machine_has_a_cpu_with_memory():
    cpu, *_ = devices()
    assert (cpu.kind, cpu.id) == ("cpu", "cpu")
    assert cpu.name
    assert cpu.memory_bytes > 1 << 28


def here(*devices: Device, integrated: Collection[str] = (), **reasons: str) -> Survey:
    found = (FoundDevice(device=device, facts={"integrated": device.id in integrated}) for device in devices)
    return Survey(found=tuple(found), reasons=reasons)


def test_picking_a_device():
    assert pick_device(None, here(CPU)) == CPU
    assert pick_device(None, here(CPU, *GPUS)) == GPUS[0]
    assert pick_device("cpu", here(CPU, *GPUS)) == CPU
    assert pick_device("cpu:0", here(CPU)) == CPU
    assert pick_device("cuda", here(CPU, *GPUS)) == GPUS[0]
    assert pick_device("cuda:1", here(CPU, *GPUS)) == GPUS[1]
    with pytest.raises(UsageError, match=r"unknown device 'cuda:2'; did you mean 'cuda:[01]'"):
        pick_device("cuda:2", here(CPU, *GPUS))
    with pytest.raises(UsageError, match=r"^--device tpu:0: none on the bus\. This machine has cpu;"):
        pick_device("tpu:0", here(CPU, tpu="none on the bus"))


@pytest.mark.parametrize("kind", ["npu", "mps", "xpu", "rocm"])
def test_what_is_part_of_the_processor_is_taken_when_it_is_named(kind):
    part = Device(kind=kind, index=0, name="A part", memory_bytes=None)
    machine = here(CPU, part, integrated=(part.id,))
    assert pick_device(None, machine) == CPU
    assert pick_device(kind, machine) == part


def test_a_card_beside_an_integrated_gpu_is_the_best():
    inner, card = (Device(kind="xpu", index=index, name="A GPU", memory_bytes=None) for index in (0, 1))
    assert pick_device(None, here(CPU, inner, card, integrated=("xpu:0",))) == card


def test_the_default_takes_each_core_once(tree, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3, 4, 5})
    root = tree(topology({0: (0, 0), 1: (0, 1), 2: (0, 0), 3: (0, 1), 4: (1, 0), 5: (1, 0)}))
    assert processors.default_cpus(root) == (0, 1, 4)
    assert processors.default_threads(root) == 3
    assert choose_cpus(2, None, root) == (0, 1)
    assert choose_cpus(5, None, root) == (0, 1, 2, 3, 4)
    assert choose_cpus(None, "3-5", root) == (3, 4, 5)
    assert choose_cpus(1, "3-5", root) == (3,)


def test_a_quota_makes_it_fewer(tree, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3})
    files = topology({cpu: (0, cpu) for cpu in range(4)})
    files |= {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "250000 100000"}
    assert processors.default_cpus(tree(files)) == (0, 1)
    assert processors.default_cpus(tree({"sys/fs/cgroup/cpu.max": "50000 100000"})) == (0,)


def test_affinity_is_honoured():
    code = (
        "import os; cpu = min(os.sched_getaffinity(0)); os.sched_setaffinity(0, {cpu})\n"
        "from steelyard.hardware.processors import default_cpus; assert default_cpus() == (cpu,), default_cpus()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("threads", "cpus", "message"),
    [
        (None, "0-", "not a list like 0-3,8"),
        (None, "x", "not a list like"),
        (None, "3-1", "not a list like"),
        (None, "0,99", r"may not use CPU 99; it may use 0-3"),
        (3, "0,1", "more than the 2 CPUs"),
        (9, None, r"may use 4 CPUs \(0-3\)"),
        (0, None, "at least 1"),
    ],
)
def test_impossible_cpu_sets_are_refused(monkeypatch, tmp_path, threads, cpus, message):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3})
    with pytest.raises(UsageError, match=message):
        choose_cpus(threads, cpus, tmp_path)


@given(st.sets(st.integers(0, 300), min_size=1))
def test_cpu_lists_round_trip(cpus):
    assert processors.parse_cpus(processors.format_cpus(tuple(cpus))) == tuple(sorted(cpus))


ARM = """processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd aes sve sve2 bf16 i8mm
CPU implementer\t: 0x41

processor\t: 1
"""


def test_cpu_facts_of_an_arm_server(tree):
    index = "sys/devices/system/cpu/cpu0/cache/index0"
    root = tree(
        {
            "proc/cpuinfo": ARM,
            **topology({0: (0, 0), 1: (0, 1)}),
            f"{index}/size": "65536K",
            f"{index}/level": "3",
            f"{index}/type": "Unified",
            f"{index}/shared_cpu_list": "0-1",
        }
    )
    facts = cpu_facts(root)
    assert facts["isa"] == ["asimd", "sve", "sve2", "i8mm", "bf16"]
    assert (facts["cores"], facts["sockets"]) == (2, 1)
    assert facts["caches"] == [{"level": 3, "type": "Unified", "bytes": 64 << 20, "shared_by": "0-1"}]
    assert facts["family"] == {"value": None, "reason": "not in /proc/cpuinfo"}
    assert cpu_name(root).endswith("processor")


@pytest.mark.parametrize(
    ("part", "name"), [("0xd40", "Arm Neoverse V1"), ("0xfff", f"{platform.machine()} processor"), ("?", None)]
)
def test_an_arm_processor_is_called_by_its_cores(tree, part, name):
    found = cpu_name(tree({"proc/cpuinfo": ARM.replace("0x41", f"0x41\nCPU part\t: {part}")}))
    assert found == (name or f"{platform.machine()} processor")


def test_memory_is_what_the_container_may_use(tree):
    root = tree({"proc/meminfo": "MemTotal:       2097152 kB\n"})
    assert memory_bytes(root) == 2 << 30
    tree({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": str(1 << 30)})
    assert memory_bytes(root) == 1 << 30


def leaves(value):
    if isinstance(value, dict) and set(value) == {"value", "reason"}:
        assert value["value"] is None
        assert value["reason"]
    elif isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def test_the_fingerprint_has_a_value_or_a_reason_everywhere(tmp_path):
    for root in (Path("/"), tmp_path):
        facts = fingerprint(root)
        assert all(value is not None and value != "" for value in leaves(facts))
        assert json.loads(json.dumps(facts)) == facts
    assert facts["governor"] == {"value": None, "reason": "no cpufreq governor is visible (usual in virtual machines)"}


def test_the_fingerprint_names_nobody(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", os.path.expanduser("~/cache"))
    facts = fingerprint()
    assert facts["variables_not_passed_on"]["OMP_NUM_THREADS"] == "2"
    assert facts["variables_not_passed_on"]["TORCHINDUCTOR_CACHE_DIR"] == "(a path)"
    names = "|".join(re.escape(name) for name in (getpass.getuser(), socket.gethostname(), os.path.expanduser("~")))
    assert not re.search(rf"(?<!\w)({names})(?!\w)", json.dumps(facts))
    assert facts["packages"]["numpy"]


def test_no_framework_is_imported():
    code = (
        "import sys; from steelyard.hardware.fingerprint import fingerprint\n"
        "from steelyard.hardware.devices import devices\n"
        "fingerprint(); devices()\n"
        "heavy = {'torch', 'jax', 'onnxruntime', 'openvino', 'numpy', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
