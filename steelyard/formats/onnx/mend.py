"""What torch's exporter writes so that ONNX Runtime runs it slowly, or not at all, written anew with the same meaning.

All were seen with torch 2.13, onnxscript 0.7 and ONNX Runtime 1.32, on the decode step of language models.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np


def mend(model: Any) -> dict[str, int]:
    """Rewrite an `onnx_ir` model in place; how often each rule applied."""
    from onnx_ir.passes.common import RemoveUnusedNodesPass

    graph = model.graph
    done = {
        "scatters_in_place": _scatter_in_place(graph),
        "rotary_tables_expanded": _expand_rotary_tables(graph),
        "heads_grouped": _group_heads(graph),
    }
    RemoveUnusedNodesPass()(model)
    return done


def _scatter_in_place(graph: Any) -> int:
    """`index_copy` along an axis comes as Transpose, ScatterND along the first axis, Transpose back: two copies of the
    whole cache for one new place. ScatterND can write along any axis if its indices name the axes before it, too.
    """
    import onnx_ir as ir

    found = 0
    places: dict[tuple[int, tuple[int, ...]], Any] = {}
    for data, scatter, back, axis in list(_scatters(graph)):
        indices, updates = scatter.inputs[1], scatter.inputs[2]
        lead = tuple(data.shape.numpy()[:axis])
        key = (id(indices), lead)
        if key not in places:
            places[key] = _every_place(graph, scatter, indices, lead, f"write/{len(places)}")
        turned = updates.producer()
        if turned is not None and turned.op_type == "Transpose" and _perm(turned) == _to_front(axis, len(data.shape)):
            updates = turned.inputs[0]
        else:
            inverse = ir.node("Transpose", [updates], {"perm": _perm(back)})
            graph.insert_before(scatter, inverse)
            updates = inverse.outputs[0]
            shape = [int(size) for size in data.shape.numpy()]
            shape[axis] = int(indices.shape[0])
            updates.dtype, updates.shape = data.dtype, ir.Shape(shape)
        output = back.outputs[0]
        written = ir.val(f"{output.name}/written", dtype=output.dtype, shape=output.shape)
        graph.insert_before(scatter, ir.node("ScatterND", [data, places[key], updates], outputs=[written]))
        output.replace_all_uses_with(written, replace_graph_outputs=True)
        graph.remove([back, scatter], safe=True)
        found += 1
    return found


def _scatters(graph: Any) -> Iterator[tuple[Any, Any, Any, int]]:
    """Data, ScatterND, Transpose back and the axis, of each write along an axis that is not the first."""
    for back in graph:
        scatter = back.inputs[0].producer() if back.op_type == "Transpose" else None
        if scatter is None or scatter.op_type != "ScatterND" or len(scatter.outputs[0].uses()) != 1:
            continue
        front, indices = scatter.inputs[0].producer(), scatter.inputs[1]
        reduction = scatter.attributes.get("reduction")
        if front is None or front.op_type != "Transpose" or (reduction and reduction.as_string() != "none"):
            continue
        data, rows = front.inputs[0], indices.shape
        if data.shape is None or not data.shape.is_static() or rows is None or not rows.is_static():
            continue
        axis, rank = _perm(front)[0], len(data.shape)
        inverse = [int(place) for place in np.argsort(_perm(front))]
        along_one = axis > 0 and len(rows) == 2 and rows[1] == 1
        if along_one and _perm(front) == _to_front(axis, rank) and _perm(back) == inverse:
            yield data, scatter, back, axis


def _every_place(graph: Any, before: Any, indices: Any, lead: tuple[int, ...], name: str) -> Any:
    """Indices [rows, 1] along one axis as full ones [*lead, rows, axes], for every place of the axes before it."""
    import onnx_ir as ir

    rows = int(indices.shape[0])
    grid = np.moveaxis(np.indices((*lead, rows))[: len(lead)], 0, -1).astype(np.int64)

    def held(what: str, array: Any) -> Any:
        value = ir.val(f"{name}/{what}", const_value=ir.tensor(array, name=f"{name}/{what}"))
        graph.register_initializer(value)
        return value

    shape = held("shape", np.array([*lead, rows, 1], np.int64))
    every = ir.node("Expand", [indices, shape])
    joined = ir.node("Concat", [held("grid", grid), every.outputs[0]], {"axis": -1})
    for value, width in ((every.outputs[0], 1), (joined.outputs[0], len(lead) + 1)):
        value.dtype, value.shape = ir.DataType.INT64, ir.Shape([*lead, rows, width])
    graph.insert_before(before, [every, joined])
    return joined.outputs[0]


def _expand_rotary_tables(graph: Any) -> int:
    """The exporter fuses rotary positions to RotaryEmbedding with tables [1, length, half]. The operator wants one row
    for each sequence of the batch and does not broadcast; the source's arithmetic did."""
    import onnx_ir as ir

    wide: dict[tuple[int, int], Any] = {}
    shapes: dict[int, Any] = {}
    for node in list(graph):
        if (
            node.op_type != "RotaryEmbedding"
            or node.domain != ""
            or (len(node.inputs) > 3 and node.inputs[3] is not None)
        ):
            continue
        batch = node.inputs[0].shape[0]
        if batch == 1:
            continue
        for index in (1, 2):
            table = node.inputs[index]
            key = (id(table), batch)
            if key not in wide:
                if batch not in shapes:
                    rows = ir.tensor(np.array([batch, 1, 1], np.int64))
                    shapes[batch] = ir.val(f"rotary/{len(shapes)}/shape", const_value=rows)
                    graph.register_initializer(shapes[batch])
                expand = ir.node("Expand", [table, shapes[batch]])
                graph.insert_before(node, expand)
                wide[key] = expand.outputs[0]
            node.replace_input_with(index, wide[key])
    return len(wide)


def _group_heads(graph: Any) -> int:
    """The source repeats key heads for its query heads, since not every converter knows grouped ones: the whole cache
    is copied, several times. Attention takes fewer key heads than query heads; query head i uses key head i // groups,
    which is the order in which they were repeated.
    """
    found = 0
    for node in graph:
        if node.op_type != "Attention" or node.domain != "":
            continue
        keys, values = (_before_repeating(node.inputs[place]) for place in (1, 2))
        if keys is not None and values is not None and keys.shape[1] == values.shape[1]:
            node.replace_input_with(1, keys)
            node.replace_input_with(2, values)
            found += 1
    return found


def _before_repeating(repeated: Any) -> Any:
    """[batch, heads, places, width] of which Unsqueeze, Expand, Reshape made [batch, heads * groups, places, width]."""
    value, shapes = repeated, []
    for kind in ("Reshape", "Expand", "Unsqueeze"):
        node = value.producer()
        if node is None or node.op_type != kind or value.shape is None or not value.shape.is_static():
            return None
        shapes.append(tuple(value.shape.numpy()))
        value = node.inputs[0]
    if value.shape is None or not value.shape.is_static() or len(value.shape) != 4:
        return None
    batch, heads, places, width = value.shape.numpy()
    groups = shapes[0][1] // heads
    made = [
        (batch, heads * groups, places, width),
        (batch, heads, groups, places, width),
        (batch, heads, 1, places, width),
    ]
    return value if shapes == made else None


def _perm(transpose: Any) -> list[int]:
    return [int(place) for place in transpose.attributes["perm"].as_ints()]


def _to_front(axis: int, rank: int) -> Sequence[int]:
    """The order of axes that brings one to the front."""
    return [axis, *(place for place in range(rank) if place != axis)]
