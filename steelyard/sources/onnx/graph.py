"""The nodes of an ONNX file as the source graph: each is called as the first value that it makes."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from steelyard.core.graph import NodeKind, SourceNode, as_lowered

_VIEWS = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout")
_OF_SHAPE = ("Shape", "Size")
"""Operators that look at the shape of their input alone."""


def source_graph(model: Any) -> tuple[SourceNode, ...]:
    """The nodes of a model of static shapes, in its order; the type of an operator is its name, `Gemm`."""
    import onnx

    whole = onnx.shape_inference.infer_shapes(model).graph
    sizes = {value.name: _bytes(value.type.tensor_type) for value in (*whole.value_info, *whole.input, *whole.output)}
    returned = {value.name for value in whole.output}
    weights = {tensor.name for tensor in whole.initializer}
    made_by: dict[str, str] = {}
    found: dict[str, SourceNode] = {}
    for value in whole.input:
        if value.name not in weights:
            made_by[value.name] = value.name
            found[value.name] = SourceNode(
                name=value.name, op="input", inputs=(), kind="input", bytes=sizes[value.name]
            )
    for node in whole.node:
        values = [name for name in node.output if name]
        inputs = tuple(dict.fromkeys(made_by[name] for name in node.input if name in made_by))
        each = [sizes.get(name) for name in values]
        made_by |= dict.fromkeys(values, values[0])
        found[values[0]] = SourceNode(
            name=values[0],
            op=node.op_type,
            inputs=inputs,
            kind=_kind(node, [found[name].kind for name in inputs]),
            bytes=None if None in each else sum(size or 0 for size in each),
            returned=not returned.isdisjoint(values),
        )
    return tuple(found.values())


def told(model: Any) -> Mapping[str, Any]:
    """What the details of an artifact keep, so that runtimes' names lead to nodes: the graph, which no converter of
    ours decomposes, and the node behind each name of a node and of a value."""
    names: dict[str, str] = {}
    for node in model.graph.node:
        values = [name for name in node.output if name]
        names |= dict.fromkeys((*values, node.name), values[0])
    return {"graph": as_lowered(source_graph(model)), "exported": {name: node for name, node in names.items() if name}}


def _kind(node: Any, inputs: Sequence[NodeKind]) -> NodeKind:
    if node.op_type in _OF_SHAPE or all(kind == "constant" for kind in inputs):
        return "constant"
    return "view" if node.op_type in _VIEWS else "computed"


def _bytes(tensor: Any) -> int | None:
    """The size of a value; None where its type or an extent is open."""
    from onnx.helper import tensor_dtype_to_np_dtype

    extents = [extent.dim_value for extent in tensor.shape.dim]
    if not tensor.elem_type or not tensor.HasField("shape") or any(extent <= 0 for extent in extents):
        return None
    return int(prod(extents)) * int(tensor_dtype_to_np_dtype(tensor.elem_type).itemsize)
