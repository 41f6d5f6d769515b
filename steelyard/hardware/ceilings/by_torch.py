"""Measures through PyTorch: matrix products, the cost of a call, and on a device what `torch_memory` measures."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.core.errors import Unsupported
from steelyard.hardware.ceilings.jobs import MeasurementTerms, RuntimeOffers, Start
from steelyard.hardware.ceilings.pace import Calls
from steelyard.hardware.ceilings.product import MatrixProduct, launch_offer, offer
from steelyard.hardware.ceilings.torch_memory import copies, no_copies, streams

DTYPES = ("float32", "float64", "bfloat16", "float16")


def prepare(start: Start) -> RuntimeOffers:
    """Everything that PyTorch can tell of the device."""
    import torch

    terms = start.terms
    device = _device(terms)
    torch.set_num_threads(terms.threads)
    torch.set_grad_enabled(False)
    asked = DTYPES if terms.device_kind == "cpu" else (*DTYPES, "tf32")
    offers = [offer(_make(device), dtype, terms) for dtype in asked]
    offers.append(launch_offer(_little(device), terms))
    versions = {"torch": str(torch.__version__)}
    capacity: dict[str, int] = {}
    if terms.device_kind == "cpu":
        offers += no_copies(terms, "the device is the host: there is nothing to copy")
    else:
        versions["device"] = str(torch.cuda.get_device_name(device))
        cache_bytes = int(torch.cuda.get_device_properties(device).L2_cache_size)
        capacity |= {"L2": cache_bytes} if cache_bytes > 0 else {}
        free_bytes, _ = torch.cuda.mem_get_info(device)
        wait = _wait(device)
        offers += [*streams(device, terms, wait, free_bytes, cache_bytes), *copies(device, terms, wait)]
    return RuntimeOffers(offers=tuple(offers), versions=versions, capacity_bytes=capacity)


def _device(terms: MeasurementTerms) -> Any:
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

    def make(a: NDArray[np.float64], b: NDArray[np.float64], dtype: str) -> MatrixProduct:
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

        return MatrixProduct(calls=calls, first_row=lambda: np.asarray(out[0].double().cpu().numpy()))

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
