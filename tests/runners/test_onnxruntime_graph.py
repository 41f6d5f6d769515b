"""The optimised graph of ONNX Runtime on the exported one: by the values that nodes write, and what blocks hide."""

from types import SimpleNamespace

from steelyard.adapters.onnxruntime_graph import named
from steelyard.core.graph import LoweredNode


def lowered(name, *inputs, op=""):
    return LoweredNode(name=name, op=f"aten.{op or name}", inputs=inputs, source=name)


def node(name, kind, inputs, outputs, **attributes):
    told = [SimpleNamespace(name=key, s=value.encode()) for key, value in attributes.items()]
    return SimpleNamespace(name=name, op_type=kind, input=inputs, output=outputs, attribute=told)


LOWERED = (
    lowered("conv2d"),
    lowered("bn", "conv2d"),
    lowered("add", "bn"),
    lowered("relu", "add"),
    lowered("linear", "relu"),
    lowered("gelu", "linear"),
)
EXPORTED = {"getitem_3": "bn", "node_Conv_1": "bn", "node_MatMul_5": "linear", "linear": "linear"}


def test_a_blocked_convolution_computes_what_was_folded_into_it():
    nodes = [
        node("plain_nchwc", "Conv", ["x", "w"], ["reorder_0"]),
        node("getitem_3_nchwc", "Conv", ["x", "w", "b", "reorder_0"], ["reorder_1"], activation="Relu"),
        node("ReorderOutput_token_4", "ReorderOutput", ["reorder_1"], ["relu"]),
    ]
    told = named(SimpleNamespace(graph=SimpleNamespace(node=nodes)), EXPORTED, LOWERED)
    assert told == {"plain_nchwc": (), "getitem_3_nchwc": ("relu",), "ReorderOutput_token_4": ()}


def test_a_node_without_a_value_of_its_own_is_known_by_its_name():
    nodes = [
        node("node_MatMul_5/MatMulAddFusion", "Gemm", ["x", "w", "b"], ["gemm_output_reshape_arg"]),
        node("gemm_input_reshape", "Reshape", ["relu"], ["gemm_input_reshape_arg"]),
        node("n0", "Gelu", ["linear"], ["gelu"]),
    ]
    told = named(SimpleNamespace(graph=SimpleNamespace(node=nodes)), EXPORTED, LOWERED)
    assert told == {"node_MatMul_5/MatMulAddFusion": ("linear",), "gemm_input_reshape": (), "n0": ("gelu",)}
