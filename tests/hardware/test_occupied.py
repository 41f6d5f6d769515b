"""Two runs on one device: the second is refused by name, and runs on other cores or boards go on."""

import errno
import os
import re
import stat
import subprocess
import sys

import pytest

from steelyard.core.backend import Budget, Device
from steelyard.core.errors import SteelyardError
from steelyard.core.owner import owner_of
from steelyard.hardware.occupied import lock_folder, names_of, occupied
from tests.fakes.another_user import CAN_BE_ANOTHER, OTHER, as_another
from tests.fakes.nvml import SETTINGS, loaded

CPU = Device(kind="cpu", index=0, name="A CPU", memory_bytes=None)
GPU = Device(kind="cuda", index=0, name="A GPU", memory_bytes=None)


def on(*cpus):
    return Budget(threads=len(cpus), cpus=cpus)


@pytest.fixture(autouse=True)
def locks(monkeypatch, tmp_path):
    monkeypatch.setenv("STEELYARD_LOCKS", str(tmp_path / "locks"))
    return tmp_path / "locks"


def holder(cpus, **environment):
    """Another process that measures on these CPUs, once it says so."""
    code = (
        "import sys; from steelyard.core.backend import Budget, Device\n"
        "from steelyard.hardware.occupied import occupied\n"
        f"with occupied(Device(kind='cpu', index=0, name='', memory_bytes=None), Budget(threads=1, cpus={cpus})):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )
    assert child.stdout.readline() == "held\n"
    return child


def test_the_second_is_refused_with_the_process_that_holds_it_and_what_to_do():
    with holder((1, 2)) as child:
        with pytest.raises(SteelyardError) as raised, occupied(CPU, on(0, 1)):
            pytest.fail("entered although another measures there")
        said = str(raised.value)
        assert re.match(
            rf"the process {child.pid} is measuring on CPU 1, since \d{{4}}-\d\d-\d\d [\d:]{{8}}, and two", said
        )
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
    assert "GPU-a" not in "".join(first)
    refused = pytest.raises(SteelyardError, match=r"is measuring on cuda:0.*another --device")
    with occupied(GPU, on(0)), refused, occupied(GPU, on(1)):
        pytest.fail("entered twice")


def test_a_device_without_an_identity_is_locked_by_its_index():
    assert names_of(Device(kind="tpu", index=2, name="", memory_bytes=None), on(0))[-1] == "tpu-2"


def test_a_run_on_an_accelerator_holds_its_cpus_as_well():
    with holder((0,)), pytest.raises(SteelyardError, match="on CPU 0"), occupied(GPU, on(0)):
        pytest.fail("its worker would share the CPU with another's")


def test_whatever_cache_they_use_two_runs_on_one_cpu_are_kept_apart(tmp_path):
    refused = pytest.raises(SteelyardError, match="is measuring on CPU 0")
    with holder((0,), STEELYARD_CACHE=str(tmp_path / "other")), refused, occupied(CPU, on(0)):
        pytest.fail("entered although another measures there")


def test_who_waits_says_for_whom_and_begins_when_that_has_ended():
    told = []

    def wait(text):
        told.append(text)
        child.stdin.close()  # the other one ends

    with holder((0,)) as child, occupied(CPU, on(0), wait) as waited_s:
        assert len(told) == 1
        assert told[0].startswith(f"waiting: the process {child.pid} is measuring on CPU 0, since ")
        assert waited_s > 0


def test_the_locks_are_every_users_whatever_umask_the_first_one_has(locks):
    before = os.umask(0o077)
    try:
        with occupied(CPU, on(0)):
            pass
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in locks.iterdir()} == {0o666}


def test_without_being_told_the_locks_lie_where_every_user_may_write(monkeypatch):
    monkeypatch.delenv("STEELYARD_LOCKS")
    for folder in ("/one/user", "/another/user"):
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setenv("STEELYARD_CACHE", folder)
        assert str(lock_folder()) in ("/run/lock", "/dev/shm", "/tmp")
        assert stat.S_IMODE(lock_folder().stat().st_mode) & 0o007 == 0o007


def test_two_users_are_kept_apart_and_either_may_be_the_first(monkeypatch):
    monkeypatch.delenv("STEELYARD_LOCKS")
    numbers = (9998, 9999)  # no machine's CPUs: nobody is refused by this test
    files = [lock_folder() / f"steelyard-{name}.lock" for name in names_of(CPU, on(*numbers))]

    def measure(*cpus):
        with occupied(CPU, on(*cpus)):
            return True

    try:
        with (
            occupied(CPU, on(numbers[0])),
            pytest.raises(SteelyardError, match=f"the process {os.getpid()} is measuring"),
        ):
            as_another(lambda: measure(*numbers))
        assert as_another(lambda: measure(*numbers))
        assert measure(*numbers)
        assert {path.stat().st_uid for path in files} == {os.geteuid(), OTHER if CAN_BE_ANOTHER else os.geteuid()}
    finally:
        for path in files:
            path.unlink(missing_ok=True)


def test_a_folder_that_cannot_hold_the_lock_is_named(locks):
    locks.write_text("in the way")
    with pytest.raises(SteelyardError, match="STEELYARD_LOCKS"), occupied(CPU, on(0)):
        pytest.fail("entered without a lock")


def test_a_lock_that_is_anothers_and_closed_is_named_with_its_owner(locks, monkeypatch):
    with occupied(CPU, on(0)):
        pass
    (path,) = locks.iterdir()

    def denied(path, *_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(SteelyardError) as raised, occupied(CPU, on(0)):
        pytest.fail("entered without a lock")
    assert str(path) in str(raised.value)
    assert f"belongs to {owner_of(path)}" in str(raised.value)


def test_on_a_full_disk_the_lock_holds_and_its_holder_stays_unnamed(monkeypatch):
    def full(*_) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    refused = pytest.raises(SteelyardError, match="another process is measuring on CPU 0")
    with occupied(CPU, on(0)), refused, occupied(CPU, on(0)):
        pytest.fail("entered twice")
