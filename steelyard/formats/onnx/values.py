"""What is asked of and done to a value of an `onnx_ir` graph, wherever operators are rewritten."""

from typing import Any


def is_float(value: Any) -> bool:
    """Whether the shape is known and the type is float32, of which ONNX Runtime has every kernel on a CPU."""
    return value.shape is not None and value.shape.is_static() and value.dtype.name == "FLOAT"


def constant(value: Any) -> Any:
    """The array of an initializer, or None."""
    return value.const_value.numpy() if value.is_initializer() and value.const_value is not None else None


def made_by(value: Any, kind: str) -> Any:
    """The standard node of this kind whose output the value is, or None."""
    node = value.producer() if value is not None else None
    return node if node is not None and node.op_type == kind and node.domain == "" else None


def only_user(value: Any, kind: str) -> Any:
    """The one user of the value, if it is a standard node of this kind, or None."""
    users = list(value.uses())
    node = users[0].node if len(users) == 1 and not value.is_graph_output() else None
    return node if node is not None and node.op_type == kind and node.domain == "" else None


def held(graph: Any, name: str, array: Any) -> Any:
    """The array as an initializer of the graph."""
    import onnx_ir as ir

    value = ir.val(name, const_value=ir.tensor(array, name=name))
    graph.register_initializer(value)
    return value


def take_over(new: Any, old: Any) -> None:
    """Let `new` stand wherever `old` does, outputs of the graph included."""
    new.dtype, new.shape, new.name = old.dtype, old.shape, f"{old.name}/fused"
    old.replace_all_uses_with(new, replace_graph_outputs=True)
