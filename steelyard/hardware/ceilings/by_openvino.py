"""Measures through OpenVINO's CPU plugin: a model of one MatMul in the precision asked for, and one of one Add."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.core.errors import Unsupported
from steelyard.hardware.ceilings.jobs import MeasurementTerms, RuntimeOffers, Start
from steelyard.hardware.ceilings.pace import Calls
from steelyard.hardware.ceilings.product import MatrixProduct, launch_offer, offer

_HINTS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
_CAPABILITIES = {"float32": "FP32", "bfloat16": "BF16", "float16": "FP16"}


def prepare(start: Start) -> RuntimeOffers:
    """Products in each precision. The plugin computes in the one that the hint names, whatever the model says."""
    import openvino

    terms = start.terms
    if terms.device_kind != "cpu":
        raise Unsupported(f"ceilings through OpenVINO are measured on the CPU, not on {terms.device_kind}")
    core = openvino.Core()
    offers = [offer(_make(core, terms), dtype, terms) for dtype in _HINTS]
    offers.append(launch_offer(_little(core, terms), terms))
    return RuntimeOffers(offers=tuple(offers), versions={"openvino": openvino.__version__.split("-")[0]})


def _make(core: Any, terms: MeasurementTerms) -> Any:
    from openvino import opset13 as ops

    def make(a: NDArray[np.float64], b: NDArray[np.float64], dtype: str) -> MatrixProduct:
        if _CAPABILITIES[dtype] not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise Unsupported(f"the CPU plugin has no {dtype} on this CPU")
        node = ops.parameter(a.shape, np.float32, name="a"), ops.parameter(b.shape, np.float32, name="b")
        product = ops.matmul(*node, transpose_a=False, transpose_b=False)
        arrays = [a.astype(np.float32), b.astype(np.float32)]
        request, calls = _request(core, terms, product, list(node), dtype, arrays)
        return MatrixProduct(calls=calls, first_row=lambda: request.get_output_tensor(0).data[0].astype(np.float64))

    return make


def _little(core: Any, terms: MeasurementTerms) -> Calls:
    from openvino import opset13 as ops

    one = ops.parameter([1], np.float32, name="a")
    return _request(core, terms, ops.add(one, one), [one], "float32", [np.ones(1, np.float32)])[1]


def _request(
    core: Any, terms: MeasurementTerms, result: Any, parameters: list[Any], dtype: str, arrays: list[Any]
) -> tuple[Any, Calls]:
    import openvino

    model = openvino.Model([result], parameters, "ceiling")
    config = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": terms.threads,
        "INFERENCE_PRECISION_HINT": _HINTS[dtype],
    }
    request = core.compile_model(model, "CPU", config).create_infer_request()
    tensors = [openvino.Tensor(array, shared_memory=False) for array in arrays]
    for place, tensor in enumerate(tensors):
        request.set_input_tensor(place, tensor)

    def calls(count: int) -> None:
        for _ in range(count):
            request.infer()

    return request, calls
