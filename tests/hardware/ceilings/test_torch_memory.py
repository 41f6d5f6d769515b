"""Device memory through PyTorch, with the host standing in for the device."""

from dataclasses import replace

import pytest
import torch

from steelyard.hardware.ceilings.torch_memory import copies, level, no_copies, sizes, streams
from tests.fakes.ceilings import TERMS

HOST = torch.device("cpu")


def never(_: int) -> None:
    """Nothing to wait for: calls on the host return when they are done."""


@pytest.mark.parametrize("free_gib", [2, 3.9, 8, 16, 23.6, 40, 79.1, 141, 288])
@pytest.mark.parametrize("cache_mib", [0, 4, 50, 126])
def test_every_device_has_working_sets_that_lie_in_memory_and_some_that_do_not(free_gib, cache_mib):
    largest = int(free_gib * 2**30) // 8
    found = [level(size, cache_mib << 20) for size in sizes(largest)]
    if largest >= 2 * max(256 << 20, 4 * cache_mib << 20):
        assert found[-1] == "memory"
    assert found[0] == ""
    assert found == sorted(found)


def test_what_may_lie_in_the_cache_is_no_ceiling_of_memory():
    assert level(256 << 20, 50 << 20) == "memory"
    assert level(199 << 20, 50 << 20) == ""
    assert level(256 << 20, 96 << 20) == ""


def test_fewer_bytes_than_the_smallest_give_one_working_set():
    assert sizes(1 << 16) == (1 << 16,)
    assert sizes(5 << 20) == (1 << 20, 2 << 20, 4 << 20)


def test_three_streams_at_every_size():
    offers = list(streams(HOST, replace(TERMS, most_bytes=4 << 20), never, free_bytes=1 << 30, cache_bytes=0))
    assert [(offer.what, offer.size) for offer, _ in offers] == [
        (what, size << 20) for size in (1, 2, 4) for what in ("read", "copy", "triad")
    ]
    assert all(sample() > 0 for _, sample in offers)


def test_a_share_of_the_free_memory_is_used_at_most():
    offers = list(streams(HOST, replace(TERMS, most_bytes=1 << 40), never, free_bytes=8 << 20, cache_bytes=0))
    assert {offer.size for offer, _ in offers} == {1 << 20}


def test_copies_both_ways(monkeypatch):
    empty = torch.empty
    monkeypatch.setattr(torch, "empty", lambda *sizes, pin_memory=False, **options: empty(*sizes, **options))
    found = list(copies(HOST, TERMS, never))
    assert [(offer.what, offer.size, offer.reason) for offer, _ in found] == [
        ("to_device", TERMS.most_bytes, ""),
        ("to_host", TERMS.most_bytes, ""),
    ]
    assert all(sample is not None and sample() > 0 for _, sample in found)


def test_memory_that_cannot_be_pinned_is_a_reason(monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("no pinned memory is left\nand more")

    monkeypatch.setattr(torch, "empty", refuse)
    assert list(copies(HOST, TERMS, never)) == no_copies(TERMS, "no pinned memory is left")
