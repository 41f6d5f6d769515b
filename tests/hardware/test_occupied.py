"""Two runs on one device: the second is refused by name, and runs on other cores or boards go on."""

import errno
import os
import subprocess
import sys

import pytest

from steelyard.core.backend import Budget, Device
from steelyard.core.errors import SteelyardError
from steelyard.hardware.occupied import names_of, occupied
from tests.fakes.nvml import SETTINGS, loaded

CPU = Device(kind="cpu", index=0, name="A CPU", memory_bytes=None)
GPU = Device(kind="cuda", index=0, name="A GPU", memory_bytes=None)


def on(*cpus):
    return Budget(threads=len(cpus), cpus=cpus)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path))
    return tmp_path


def holder(cpus):
    """Another process that measures on these CPUs, once it says so."""
    code = (
        "import sys; from steelyard.core.backend import Budget, Device\n"
        "from steelyard.hardware.occupied import occupied\n"
        f"with occupied(Device(kind='cpu', index=0, name='', memory_bytes=None), Budget(threads=1, cpus={cpus})):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert child.stdout.readline() == "held\n"
    return child


def test_the_second_is_refused_with_the_process_that_holds_it_and_what_to_do():
    with holder((1, 2)) as child:
        with pytest.raises(SteelyardError) as raised, occupied(CPU, on(0, 1)):
            pytest.fail("entered although another measures there")
        said = str(raised.value)
        assert said.startswith(f"the process {child.pid} is measuring on CPU 1,")
        assert "--cpus" in said
        with occupied(CPU, on(0, 3)):
            pass
        child.kill()  # however it ends, the kernel drops what it held
        child.wait()
    with occupied(CPU, on(0, 1, 2)):
        pass


def test_an_accelerator_is_locked_by_what_it_is_and_not_by_its_index(monkeypatch):
    pytest.importorskip("pynvml")
    loaded()
    monkeypatch.setenv(SETTINGS, "devices=2;0.uuid=GPU-a;1.uuid=GPU-b")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    first = names_of(GPU, on(0))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    second = names_of(GPU, on(0))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a")
    assert names_of(GPU, on(0)) == first != second
    assert "GPU-a" not in first[0]
    refused = pytest.raises(SteelyardError, match=r"is measuring on cuda:0.*another --device")
    with occupied(GPU, on(0)), refused, occupied(GPU, on(1)):
        pytest.fail("entered twice")


def test_a_device_without_an_identity_is_locked_by_its_index():
    assert names_of(Device(kind="tpu", index=2, name="", memory_bytes=None), on(0)) == ("tpu-2",)


def test_a_cache_that_cannot_hold_the_lock_is_named(cache):
    (cache / "devices").write_text("in the way")
    with pytest.raises(SteelyardError, match="STEELYARD_CACHE"), occupied(CPU, on(0)):
        pytest.fail("entered without a lock")


def test_on_a_full_disk_the_lock_holds_and_its_holder_stays_unnamed(monkeypatch):
    def full(*_) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    refused = pytest.raises(SteelyardError, match="another process is measuring on CPU 0")
    with occupied(CPU, on(0)), refused, occupied(CPU, on(0)):
        pytest.fail("entered twice")
