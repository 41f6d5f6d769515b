"""Measures through PyTorch: matrix products, the cost of a call, and on a device its memory and the copies to it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.core.ceilings import BANDWIDTHS, MEMORY, What
from steelyard.core.errors import Unsupported
from steelyard.hardware.ceilings.jobs import Offer, Sample, Start, Terms, Work
from steelyard.hardware.ceilings.pace import Calls, calls_within, per_group, second_per_call
from steelyard.hardware.ceilings.product import Product, launch_offer, offer

DTYPES = ("float32", "float64", "bfloat16", "float16")
ON_HOST = "the device is the host: there is nothing to copy"
_LARGEST_COPY = 256 << 20
_SMALLEST_COPY = 1 << 20
_COPIES: tuple[What, ...] = ("to_device", "to_host")


def prepare(start: Start) -> Work:
    """Everything that PyTorch can tell of the device."""
    import torch

    terms = start.terms
    device = _device(terms)
    torch.set_num_threads(terms.threads)
    torch.set_grad_enabled(False)
    asked = DTYPES if terms.device_kind == "cpu" else (*DTYPES, "tf32")
    offers = [offer(_make(device), dtype, terms) for dtype in asked]
    offers.append(launch_offer(_little(device), terms))
    if terms.device_kind == "cpu":
        offers += [(_copy_offer(what, terms, reason=ON_HOST), None) for what in _COPIES]
    else:
        offers += [*_device_memory(device, terms), *_copies(device, terms)]
    versions = {"torch": str(torch.__version__)}
    if terms.device_kind != "cpu":
        versions["device"] = str(torch.cuda.get_device_name(device))
    return Work(offers=tuple(offers), versions=versions)


def _device(terms: Terms) -> Any:
    """The device in torch's words. ROCm answers to the name cuda."""
    import torch

    if terms.device_kind == "cpu":
        return torch.device("cpu")
    if terms.device_kind not in ("cuda", "rocm"):
        raise Unsupported(f"ceilings through PyTorch are measured on cpu, cuda and rocm, not on {terms.device_kind}")
    if not torch.cuda.is_available():
        raise Unsupported(f"this PyTorch ({torch.__version__}) sees no {terms.device_kind} device")
    return torch.device("cuda", terms.device_index)


def _wait(device: Any) -> Calls:
    """Waits until the device has done all that it was given; on the host there is nothing to wait for."""
    import torch

    if device.type == "cpu":
        return lambda _: None
    return lambda _: torch.cuda.synchronize(device)


def _make(device: Any) -> Any:
    import torch

    wait = _wait(device)

    def make(a: NDArray[np.float64], b: NDArray[np.float64], dtype: str) -> Product:
        kind = torch.float32 if dtype == "tf32" else getattr(torch, dtype)
        allowed = "tf32" if dtype == "tf32" else "ieee"
        first, second = (torch.from_numpy(each).to(device=device, dtype=kind) for each in (a, b))
        out = torch.empty_like(first)

        def calls(count: int) -> None:
            if device.type != "cpu":
                torch.backends.cuda.matmul.fp32_precision = allowed
            for _ in range(count):
                torch.mm(first, second, out=out)
            wait(0)

        return Product(calls=calls, first_row=lambda: np.asarray(out[0].double().cpu().numpy()))

    return make


def _little(device: Any) -> Calls:
    """One addition of one number, waited for."""
    import torch

    wait = _wait(device)
    one = torch.ones(1, device=device)
    out = torch.empty_like(one)

    def calls(count: int) -> None:
        for _ in range(count):
            torch.add(one, one, out=out)
            wait(0)

    return calls


def _device_memory(device: Any, terms: Terms) -> Iterator[tuple[Offer, Sample | None]]:
    """Streams through device memory by working set, as many calls in a row as fill a sample, waited for at the end."""
    import torch

    wait = _wait(device)
    free, _ = torch.cuda.mem_get_info(device)
    largest = min(terms.most_bytes, free // 8)
    size = _SMALLEST_COPY
    while size <= largest:
        level = MEMORY if 2 * size > largest else ""
        for arrays, what in enumerate(BANDWIDTHS, start=1):
            count = size // arrays // 4
            a, b, c = (torch.ones(count, device=device) for _ in range(3))
            total = torch.empty((), device=device)

            def calls(many: int, what: str = what, a: Any = a, b: Any = b, c: Any = c, total: Any = total) -> None:
                for _ in range(many):
                    if what == "read":
                        torch.sum(b, dim=0, out=total)
                    elif what == "copy":
                        a.copy_(b)
                    else:
                        torch.add(b, c, alpha=3.0, out=a)
                wait(0)

            moved = float(arrays * count * 4)
            yield _stream(what, size, level, moved, calls, terms)
        size *= 4


def _stream(what: What, size: int, level: str, moved: float, calls: Calls, terms: Terms) -> tuple[Offer, Sample | None]:
    many = calls_within(calls, per_group(terms.sample_s))
    made = Offer(what=what, unit="B/s", threads=terms.threads, size=size, level=level)
    return made, lambda: moved / second_per_call(calls, many)


def _copies(device: Any, terms: Terms) -> Iterator[tuple[Offer, Sample | None]]:
    """Copies between pinned host memory and the device, each waited for."""
    import torch

    wait = _wait(device)
    size = min(_LARGEST_COPY, terms.most_bytes)
    try:
        host = torch.empty(size, dtype=torch.uint8, pin_memory=True)
        there = torch.empty(size, dtype=torch.uint8, device=device)
    except RuntimeError as error:  # no memory, or none that may be pinned
        reason = str(error).splitlines()[0]
        yield from ((_copy_offer(what, terms, reason=reason), None) for what in _COPIES)
        return
    for what, (to, source) in zip(_COPIES, ((there, host), (host, there)), strict=True):

        def calls(many: int, to: Any = to, source: Any = source) -> None:
            for _ in range(many):
                to.copy_(source, non_blocking=True)
                wait(0)

        many = calls_within(calls, per_group(terms.sample_s))
        yield (
            _copy_offer(what, terms, size=size),
            lambda calls=calls, many=many: size / second_per_call(calls, many),  # type: ignore[misc]
        )


def _copy_offer(what: What, terms: Terms, *, size: int | None = None, reason: str = "") -> Offer:
    return Offer(what=what, unit="B/s", threads=terms.threads, size=size, reason=reason)
