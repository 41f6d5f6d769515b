"""The fastest square matrix product of a runtime in one dtype: the edge is chosen by trying, the product is checked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.core.errors import SteelyardError
from steelyard.core.reason import reason_of
from steelyard.hardware.ceilings.jobs import MeasurementOffer, MeasurementTerms, Sample
from steelyard.hardware.ceilings.pace import Calls, calls_within, per_group, second_per_call, timed

TOLERANCE: Mapping[str, float] = {
    "float64": 1e-12,
    "float32": 2e-5,
    "tf32": 5e-3,
    "float16": 2e-2,
    "bfloat16": 5e-2,
}
"""Relative error (2-norm, of the first row, against float64) beyond which a product was not computed in its dtype.
A float32 product in TF32 has about 5e-4, in bfloat16 3e-3."""

_EDGES: Mapping[bool, tuple[int, ...]] = {
    True: (256, 512, 1024, 2048, 4096, 8192),
    False: (1024, 2048, 4096, 8192, 16384),
}
"""Tried in this order: on a CPU, and on a device with memory of its own."""
_TILE = 512
_GROWTH = 8.0
"""Twice the edge is eight times the work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixProduct:
    """A product set up in a runtime: `calls(n)` computes it n times, `first_row` reads the result's first row."""

    calls: Calls
    first_row: Callable[[], NDArray[np.float64]]


Make = Callable[[NDArray[np.float64], NDArray[np.float64], str], MatrixProduct]
"""Sets up the product of two matrices in a dtype."""


def offer(make: Make, dtype: str, terms: MeasurementTerms) -> tuple[MeasurementOffer, Sample | None]:
    """The offer of a product in a dtype. What the runtime refuses, or gets wrong, is an offer with the reason."""
    try:
        edge, product, seconds = _fastest(make, dtype, terms)
    except Exception as error:  # noqa: BLE001 (a runtime may raise anything at a dtype that it does not know)
        return MeasurementOffer(
            what="gemm", unit="1/s", threads=terms.threads, dtype=dtype, reason=reason_of(error)
        ), None
    count = max(1, round(per_group(terms.sample_s) / seconds))

    def sample() -> float:
        return 2.0 * edge**3 / second_per_call(product.calls, count)

    return MeasurementOffer(what="gemm", unit="1/s", threads=terms.threads, dtype=dtype, size=edge), sample


def launch_offer(calls: Calls, terms: MeasurementTerms) -> tuple[MeasurementOffer, Sample | None]:
    """The offer of a call that computes next to nothing; `calls` waits for each."""
    count = calls_within(calls, per_group(terms.sample_s))
    return MeasurementOffer(what="launch", unit="s", threads=terms.threads), lambda: second_per_call(calls, count)


def matrices(edge: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two matrices of normal numbers; one block repeated, as a large one takes longer to make than to multiply."""
    rng = np.random.default_rng(seed)
    side = min(edge, _TILE)
    first, second = (np.tile(rng.standard_normal((side, side)), (edge // side, edge // side)) for _ in range(2))
    return first, second


def _fastest(make: Make, dtype: str, terms: MeasurementTerms) -> tuple[int, MatrixProduct, float]:
    """The edge with the highest rate among those that take no longer than allowed; the smallest is always tried."""
    best: tuple[int, MatrixProduct, float] | None = None
    expected = 0.0
    for edge in _EDGES[terms.device_kind == "cpu"]:
        if expected > terms.product_s:
            break
        a, b = matrices(edge, terms.seed)
        product = make(a, b, dtype)
        timed(product.calls, 1)  # compiles, allocates, wakes threads
        _check(product, a, b, dtype)
        seconds = min(timed(product.calls, 1) for _ in range(2))
        if best is None or edge**3 / seconds > best[0] ** 3 / best[2]:
            best = (edge, product, seconds)
        expected = _GROWTH * seconds
    assert best is not None
    return best


def _check(product: MatrixProduct, a: Any, b: Any, dtype: str) -> None:
    wanted = a[0] @ b
    error = float(np.linalg.norm(product.first_row() - wanted) / np.linalg.norm(wanted))
    if not error <= TOLERANCE[dtype]:
        raise SteelyardError(
            f"the product is off by {error:.1g}, more than {dtype} allows ({TOLERANCE[dtype]:.0e}): it was computed in "
            "a narrower type, or wrong"
        )
