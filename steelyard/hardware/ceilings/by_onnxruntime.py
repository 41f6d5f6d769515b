"""Measures through ONNX Runtime: a model of one MatMul, its inputs and output bound beforehand; and one of one Add."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.core.errors import Unsupported
from steelyard.hardware.ceilings.jobs import MeasurementTerms, RuntimeOffers, Start
from steelyard.hardware.ceilings.pace import Calls
from steelyard.hardware.ceilings.product import MatrixProduct, launch_offer, offer

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_TYPES = {"float32": "FLOAT", "float64": "DOUBLE", "float16": "FLOAT16"}
_OPSET = 20


def prepare(start: Start) -> RuntimeOffers:
    """Products in the dtypes that the provider has kernels of its own for."""
    import onnxruntime

    terms = start.terms
    provider = _PROVIDERS.get(terms.device_kind)
    if provider is None:
        raise Unsupported(f"ceilings through ONNX Runtime are measured on cpu and cuda, not on {terms.device_kind}")
    if provider not in onnxruntime.get_available_providers():
        raise Unsupported(f"this ONNX Runtime ({onnxruntime.__version__}) has no {provider}")
    # On x86 the CPU provider computes float16 in float32, between casts.
    dtypes = ("float32", "float64") if terms.device_kind == "cpu" else tuple(_TYPES)
    offers = [offer(_make(terms, provider), dtype, terms) for dtype in dtypes]
    offers.append(launch_offer(_little(terms, provider), terms))
    return RuntimeOffers(offers=tuple(offers), versions={"onnxruntime": onnxruntime.__version__})


def _make(terms: MeasurementTerms, provider: str) -> Any:
    def make(a: NDArray[np.float64], b: NDArray[np.float64], dtype: str) -> MatrixProduct:
        inputs = {"a": a.astype(dtype), "b": b.astype(dtype)}
        calls, result = _bound(_model("MatMul", dtype, a.shape[0]), inputs, terms, provider)
        return MatrixProduct(calls=calls, first_row=lambda: result()[0].astype(np.float64))

    return make


def _little(terms: MeasurementTerms, provider: str) -> Calls:
    one = np.ones((1, 1), np.float32)
    return _bound(_model("Add", "float32", 1), {"a": one, "b": one}, terms, provider)[0]


def _model(operator: str, dtype: str, edge: int) -> bytes:
    """A model of one operator on two square matrices, as bytes."""
    from onnx import TensorProto, helper

    kind = getattr(TensorProto, _TYPES[dtype])
    inputs = [helper.make_tensor_value_info(name, kind, [edge, edge]) for name in ("a", "b")]
    output = helper.make_tensor_value_info("c", kind, [edge, edge])
    graph = helper.make_graph([helper.make_node(operator, ["a", "b"], ["c"])], "ceiling", inputs, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=10)
    return bytes(model.SerializeToString())


def _bound(model: bytes, inputs: dict[str, Any], terms: MeasurementTerms, provider: str) -> tuple[Calls, Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = terms.threads, 1
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "0" if terms.device_kind == "cpu" else "1")
    settings: dict[str, Any] = {}
    if terms.device_kind != "cpu":
        settings = {"device_id": terms.device_index, "use_tf32": 0}
    session = onnxruntime.InferenceSession(model, options, providers=[(provider, settings)])
    binding = session.io_binding()
    for name, array in inputs.items():
        binding.bind_ortvalue_input(
            name, onnxruntime.OrtValue.ortvalue_from_numpy(array, terms.device_kind, terms.device_index)
        )
    binding.bind_output("c", terms.device_kind, terms.device_index)

    def calls(count: int) -> None:
        for _ in range(count):
            session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    return calls, lambda: binding.copy_outputs_to_cpu()[0]
