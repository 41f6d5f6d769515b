"""The tensors that an ONNX model holds, wherever in it they lie."""

from collections.abc import Iterator
from typing import Any


def tensors_of(message: Any) -> Iterator[Any]:
    """Every tensor that a model holds: initializers, sparse ones, attributes, in subgraphs and functions too."""
    from onnx import TensorProto

    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for each in value if field.is_repeated else (value,):
            if isinstance(each, TensorProto):
                yield each
            else:
                yield from tensors_of(each)


def tensor_bytes(model: Any) -> int:
    """Bytes of all of them as arrays: weights may be initializers, or constants among the nodes."""
    from onnx import numpy_helper

    return sum(numpy_helper.to_array(tensor).nbytes for tensor in tensors_of(model))
