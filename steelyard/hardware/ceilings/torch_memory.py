"""The memory of a device through PyTorch: streams by working set, and copies between it and the host."""

from collections.abc import Iterator
from typing import Any

from steelyard.core.ceilings import BANDWIDTHS, MEMORY, What
from steelyard.core.reason import said
from steelyard.hardware.ceilings.jobs import MeasurementOffer, MeasurementTerms, Sample
from steelyard.hardware.ceilings.levels import BEYOND, WITHOUT_CACHES_BYTES
from steelyard.hardware.ceilings.pace import Calls, calls_within, per_group, second_per_call

_LARGEST_COPY = 256 << 20
_SMALLEST = 1 << 20
_COPIES: tuple[What, ...] = ("to_device", "to_host")
_FREE_SHARE = 8
"""The largest working set takes at most this part of the device's free memory."""


def streams(
    device: Any, terms: MeasurementTerms, wait: Calls, free_bytes: int, cache_bytes: int
) -> Iterator[tuple[MeasurementOffer, Sample]]:
    """Read, copy and triad by working set: as many calls in a row as fill a sample, waited for at the end.

    Three arrays serve all sizes, so that together they take less than twice the largest working set.
    """
    import torch

    working_sets = sizes(min(terms.most_bytes, free_bytes // _FREE_SHARE))
    a, b, c = (torch.ones(max(working_sets[-1] // arrays // 4, 1), device=device) for arrays in (2, 1, 3))
    total = torch.empty((), device=device)
    for size in working_sets:
        for arrays, what in enumerate(BANDWIDTHS, start=1):
            count = size // arrays // 4
            to, first, second = a[:count], b[:count], c[:count]

            def calls(many: int, what: str = what, to: Any = to, first: Any = first, second: Any = second) -> None:
                for _ in range(many):
                    if what == "read":
                        torch.sum(first, dim=0, out=total)
                    elif what == "copy":
                        to.copy_(first)
                    else:
                        torch.add(first, second, alpha=3.0, out=to)
                wait(0)

            offer = MeasurementOffer(
                what=what, unit="B/s", threads=terms.threads, size=size, level=level(size, cache_bytes)
            )
            yield offer, _rate(float(arrays * count * 4), calls, terms)


def sizes(most_bytes: int) -> tuple[int, ...]:
    """Working sets on a device, each twice the one before, from 1 MiB; one alone where less is allowed."""
    found = [min(_SMALLEST, most_bytes)]
    while 2 * found[-1] <= most_bytes:
        found.append(2 * found[-1])
    return tuple(found)


def level(size: int, cache_bytes: int) -> str:
    """`memory` where a working set is several times the device's last cache. What fits the cache belongs to no level:
    a call through PyTorch takes longer to launch than to run there, and is no ceiling."""
    return MEMORY if size >= max(BEYOND * cache_bytes, WITHOUT_CACHES_BYTES) else ""


def copies(device: Any, terms: MeasurementTerms, wait: Calls) -> Iterator[tuple[MeasurementOffer, Sample | None]]:
    """Copies between pinned host memory and the device, each waited for."""
    import torch

    size = min(_LARGEST_COPY, terms.most_bytes)
    try:
        host = torch.empty(size, dtype=torch.uint8, pin_memory=True)
        there = torch.empty(size, dtype=torch.uint8, device=device)
    except RuntimeError as error:  # no memory, or none that may be pinned
        yield from no_copies(terms, said(error))
        return
    for what, (to, source) in zip(_COPIES, ((there, host), (host, there)), strict=True):

        def calls(many: int, to: Any = to, source: Any = source) -> None:
            for _ in range(many):
                to.copy_(source, non_blocking=True)
                wait(0)

        yield (
            MeasurementOffer(what=what, unit="B/s", threads=terms.threads, size=size),
            _rate(float(size), calls, terms),
        )


def no_copies(terms: MeasurementTerms, reason: str) -> list[tuple[MeasurementOffer, Sample | None]]:
    """The offers of copies that cannot be measured."""
    return [(MeasurementOffer(what=what, unit="B/s", threads=terms.threads, reason=reason), None) for what in _COPIES]


def _rate(moved_bytes: float, calls: Calls, terms: MeasurementTerms) -> Sample:
    many = calls_within(calls, per_group(terms.sample_s))
    return lambda: moved_bytes / second_per_call(calls, many)
