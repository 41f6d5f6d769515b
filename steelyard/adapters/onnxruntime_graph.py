"""The graph that a session of ONNX Runtime executes, on the graph that its model was exported from.

The optimised graph keeps names of values and loses all else that the exporter told. A node that writes a value of the
exported graph computes it. What a node of blocked convolutions writes has a name of its own: there the node is called
`VALUE_nchwc` after what was written before an addition and an activation were folded into it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from steelyard.core.graph import LoweredNode

_BLOCKED = "_nchwc"
_REORDER = ("ReorderInput", "ReorderOutput")
_SUM_INPUT = 3
"""The place of the operand of a convolution to which its result is added."""


def named(model: Any, exported: Mapping[str, str], lowered: Sequence[LoweredNode]) -> dict[str, tuple[str, ...]]:
    """By the name of each node of an optimised model the nodes of the exported graph whose values it writes.

    `exported` has these by the names of nodes and values of the model as it was exported.
    """
    nodes = {node.name: node for node in lowered}
    known = {name: name for name in nodes} | dict(exported)
    users: dict[str, list[LoweredNode]] = {}
    for node in lowered:
        for name in node.inputs:
            users.setdefault(name, []).append(node)
    found = {}
    for node in model.graph.node:
        written = () if node.op_type in _REORDER else tuple(known[name] for name in node.output if name in known)
        if not written and node.op_type not in _REORDER:
            base = node.name.removesuffix(_BLOCKED).partition("/")[0]
            written = (known[base],) if base in known else ()
            if written and node.name.endswith(_BLOCKED):
                written = (_folded(written[0], node, users),)
        found[node.name] = written
    return found


def _folded(name: str, node: Any, users: Mapping[str, Sequence[LoweredNode]]) -> str:
    """What a convolution writes with the addition and the activation in it."""
    parts = ["add"] if len(node.input) > _SUM_INPUT and node.input[_SUM_INPUT] else []
    parts += [each.s.decode().lower() for each in node.attribute if each.name == "activation"]
    for part in parts:
        after = [each for each in users.get(name, ()) if part in each.op]
        name = after[0].name if len(after) == 1 else name
    return name
