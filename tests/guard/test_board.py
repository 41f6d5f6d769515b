"""A board around a timed window, by the real binding over the stand-in library: what slowed it, who else was there."""

import ctypes

import pytest

from steelyard.core.backend import Device
from steelyard.core.details import BoardFacts
from steelyard.core.errors import SteelyardError
from steelyard.guard.board import BoardWatch, foreign_processes
from steelyard.service.running import _alone
from tests.fakes.nvml import SETTINGS, loaded

GPU = Device(kind="cuda", index=0, name="a GPU", memory_bytes=None)


@pytest.fixture(scope="module")
def library():
    return loaded()


@pytest.fixture
def board(library, monkeypatch):
    """Sets up the board, and the virtual time."""
    pytest.importorskip("pynvml")

    class Board:
        def set(self, settings):
            monkeypatch.setenv(SETTINGS, settings)

        def at(self, seconds):
            library.stub_set_time_ns(ctypes.c_int64(round(seconds * 1e9)))

    found = Board()
    found.at(100)
    yield found
    library.stub_set_time_ns(ctypes.c_int64(-1))


def seen(board, settings, then=None):
    board.set(settings)
    board.at(100)
    window = BoardWatch("cuda", 0)
    window.begin()
    board.at(102)
    board.set(then or settings)
    return window.end()


def test_an_untouched_window_says_so(board):
    assert seen(board, "reasons=1") == BoardFacts(slowed_by=(), foreign_processes=0)


def test_a_slowdown_between_two_reads_is_counted(board):
    found = seen(board, "slowed=0.25;reasons=1")
    assert found.slowed_by == ("power cap",)
    assert found.slowed_s["power cap"] == pytest.approx(0.5)


def test_a_reason_that_is_not_counted_tags_the_window_if_it_is_in_force_at_either_end(board):
    heat = 0x40  # HwThermalSlowdown: the stand-in counts the power cap alone
    assert seen(board, f"reasons={heat}", "reasons=1").slowed_by == ("heat (hardware)",)
    assert seen(board, "reasons=1", f"reasons={heat}").slowed_by == ("heat (hardware)",)


def test_a_reason_that_is_counted_and_did_not_count_did_not_slow(board):
    assert seen(board, "reasons=4;slowed=0").slowed_by == ()
    assert seen(board, "reasons=4;slowed=not_supported").slowed_by == ("power cap",)


def test_others_that_come_meanwhile_are_counted(board):
    assert seen(board, "processes=0", "processes=3").foreign_processes == 3


def test_what_cannot_be_told_is_told_with_the_reason(board):
    assert BoardWatch("cpu", 0).end() is None
    assert BoardWatch("rocm", 0).end() == BoardFacts(reason="no driver is asked what slows a rocm device")
    found = seen(board, "reasons=gpu_lost")
    assert (found.slowed_by, found.foreign_processes) == (None, None)
    assert found.reason.startswith("NVML:")


def test_a_device_that_others_compute_on_is_refused_unless_allowed(board):
    told = []
    board.set("processes=2")
    with pytest.raises(SteelyardError) as raised:
        _alone(GPU, told.append, allowed=False)
    said = str(raised.value)
    assert said.startswith("2 other processes compute on cuda:0 (process ids: 1000000, 1000001)")
    assert "--allow-foreign-processes" in said
    _alone(GPU, told.append, allowed=True)
    assert "allowed, and recorded" in told[0]
    board.set("processes=0")
    _alone(GPU, told.append, allowed=False)
    assert len(told) == 1


def test_nobody_knows_who_computes_on_other_devices(board):
    count, ids = foreign_processes("tpu", 0)
    assert (count.value, ids) == (None, ())
    assert count.reason
    board.set("processes=no_permission")
    assert foreign_processes("cuda", 0)[0].value is None
