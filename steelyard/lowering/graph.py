"""Graphs of torch.export as data: the source graph of a program, and what a converter decomposed it to."""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from steelyard.core.graph import LoweredNode, NodeKind, SourceNode

if TYPE_CHECKING:
    import torch

_ITEM = "getitem"
_OF_SHAPE = re.compile(r"\.(?:\w+_like|new_\w+)$")
"""Operators that look at the shape of their input alone."""


def source_graph(exported: "torch.export.ExportedProgram") -> tuple[SourceNode, ...]:
    """The nodes of a program as it was exported. An operator of several results is one node, of the bytes of all."""
    inputs = set(exported.graph_signature.user_inputs)
    returned = set(exported.graph_signature.user_outputs)
    found: dict[str, SourceNode] = {}
    whole: dict[str, str] = {}
    for node in exported.graph.nodes:
        if node.op == "placeholder" and node.name in inputs:
            found[node.name] = SourceNode(
                name=node.name, op="input", inputs=(), kind="input", bytes=_bytes(node), returned=node.name in returned
            )
        elif node.op == "call_function" and node.meta.get("val") is not None:  # an assertion has no value
            operands = _operands(node, whole)
            if operator_of(node) == _ITEM:
                whole[node.name] = operands[0]
                continue
            known = tuple(name for name in operands if name in found)
            found[node.name] = SourceNode(
                name=node.name,
                op=operator_of(node),
                inputs=known,
                kind=_kind(node, [found[name].kind for name in known]),
                bytes=_bytes(node),
            )
    ends = {whole.get(name, name) for name in returned if name is not None}
    return tuple(
        SourceNode(
            name=node.name, op=node.op, inputs=node.inputs, kind=node.kind, bytes=node.bytes, returned=node.name in ends
        )
        for node in found.values()
    )


def lowered_graph(noticed: "Sequence[torch.export.ExportedProgram]") -> tuple[LoweredNode, ...]:
    """The nodes of the last of these decomposed programs, each with the node of the exported one that it comes from;
    none where nothing was decomposed."""
    found: dict[str, LoweredNode] = {}
    whole: dict[str, str] = {}
    for decomposed in noticed[-1:]:
        inputs = set(decomposed.graph_signature.user_inputs)
        for node in decomposed.graph.nodes:
            if node.op == "call_function" or node.name in inputs:
                operands = _operands(node, whole)
                if operator_of(node) == _ITEM:
                    whole[node.name] = operands[0]
                    continue
                source = node.name if node.name in inputs else origin(node).name
                found[node.name] = LoweredNode(
                    name=node.name,
                    op=operator_of(node),
                    inputs=tuple(name for name in operands if name in found),
                    source=source,
                )
    return tuple(found.values())


def _operands(node: Any, whole: Mapping[str, str]) -> tuple[str, ...]:
    """The nodes whose values a node takes, those of several results as a whole."""
    return tuple(dict.fromkeys(whole.get(each.name, each.name) for each in node.all_input_nodes))


def origin(node: Any) -> Any:
    """What a node was decomposed from: of the records that torch keeps of where it comes from, the first; the node
    itself where there is none. Both have a `name` and a `target`."""
    found, sources = node, node.meta.get("from_node") or ()
    while sources:
        found, sources = sources[-1], sources[-1].from_node or ()
    return found


def operator_of(node: Any) -> str:
    """A node's operator without its overload: `aten.linear`, `getitem`."""
    target = node.target
    return getattr(target, "__name__", "") if target.__class__.__module__ == "builtins" else bare(str(target))


def bare(target: str) -> str:
    """`aten.linear` of `aten.linear.default`."""
    return ".".join(target.split(".")[:2])


@contextlib.contextmanager
def noticed_decomposition() -> "Iterator[list[torch.export.ExportedProgram]]":
    """What `run_decompositions` gives to a converter meanwhile, which keeps to itself what it decomposed."""
    import torch

    found: list[torch.export.ExportedProgram] = []
    own = torch.export.ExportedProgram.run_decompositions

    def noticing(exported: Any, *arguments: Any, **options: Any) -> Any:
        found.append(own(exported, *arguments, **options))
        return found[-1]

    torch.export.ExportedProgram.run_decompositions = noticing
    try:
        yield found
    finally:
        torch.export.ExportedProgram.run_decompositions = own


def _kind(node: Any, inputs: Sequence[NodeKind]) -> NodeKind:
    if all(kind == "constant" for kind in inputs) or _OF_SHAPE.search(operator_of(node)):
        return "constant"
    return "view" if _is_view(node) else "computed"


def _is_view(node: Any) -> bool:
    """Whether the value has the memory of an input: dropout that is switched off, or an operator whose schema allows it
    and that does not copy this input. `to`, `contiguous` and `reshape` do where type or strides make them."""
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return False
    if schema.name in ("aten::dropout", "aten::feature_dropout"):
        return node.args[-1] is False
    shared = [each.alias_info for each in schema.returns if each.alias_info is not None]
    return bool(shared) and not any(each.is_write for each in shared) and _shares(node)


def _shares(node: Any) -> bool:
    """Whether an operator, called again with tensors without data, gives the memory of the first of them."""
    import torch

    arguments, options = torch.fx.node.map_arg((node.args, node.kwargs), lambda each: each.meta["val"])
    with torch.no_grad():
        value = node.target(*arguments, **options)
    values = value if isinstance(value, (tuple, list)) else (value,)
    taken = arguments[0].untyped_storage()._cdata
    return all(each.untyped_storage()._cdata == taken for each in values)


def _bytes(node: Any) -> int | None:
    """The size of a value, or of several together."""
    value = node.meta.get("val")
    values = value if isinstance(value, (tuple, list)) else (value,)
    sizes = [size for each in values if isinstance(size := getattr(each, "nbytes", None), int)]
    return sum(sizes) if len(sizes) == len(values) else None
