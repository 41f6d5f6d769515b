"""GroupQueryAttention written into an ONNX graph, with the rotary positions before it inside where it rotates alike."""

from typing import Any

import numpy as np

from steelyard.formats.onnx.patterns import HEADS_LAST, Attended, heads_split
from steelyard.formats.onnx.rotary import Tables
from steelyard.formats.onnx.values import held, made_by, take_over

DOMAIN = "com.microsoft"


class Attention:
    """Writes GroupQueryAttention; what several of them need stands in the graph once."""

    def __init__(self, graph: Any) -> None:
        self.done = {"attention": 0, "rotary_inside": 0}
        self.last: dict[Any, int] = {}
        self._graph = graph
        self._tables = Tables(graph)
        self._arrays: dict[bytes, Any] = {}
        self._valid: dict[int, tuple[Any, Any]] = {}
        self._nothing: dict[tuple[int, ...], Any] = {}

    def fuse(self, node: Any, found: Attended) -> None:
        """One operator for the node and for what splits, rotates, writes and joins heads around it."""
        import onnx_ir as ir

        batch, heads, new, width = (int(size) for size in found.query.shape)
        attributes: dict[str, Any] = {"num_heads": heads, "kv_num_heads": int(found.key.shape[1])}
        attributes |= {name: node.attributes[name] for name in ("scale", "softcap") if name in node.attributes}
        position = None if found.past is None else found.past[2]
        query, key = found.query, found.key
        tables = self._tables.of(query, key, position, found.places)
        if tables is not None:
            query, key = (made_by(each, "RotaryEmbedding").inputs[0] for each in (query, key))
            attributes |= {"do_rotary": 1, "rotary_interleaved": 0}
        names = [f"{value.name}/fused" for value in (node.outputs[0], *found.kept)]
        made = [ir.val(name, found.query.dtype) for name in names]
        for present, kept in zip(made[1:], found.kept, strict=True):
            take_over(present, kept)  # before `_flat` makes uses of a key that is kept as it is
        flats = [self._flat(node, each) for each in (query, key, found.value)]
        inputs = [*flats, *self._past(found), *self._counts(found, batch, new), *(tables or ())]
        fused = ir.node("GroupQueryAttention", inputs, attributes, domain=DOMAIN, outputs=made)
        self._graph.insert_before(node, fused)
        made[0].shape = ir.Shape([batch, new, heads * width])
        if tuple(found.joined.outputs[0].shape) == tuple(made[0].shape):
            take_over(made[0], found.joined.outputs[0])
        else:
            found.joined.replace_input_with(0, made[0])
        self.done["attention"] += 1
        self.done["rotary_inside"] += int(tables is not None)

    def _flat(self, before: Any, value: Any) -> Any:
        """[batch, heads, places, width] as [batch, places, heads * width]."""
        import onnx_ir as ir

        batch, heads, places, width = (int(size) for size in value.shape)
        split = heads_split(value)
        if split is None:
            turned = ir.node("Transpose", [value], {"perm": HEADS_LAST})
            self._graph.insert_before(before, turned)
            split = turned.outputs[0]
        shape = (batch, places, heads * width)
        joined = made_by(split, "Reshape")
        if joined is not None and tuple(joined.inputs[0].shape or ()) == shape:
            return joined.inputs[0]
        made = ir.node("Reshape", [split, self._array("shape", np.array(shape))])
        made.outputs[0].dtype, made.outputs[0].shape = value.dtype, ir.Shape(shape)
        self._graph.insert_before(before, made)
        return made.outputs[0]

    def _past(self, found: Attended) -> list[Any]:
        """Caches before the call. A prompt has an empty one as long as what is kept, unless it fills that."""
        import onnx_ir as ir

        if found.past is not None:
            return list(found.past[:2])
        if found.places == found.key.shape[2]:
            return [None, None]
        shape = tuple(int(size) for size in found.kept[0].shape)
        if shape not in self._nothing:  # ONNX Runtime makes a constant of it, which the file need not hold
            empty = ir.node("ConstantOfShape", [self._array("cache", np.array(shape))])
            self._graph.insert_before(self._graph[0], empty)
            self._nothing[shape] = empty.outputs[0]
        return [self._nothing[shape]] * 2

    def _counts(self, found: Attended, batch: int, new: int) -> tuple[Any, Any]:
        """Of each sequence the last valid place, and the number of valid places, both int32."""
        import onnx_ir as ir

        if found.past is None:
            last = self._array("last", np.full(batch, new - 1, np.int32))
            return last, self._array("total", np.array([new], np.int32))
        position = found.past[2]
        self.last[position] = found.places - 1
        if id(position) not in self._valid:
            cast = ir.node("Cast", [position], {"to": ir.DataType.INT32})
            each = ir.node("Expand", [cast.outputs[0], self._array("batch", np.array([batch]))])
            total = ir.node("Add", [cast.outputs[0], self._array("one", np.array([1], np.int32))])
            self._graph.insert_before(self._graph[0], [cast, each, total])
            self._valid[id(position)] = each.outputs[0], total.outputs[0]
        return self._valid[id(position)]

    def _array(self, what: str, array: Any) -> Any:
        """A small array as an initializer."""
        key = what.encode() + array.tobytes()
        if key not in self._arrays:
            self._arrays[key] = held(self._graph, f"attention/{what}/{len(self._arrays)}", array)
        return self._arrays[key]
