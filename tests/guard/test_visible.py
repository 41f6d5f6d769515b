"""CUDA's index and NVML's: joined by UUID over the stand-in library, whose boards lie on the bus in another order."""

import ctypes
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.backend import Budget, Device, parse_backend
from steelyard.engine.launch_start import environment
from steelyard.engine.protocol import LaunchRequest
from steelyard.guard.board import BoardWatch, foreign_processes
from steelyard.guard.device_memory import device_memory
from steelyard.guard.gpu import gpu_readings
from steelyard.guard.nvml import NvmlCounter
from steelyard.guard.visible import chosen_of, visible, visible_at
from tests.fakes.numpy_work import PATH
from tests.fakes.nvml import SETTINGS, loaded

# NVML's 0, 1, 2 lie on the bus as 2, 0, 1.
BUS = "0.pci=00000000:41:00.0;1.pci=00000000:01:00.0;2.pci=00000000:21:00.0"
THREE = f"devices=3;{BUS};0.uuid=GPU-aaaa-1;1.uuid=GPU-bbbb-2;2.uuid=GPU-bbbc-3"


@pytest.fixture
def nvml(monkeypatch):
    pynvml = pytest.importorskip("pynvml")
    library = loaded()
    monkeypatch.setenv(SETTINGS, THREE)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    library.stub_set_time_ns(ctypes.c_int64(100_000_000_000))
    pynvml.nvmlInit()
    yield pynvml
    library.stub_set_time_ns(ctypes.c_int64(-1))


def seen(nvml, text=None):
    found = visible(nvml, {} if text is None else {"CUDA_VISIBLE_DEVICES": text})
    return [device.index if device.instance is None else (device.index, device.instance) for device in found]


@pytest.mark.parametrize(
    ("text", "indices"),
    [
        (None, [1, 2, 0]),
        ("", []),
        ("0", [1]),
        ("2,0", [0, 1]),
        ("GPU-aaaa-1", [0]),
        ("GPU-a", [0]),
        ("gpu-bbbc,0", [2, 1]),
        ("0,2,-1,1", [1, 0]),
        ("0,7,1", [1]),
        ("GPU-bbb", []),  # two boards begin so
        ("GPU-none,0", []),
        ("1, 1, 0", [2]),
        ("MIG-GPU-aaaa-1/1/0", []),  # no board is split
    ],
)
def test_cuda_counts_what_the_variable_names_in_its_order(nvml, text, indices):
    assert seen(nvml, text) == indices


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (None, [(0, 0)]),
        ("2", [(0, 0)]),
        ("0,1", [1, 2]),
        ("0,2", [(0, 0)]),  # whole boards are not seen beside a part
        ("MIG-stub-0-1", [(0, 1)]),
        ("MIG-stub-0-1,MIG-stub-0-0", [(0, 1)]),
        ("MIG-GPU-aaaa-1/2/0", [(0, 1)]),
        ("MIG-stub-0-5", []),
    ],
)
def test_of_split_boards_one_part_is_seen(nvml, monkeypatch, text, parts):
    monkeypatch.setenv(SETTINGS, f"{THREE};0.mig=2")
    assert seen(nvml, text) == parts


def test_a_board_without_a_uuid_is_found_by_its_place(nvml, monkeypatch):
    monkeypatch.setenv(SETTINGS, f"devices=3;{BUS};uuid=not_supported")
    assert seen(nvml, "1") == [2]
    assert seen(nvml, "GPU-a") == []


def test_an_index_that_cuda_does_not_have_is_nvmls_error(nvml, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")
    assert visible_at(nvml, 0).index == 0
    for index in (1, -1):
        with pytest.raises(nvml.NVMLError, match="Invalid Argument"):
            visible_at(nvml, index)


def test_whatever_samples_a_board_samples_the_one_that_computes(nvml, monkeypatch):
    """CUDA's device 0 is NVML's board 1: its power, its processes, its memory, its heat."""
    own = "watts=100;1.watts=300;1.processes=2;1.temperature=70;1.slowed=0.5;1.memory_used=7"
    monkeypatch.setenv(SETTINGS, f"{THREE};{own}")
    moments = iter([100_000_000_000, 110_000_000_000])
    counter = NvmlCounter(nvml, 0, lambda: next(moments))
    (before,) = counter.read().values()
    assert gpu_readings(0)["gpu_temperature_k"].value == pytest.approx(343.15)
    assert foreign_processes("cuda", 0)[0].value == 2
    assert foreign_processes("cuda", 1)[0].value == 0
    assert device_memory("cuda", 0)._held_before == 7
    window = BoardWatch("cuda", 0)
    window.begin()
    loaded().stub_set_time_ns(ctypes.c_int64(110_000_000_000))
    assert window.end().slowed_s == {"power cap": pytest.approx(5)}
    (after,) = counter.read().values()
    assert after.joules - before.joules == pytest.approx(3000)


def test_every_launch_counts_by_the_bus(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "FASTEST_FIRST")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    request = LaunchRequest(
        launch=f"run-{os.getpid()}/0001",
        arm="numpy",
        round=1,
        position=0,
        backend=parse_backend(PATH),
        device=Device(kind="cuda", index=0, name="a GPU", memory_bytes=None),
        budget=Budget(threads=1, cpus=(0,)),
        compile_cache=str(tmp_path),
        scratch=str(tmp_path),
        seed=3,
        steady=True,
        cases=(),
    )
    found = environment(request)
    assert (found["CUDA_DEVICE_ORDER"], found["CUDA_VISIBLE_DEVICES"]) == ("PCI_BUS_ID", "1")


@given(st.permutations(range(5)))
def test_a_list_of_numbers_is_an_order(numbers):
    names = [(f"GPU-{place}",) for place in range(5)]
    assert chosen_of(",".join(map(str, numbers)), names) == list(numbers)
    assert chosen_of(",".join(f"GPU-{number}" for number in numbers), names) == list(numbers)
