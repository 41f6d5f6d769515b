"""The end of a child, seen with `pidfd_open` and without it."""

import errno
import os
import select
import subprocess
import sys
import time

import pytest

from steelyard.engine.exits import exit_of
from tests.engine.test_launch import PATH, _at_the_root, launch  # noqa: F401


def forbidden(number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.fixture(params=["allowed", "missing", "ENOSYS", "EPERM"])
def pidfd(request, monkeypatch):
    if request.param == "missing":
        monkeypatch.delattr(os, "pidfd_open")
    elif request.param != "allowed":
        monkeypatch.setattr(os, "pidfd_open", forbidden(getattr(errno, request.param)))


def child(text):
    return subprocess.Popen([sys.executable, "-c", text], stdin=subprocess.PIPE)


def readable(descriptor, seconds):
    return bool(select.select([descriptor], [], [], seconds)[0])


@pytest.mark.usefixtures("pidfd")
def test_a_child_is_seen_to_end_and_can_still_be_waited_for():
    process = child("import sys; sys.stdin.read(); sys.exit(7)")
    before = time.process_time()
    with exit_of(process.pid) as ended:
        assert not readable(ended, 0.3)
        assert time.process_time() - before < 0.2  # nobody polls
        process.stdin.close()
        assert readable(ended, 60)
    assert process.wait() == 7


@pytest.mark.usefixtures("pidfd")
def test_a_child_may_be_left_while_it_runs():
    process = child("import sys; sys.stdin.read()")
    with exit_of(process.pid):
        pass
    process.stdin.close()
    assert process.wait(60) == 0


def test_another_error_is_an_error(monkeypatch):
    monkeypatch.setattr(os, "pidfd_open", forbidden(errno.EMFILE))
    with pytest.raises(OSError, match=os.strerror(errno.EMFILE)), exit_of(os.getpid()):
        pass


@pytest.mark.parametrize(("fault", "status"), [("", "ok"), ("[fault=killed]", "crashed")])
def test_a_launch_ends_as_ever_where_pidfd_open_is_forbidden(fault, status, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "pidfd_open", forbidden(errno.EPERM))
    (result,) = launch(tmp_path, PATH + fault).results
    assert result.status == status
