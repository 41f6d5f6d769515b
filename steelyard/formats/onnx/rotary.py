"""Rotary positions in an ONNX graph: as one operator each, and their tables by position."""

from typing import Any

import numpy as np

from steelyard.formats.onnx.values import constant, held, is_float, made_by, take_over

_WIDTH_STEP = 16
"""GroupQueryAttention rotates heads whose width is a multiple of this."""


def fuse_rotary(graph: Any) -> int:
    """x * cos + rotated(x) * sin with constant tables, where the exporter did not see it, as one RotaryEmbedding."""
    import onnx_ir as ir

    found = 0
    tables: dict[tuple[int, int], Any] = {}
    for node in list(graph):
        matched = _rotated(node)
        if matched is None:
            continue
        x, *pair = matched
        batch, heads, places, width = x.shape.numpy()
        halves = []
        for table in pair:
            key = (id(table), batch)
            if key not in tables:
                half = constant(table)[..., : width // 2].reshape(1, places, width // 2)
                array = np.ascontiguousarray(np.broadcast_to(half, (batch, places, width // 2)))
                tables[key] = held(graph, f"rotary/table/{len(tables)}", array)
            halves.append(tables[key])
        made = ir.node("RotaryEmbedding", [x, *halves], {"interleaved": 0, "num_heads": heads})
        graph.insert_before(node, made)
        take_over(made.outputs[0], node.outputs[0])
        found += 1
    return found


def _rotated(node: Any) -> tuple[Any, Any, Any] | None:
    """x [batch, heads, places, width] and its tables of cosines and sines, if the node is the sum of both products."""
    if node.op_type != "Add" or node.domain != "" or len(node.outputs[0].shape or ()) != 4:
        return None
    for plain, turned in (node.inputs, node.inputs[::-1]):
        straight, across = made_by(plain, "Mul"), made_by(turned, "Mul")
        if straight is None or across is None:
            continue
        x, cosines = straight.inputs
        rotated, sines = across.inputs
        if is_float(x) and _half_turn(rotated, x) and all(_is_table(table, x) for table in (cosines, sines)):
            return x, cosines, sines
    return None


def _half_turn(rotated: Any, x: Any) -> bool:
    """Whether the value is the second half of x, negated, and then the first."""
    joined = made_by(rotated, "Concat")
    if joined is None or joined.attributes["axis"].as_int() not in (-1, 3) or len(joined.inputs) != 2:
        return False
    negated, first = made_by(joined.inputs[0], "Neg"), joined.inputs[1]
    width = x.shape[3]
    return (
        negated is not None
        and _slice_of(negated.inputs[0], x, width // 2, width)
        and _slice_of(first, x, 0, width // 2)
    )


def _slice_of(value: Any, x: Any, begin: int, end: int) -> bool:
    node = made_by(value, "Slice")
    if node is None or node.inputs[0] is not x or len(node.inputs) != 5:
        return False
    arrays = [constant(each) for each in node.inputs[1:]]
    numbers = [int(array.item()) for array in arrays if array is not None and array.size == 1]
    if len(numbers) != len(arrays):
        return False
    found_begin, found_end, axis, step = numbers
    return (found_begin, min(found_end, x.shape[3]), axis % 4, step) == (begin, end, 3, 1)


def _is_table(value: Any, x: Any) -> bool:
    """Whether it is a constant over places and width, the same for all heads, and its halves are equal."""
    array = constant(value)
    places, width = x.shape[2], x.shape[3]
    if array is None or array.size != places * width or array.shape[-2:] != (places, width):
        return False
    return bool(np.array_equal(array[..., : width // 2], array[..., width // 2 :]))


class Tables:
    """Tables [places, width / 2] of cosines or sines, made once for each value that turns heads."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self._made: dict[tuple[int, int], Any] = {}

    def of(self, query: Any, key: Any, position: Any, places: int) -> tuple[Any, Any] | None:
        """The tables of cosines and sines that rotate both, as initializers, or None where GroupQueryAttention would
        rotate otherwise. `position` is that of the one place, None if the places are 0, 1, ... ."""
        nodes = [made_by(each, "RotaryEmbedding") for each in (query, key)]
        if any(node is None or not _plain(node) for node in nodes) or query.shape[3] % _WIDTH_STEP:
            return None
        first, second = (node.inputs[1:3] for node in nodes)
        if any(one is not other for one, other in zip(first, second, strict=True)):
            return None
        tables = [self._table(each, position, places) for each in first]
        width = query.shape[3] // 2
        return (tables[0], tables[1]) if all(each is not None and each.shape[1] == width for each in tables) else None

    def _table(self, value: Any, position: Any, places: int) -> Any:
        key = (id(value), id(position))
        if key not in self._made:
            array = constant(value) if position is None else _by_position(self._graph, value, position, places)
            alike = array is not None and array.ndim == 3 and bool((array == array[:1]).all())
            name = f"rotary/positions/{len(self._made)}"
            self._made[key] = held(self._graph, name, np.ascontiguousarray(array[0])) if alike else None
        return self._made[key]


def _plain(rotary: Any) -> bool:
    """Whether the whole width is turned, the two halves against each other, by tables that are given in full."""
    partial, pairs = (rotary.attributes.get(name) for name in ("rotary_embedding_dim", "interleaved"))
    return len(rotary.inputs) == 3 and all(each is None or each.as_int() == 0 for each in (partial, pairs))


def _by_position(graph: Any, value: Any, position: Any, places: int) -> Any:
    """[batch, places, ...] of a value [batch, 1, ...] that depends on the position alone, at each; else None."""
    from onnx import TensorProto, helper, numpy_helper
    from onnx.reference import ReferenceEvaluator
    from onnx_ir import to_proto

    nodes, constants = {}, {}
    ahead = [value]
    while ahead:
        at = ahead.pop()
        node = at.producer()
        if node is not None and node.domain == "":
            nodes[id(node)] = node
            ahead += [each for each in node.inputs if each is not None]
        elif at.is_initializer():
            constants[at.name] = numpy_helper.from_array(constant(at), at.name)
        elif at is not position:
            return None
    ordered = [to_proto(node) for node in graph if id(node) in nodes]
    ends = [helper.make_tensor_value_info(position.name, TensorProto.INT64, [1])]
    made = [helper.make_tensor_value_info(value.name, TensorProto.FLOAT, None)]
    alone = helper.make_graph(ordered, "positions", ends, made, initializer=list(constants.values()))
    opset = helper.make_opsetid("", graph.opset_imports[""])
    run = ReferenceEvaluator(helper.make_model(alone, opset_imports=[opset])).run
    rows = [run(None, {position.name: np.array([place])})[0] for place in range(places)]
    return np.concatenate(rows, axis=1) if rows[0].ndim == 3 and rows[0].shape[1] == 1 else None
