"""What forks find is what one process finds, in order; their errors arrive; what cannot be pickled need not be."""

import errno
import os

import pytest

from steelyard.render.forked import few, forked


@pytest.mark.parametrize("count", [1, 2, 3])
def test_everything_is_found_in_order(count):
    items = [lambda n=n: n * n for n in range(7)]
    assert forked(lambda item: item(), items, count) == (0, 1, 4, 9, 16, 25, 36)


def test_one_process_is_this_one_and_several_are_others():
    assert set(forked(lambda _: os.getpid(), "ab", 1)) == {os.getpid()}
    assert os.getpid() not in forked(lambda _: os.getpid(), "ab", 2)


@pytest.mark.parametrize("count", [1, 2])
def test_an_error_is_raised_here(count):
    def fail(item):
        raise ValueError(f"item {item} is bad")

    with pytest.raises(ValueError, match="item a is bad"):
        forked(fail, "ab", count)


def test_there_are_not_more_processes_than_cpus(monkeypatch):
    assert 1 <= few() <= len(os.sched_getaffinity(0))
    monkeypatch.setattr("sys.platform", "darwin")
    assert few() == 1


def test_without_semaphores_one_process_finds_it_all(monkeypatch):
    """As in a container whose /dev/shm is read-only, or has none."""

    def refuse(*_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("_multiprocessing.SemLock", refuse)
    assert forked(lambda item: (item, os.getpid()), "ab", 2) == (("a", os.getpid()), ("b", os.getpid()))
