"""Measures through XLA by way of JAX: matrix products and the cost of a call, compiled beforehand."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.core.errors import Unsupported
from steelyard.hardware.ceilings.jobs import MeasurementTerms, RuntimeOffers, Start
from steelyard.hardware.ceilings.pace import Calls
from steelyard.hardware.ceilings.product import MatrixProduct, launch_offer, offer

DTYPES = ("float32", "float64", "bfloat16", "float16")
_PLATFORMS = {"cpu": "cpu", "cuda": "cuda", "rocm": "rocm", "tpu": "tpu"}


def prepare(start: Start) -> RuntimeOffers:
    """Products in each dtype at full precision; JAX's own default may round float32 on a device."""
    import jax

    terms = start.terms
    device = _device(terms)
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_default_matmul_precision", "highest")
    offers = [offer(_make(device), dtype, terms) for dtype in DTYPES]
    offers.append(launch_offer(_little(device), terms))
    return RuntimeOffers(offers=tuple(offers), versions={"jax": jax.__version__})


def _device(terms: MeasurementTerms) -> Any:
    import jax

    platform = _PLATFORMS.get(terms.device_kind)
    if platform is None:
        raise Unsupported(f"JAX knows no platform for {terms.device_kind}")
    jax.config.update("jax_platforms", platform if platform == "cpu" else f"{platform},cpu")
    try:
        return jax.devices(platform)[terms.device_index]
    except (RuntimeError, IndexError) as error:
        raise Unsupported(f"this JAX ({jax.__version__}) sees no {terms.device_kind} device: {error}") from error


def _make(device: Any) -> Any:
    import jax

    def make(a: NDArray[np.float64], b: NDArray[np.float64], dtype: str) -> MatrixProduct:
        first, second = (jax.device_put(each.astype(jax.numpy.dtype(dtype)), device) for each in (a, b))
        compiled = jax.jit(jax.numpy.matmul).lower(first, second).compile()
        last: list[Any] = [None]

        def calls(count: int) -> None:
            for _ in range(count):
                last[0] = compiled(first, second)
            jax.block_until_ready(last[0])

        return MatrixProduct(calls=calls, first_row=lambda: np.asarray(last[0][0]).astype(np.float64))

    return make


def _little(device: Any) -> Calls:
    """One addition of one number, waited for."""
    import jax

    one = jax.device_put(np.ones(1, np.float32), device)
    compiled = jax.jit(lambda x: x + x).lower(one).compile()

    def calls(count: int) -> None:
        for _ in range(count):
            jax.block_until_ready(compiled(one))

    return calls
