"""Attention in an ONNX graph as torch's exporter and `mend` write it, found to the last detail. Nothing is changed
here: what does not fit is None. Values are those of `onnx_ir`; sizes are [batch, heads, places, width].
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from steelyard.formats.onnx.values import constant, is_float, made_by, only_user

HEADS_LAST = [0, 2, 1, 3]
"""[batch, heads, places, width] from or to [batch, places, heads, width]."""
WIDTH_STEP = 8
"""GroupQueryAttention takes heads whose width is a multiple of this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attended:
    """An attention of `query` to `key` and `value`, which are new places, and to those before them.

    `places` is the length of the caches that are `kept` for the next call, keys and values: graph outputs mostly.
    `past` is what they were before and the position of the new place, or None for a prompt, which has nothing before.
    `joined` is the Reshape that joins the heads [batch, new places, heads, width].
    """

    query: Any
    key: Any
    value: Any
    past: tuple[Any, Any, Any] | None
    kept: tuple[Any, Any]
    places: int
    joined: Any


def attended(node: Any) -> Attended | None:
    """What an Attention node attends to, if GroupQueryAttention computes the same."""
    if node.op_type != "Attention" or node.domain != "" or node.attributes.get("scale") is None:
        return None
    query, key, value, *more = node.inputs
    if len(node.outputs) > 1 or not all(is_float(each) and len(each.shape) == 4 for each in (query, key, value)):
        return None
    if query.shape[3] % WIDTH_STEP or key.shape != value.shape or query.shape[1] % key.shape[1]:
        return None
    joined = _joined(node.outputs[0])
    if joined is None:
        return None
    masks = [each for each in more if each is not None]
    causal = node.attributes.get("is_causal")
    if not masks:
        return _prompt(node, joined) if causal is not None and causal.as_int() == 1 else None
    return _step(node, joined, masks[0]) if len(masks) == 1 and (causal is None or causal.as_int() == 0) else None


def _joined(out: Any) -> Any:
    """The Reshape to a fixed shape that is all that is made of the attended, heads last; or None."""
    turned = only_user(out, "Transpose")
    if turned is None or _perm(turned) != HEADS_LAST:
        return None
    joined = only_user(turned.outputs[0], "Reshape")
    shape = None if joined is None else constant(joined.inputs[1])
    return joined if shape is not None and shape.all() else None  # a size of 0 would stand for that of the input


def _prompt(node: Any, joined: Any) -> Attended | None:
    """A prompt attends to itself; its keys and values are padded to the length of a cache."""
    query, key, value = node.inputs[:3]
    kept = tuple(_padded(each) for each in (key, value))
    if query.shape[2] != key.shape[2] or query.shape[2] < 2 or None in kept or kept[0].shape != kept[1].shape:
        return None
    places = int(kept[0].shape[2])
    return Attended(query=query, key=key, value=value, past=None, kept=(kept[0], kept[1]), places=places, joined=joined)


def _padded(new: Any) -> Any:
    """The value with zeros behind its places, which beside attention is all that is made of it; or itself."""
    others = [use.node for use in new.uses() if use.node.op_type != "Attention"]
    if not others:
        return new
    (node, *rest) = others
    if rest or new.is_graph_output() or node.op_type != "Pad" or node.domain != "" or len(node.inputs) > 2:
        return None
    pads, mode = constant(node.inputs[1]), node.attributes.get("mode")
    behind = None if pads is None or pads.size != 8 else [int(each) for each in pads]
    plain = mode is None or mode.as_string() == "constant"
    fits = plain and behind is not None and not any(behind[:6]) and behind[6] > 0 and not behind[7]
    return node.outputs[0] if fits else None


def _step(node: Any, joined: Any, mask: Any) -> Attended | None:
    """One place attends to a cache up to the position at which it is written."""
    query, keys, values = node.inputs[:3]
    position = _up_to(mask, keys.shape[2])
    if query.shape[2] != 1 or position is None or any(len(each.uses()) != 1 for each in (keys, values)):
        return None
    of_keys, of_values = (_written(each, position) for each in (keys, values))
    if of_keys is None or of_values is None:
        return None
    return Attended(
        query=query,
        key=of_keys[1],
        value=of_values[1],
        past=(of_keys[0], of_values[0], position),
        kept=(keys, values),
        places=int(keys.shape[2]),
        joined=joined,
    )


def _up_to(mask: Any, places: int) -> Any:
    """The position p, if the mask is true at the places 0 to p of a cache and is the same for all rows."""
    value = mask
    while (node := made_by(value, "Unsqueeze")) is not None:
        value = node.inputs[0]
    node = made_by(value, "LessOrEqual")
    if node is None or tuple(mask.shape.numpy()) != (1, 1, 1, places):
        return None
    counted, position = constant(node.inputs[0]), node.inputs[1]
    right = counted is not None and np.array_equal(counted, np.arange(places))
    return position if right and position.producer() is None and tuple(position.shape.numpy()) == (1,) else None


def _written(cache: Any, position: Any) -> tuple[Any, Any] | None:
    """The cache before, and the new place [batch, heads, 1, width], if it is written at the position along axis 2."""
    scatter = made_by(cache, "ScatterND")
    if scatter is None:
        return None
    before, places, new = scatter.inputs
    joined = made_by(places, "Concat")
    every = made_by(joined.inputs[1], "Expand") if joined is not None and len(joined.inputs) == 2 else None
    rows = made_by(every.inputs[0], "Unsqueeze") if every is not None else None
    batch, heads, _, width = before.shape.numpy()
    if rows is None or joined is None or rows.inputs[0] is not position:
        return None
    grid = constant(joined.inputs[0])
    wanted = np.moveaxis(np.indices((batch, heads, 1))[:2], 0, -1)
    if grid is None or not np.array_equal(grid, wanted) or tuple(new.shape.numpy()) != (batch, heads, 1, width):
        return None
    return before, new


def heads_split(value: Any) -> Any:
    """[batch, places, heads, width] of which transposes made [batch, heads, places, width], or None."""
    order, at = list(range(4)), value
    while (node := made_by(at, "Transpose")) is not None:
        order, at = [_perm(node)[axis] for axis in order], node.inputs[0]
    return at if order == HEADS_LAST else None


def side_by_side(parts: Sequence[Any]) -> tuple[Any, list[Any]] | None:
    """x and the weights [inputs, outputs] of the products x @ weight that the parts are, of which nothing else is
    made; or None."""
    products = [made_by(part, "MatMul") for part in parts]
    if any(product is None for product in products) or any(len(part.uses()) != 1 for part in parts):
        return None
    x, weights = products[0].inputs[0], [product.inputs[1] for product in products]
    alike = all(product.inputs[0] is x for product in products)
    return (x, weights) if alike and all(each.is_initializer() and len(each.shape) == 2 for each in weights) else None


def split_from(parts: Sequence[Any]) -> Any:
    """The value that a Split along the last axis divides into just these parts, of which nothing else is made."""
    splits = [made_by(part, "Split") for part in parts]
    if splits[0] is None or any(split is not splits[0] for split in splits):
        return None
    axis, outputs = splits[0].attributes.get("axis"), splits[0].outputs
    fits = axis is not None and axis.as_int() in (-1, len(parts[0].shape) - 1)
    whole = len(outputs) == len(parts) and all(one is other for one, other in zip(outputs, parts, strict=True))
    return splits[0].inputs[0] if fits and whole and all(len(part.uses()) == 1 for part in parts) else None


def _perm(transpose: Any) -> list[int]:
    return [int(place) for place in transpose.attributes["perm"].as_ints()]
