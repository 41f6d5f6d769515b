"""Attention, rotary positions, projections and norms of an ONNX graph as the operators that ONNX Runtime is made for.

What comes out has operators of the domain `com.microsoft` and runs in ONNX Runtime alone. A pattern that is not met
to the last detail stays as it is: the rewritten graph computes what the exported one does. One thing differs.
GroupQueryAttention attends to the places up to the position and leaves those beyond it in the cache as they are,
so that a cache which is not bound in place keeps nothing beyond the position.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from steelyard.formats.onnx.attention import DOMAIN, Attention
from steelyard.formats.onnx.patterns import attended, side_by_side, split_from
from steelyard.formats.onnx.rotary import fuse_rotary
from steelyard.formats.onnx.values import constant, is_float, made_by, take_over
from steelyard.formats.onnx.weights import SIDE_BY_SIDE


def fuse(model: Any) -> tuple[dict[str, int], dict[Any, int]]:
    """Rewrite an `onnx_ir` model in place, as far as it is of float32.

    Returns how often each rule applied, and of each input that is a position its last one: at that a step keeps the
    whole cache.
    """
    from onnx_ir.passes.common import CommonSubexpressionEliminationPass, RemoveUnusedNodesPass

    graph = model.graph
    CommonSubexpressionEliminationPass()(model)  # else each use has cosines and sines of its own
    rotary = fuse_rotary(graph)
    attention = Attention(graph)
    for node in list(graph):
        found = attended(node)
        if found is not None:
            attention.fuse(node, found)
    RemoveUnusedNodesPass()(model)
    done = {"rotary": rotary, **attention.done, "projections": _pack_projections(graph), "norms": _fuse_norms(graph)}
    if any(done.values()):
        model.opset_imports[DOMAIN] = 1
    RemoveUnusedNodesPass()(model)
    return done, attention.last


def _pack_projections(graph: Any) -> int:
    """Queries, keys and values of one input as one product, or as what they were split from."""
    import onnx_ir as ir

    found = 0
    for node in list(graph):
        if node.op_type != "GroupQueryAttention":
            continue
        parts = node.inputs[:3]
        packed = split_from(parts)
        products = side_by_side(parts) if packed is None else None
        if products is not None:
            x, weights = products
            made = ir.node("MatMul", [x, _beside(graph, f"projections/{found}", weights)])
            packed = made.outputs[0]
            packed.dtype = x.dtype
            packed.shape = ir.Shape([*x.shape[:2], sum(weight.shape[1] for weight in weights)])
            graph.insert_before(node, made)
        if packed is not None:
            for index, value in enumerate((packed, None, None)):
                node.replace_input_with(index, value)
            found += 1
    return found


def _beside(graph: Any, name: str, weights: Sequence[Any]) -> Any:
    """Weights [inputs, outputs] side by side. They are not joined here, since they lie in files already."""
    import onnx_ir as ir

    def joined() -> Any:
        return ir.tensor(np.concatenate([constant(weight) for weight in weights], axis=1))

    shape = ir.Shape([weights[0].shape[0], sum(weight.shape[1] for weight in weights)])
    value = ir.val(name, const_value=ir.LazyTensor(joined, weights[0].dtype, shape, name=name))
    value.meta[SIDE_BY_SIDE] = tuple(weights)
    graph.register_initializer(value)
    return value


def _fuse_norms(graph: Any) -> int:
    """A norm of a sum, and the sum, as one operator."""
    import onnx_ir as ir

    found = 0
    for node in list(graph):
        if node.op_type != "RMSNormalization" or node.domain != "" or not is_float(node.inputs[0]):
            continue
        total = made_by(node.inputs[0], "Add")
        weight, rank = node.inputs[1], len(node.inputs[0].shape)
        axis = node.attributes["axis"].as_int() if "axis" in node.attributes else -1
        if total is None or constant(weight) is None or len(weight.shape) != 1 or axis % rank != rank - 1 or rank != 3:
            continue
        left, right = total.inputs
        if tuple(left.shape or ()) != tuple(right.shape or ()):
            continue
        epsilon = node.attributes["epsilon"].as_float() if "epsilon" in node.attributes else 1e-5
        made = ir.node(
            "SkipSimplifiedLayerNormalization",
            [right, left, weight],
            {"epsilon": epsilon},
            domain=DOMAIN,
            outputs=[ir.val(name) for name in (f"norms/{found}", "", "", f"norms/{found}/sum")],
        )
        graph.insert_before(total, made)
        take_over(made.outputs[0], node.outputs[0])
        take_over(made.outputs[3], total.outputs[0])
        found += 1
    return found
