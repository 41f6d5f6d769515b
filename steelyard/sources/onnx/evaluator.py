"""An ONNX model evaluated in float64, where that can be had."""

import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from steelyard.core.errors import SuiteError
from steelyard.core.reason import reason_of

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def evaluator(model: Any) -> "Callable[[Mapping[str, Array]], dict[str, Array]] | str":
    """What evaluates the model in float64, or why nothing does."""
    import numpy as np
    import onnx
    from onnx.reference import ReferenceEvaluator

    try:
        evaluator = ReferenceEvaluator(_widened(model))
    except Exception as error:  # noqa: BLE001 (an evaluator of foreign graphs raises whatever it likes)
        traceback.print_exception(error)
        return f"onnx {onnx.__version__}: {reason_of(error)}"
    names = [value.name for value in model.graph.output]

    def exact(given: Mapping[str, "Array"]) -> "dict[str, Array]":
        wide = {n: array.astype("float64") if array.dtype.kind == "f" else array for n, array in given.items()}
        return dict(zip(names, map(np.asarray, evaluator.run(None, wide)), strict=True))

    return exact


def _widened(model: Any) -> Any:
    """The model with every float32 as float64: constants, casts and declared types. Raises SuiteError for a subgraph,
    whose types are its own."""
    import onnx
    from onnx import TensorProto, numpy_helper

    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    graph = wide.graph

    def tensor(given: Any) -> None:
        if given.data_type == TensorProto.FLOAT:
            given.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(given).astype("float64"), given.name))

    for each in graph.initializer:
        tensor(each)
    for value in (*graph.input, *graph.output):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = TensorProto.DOUBLE
    del graph.value_info[:]
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS):
                raise SuiteError(f"{node.op_type} has a graph of its own")
            if attribute.type == onnx.AttributeProto.TENSOR:
                tensor(attribute.t)
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.DOUBLE
    return wide
