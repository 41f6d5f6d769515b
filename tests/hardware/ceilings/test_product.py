"""Matrix products as ceilings: the edge is tried, the result is checked, what a runtime refuses is a reason."""

import re

import numpy as np

from steelyard.hardware.ceilings.product import MatrixProduct, matrices, offer
from tests.fakes.ceilings import TERMS


def numpy_product(spoil=0.0):
    def make(a, b, dtype):
        first, second = a.astype(dtype), b.astype(dtype)
        out = np.empty_like(first)

        def calls(count):
            for _ in range(count):
                np.matmul(first, second, out=out)

        return MatrixProduct(calls=calls, first_row=lambda: out[0].astype(np.float64) * (1 + spoil))

    return make


def test_a_product_is_taken_at_an_edge_that_was_tried_and_its_rate_is_that_of_its_work():
    found, sample = offer(numpy_product(), "float64", TERMS)
    assert (found.what, found.dtype, found.reason) == ("gemm", "float64", "")
    assert found.size >= 256
    assert sample() > 0


def test_a_product_in_a_narrower_type_is_no_ceiling_of_its_dtype():
    found, sample = offer(numpy_product(spoil=5e-4), "float32", TERMS)
    assert sample is None
    assert "more than float32 allows" in found.reason


def test_what_a_runtime_raises_is_the_reason():
    def refuse(a, b, dtype):
        raise NotImplementedError(f"no kernel for {dtype}\nand more")

    found, sample = offer(refuse, "float16", TERMS)
    assert sample is None
    assert re.fullmatch(r"NotImplementedError: no kernel for float16 \(tests/.*/test_product.py:\d+\)", found.reason)


def test_matrices_are_the_same_for_a_seed_and_of_one_block_repeated():
    a, b = matrices(1024, 3)
    assert np.array_equal(a, matrices(1024, 3)[0])
    assert not np.array_equal(a, b)
    assert np.array_equal(a[:512, :512], a[512:, 512:])
