"""What runtimes tell of a quantized program: one that computes in floating point all the same is none."""

import pytest

from steelyard.adapters.onnxruntime_readback import unquantized
from steelyard.adapters.openvino_precision import unquantized as not_in_integers


@pytest.mark.parametrize(
    "kind", ["QuantizeLinear", "DequantizeLinear", "QLinearConv", "QGemm", "MatMulNBits", "MatMulIntegerToFloat"]
)
def test_any_quantized_operator_of_a_session_is_proof(kind):
    assert unquantized({"Conv": 3, kind: 1}) == []


def test_a_session_of_float_operators_alone_is_none():
    assert unquantized({"Conv": 3, "MatMul": 2}) == ["no operator of the session is quantized"]
    assert unquantized({}) != []


def test_of_int8_a_product_must_compute_in_integers_and_of_weights_something_be_held_in_them():
    held = [("Const", "u8"), ("FullyConnected", "f32")]
    assert not_in_integers("int8_weights", held) == []
    assert not_in_integers("int4_weights", [("Const", "u4")]) == []
    assert not_in_integers("int8", held) == ["no product of the compiled model computes in 8 bits"]
    assert not_in_integers("int8", [("Convolution", "u8")]) == []
    assert not_in_integers("int8_weights", [("Convolution", "f32")]) == [
        "nothing of the compiled model is held in integers"
    ]
