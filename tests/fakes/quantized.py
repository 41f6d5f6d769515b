"""A synthetic run whose quantized backends are off as such are, with fewer bytes of weights and layers that were held
against those of the plain program."""

from collections.abc import Mapping
from dataclasses import replace

from steelyard.core import quantization
from steelyard.core.result import Result
from steelyard.core.run import LoweredFacts, Run

ERROR = {"int8": 0.03, "int8_weights": 0.006, "int4_weights": 0.12}
SMALLER = {"int8": 4, "int8_weights": 4, "int4_weights": 7}
LAYERS = {"node_MatMul_1": 0.004, "node_MatMul_2": 0.021, "node_MatMul_3": 0.012}
AGREEMENT = 0.9375


def quantized(run: Run) -> Run:
    """The run with what lowering and launches would tell of its arms `NAME[KIND]`."""
    manifest = run.manifest
    cases = {case.id: case for case in manifest.cases}
    forms = {
        case.backend.text: quantization.formats(_FORMATS[case.backend.runner], case.backend)[-1]
        for case in manifest.cases
    }

    def result(found: Result) -> Result:
        case = cases[found.case_id]
        kind = quantization.kind_of(case.backend)
        found = replace(found, options={**found.options, "format": forms[case.backend.text]})
        if not kind or found.correctness is None:
            return found
        first = found.correctness.outputs[0]
        allowed = quantization.KINDS[kind].allowed
        check = replace(first, relative_l2=ERROR[kind], tolerance=allowed, default_tolerance=first.tolerance)
        correctness = replace(found.correctness, outputs=(check,))
        told: Mapping[str, object] = {"token_agreement": AGREEMENT} if case.point.workload == "generate" else {}
        details = replace(found.details, driver={**found.details.driver, **told})
        return replace(found, correctness=correctness, approximate=correctness.approximate, details=details)

    def facts(found: LoweredFacts) -> LoweredFacts:
        weights = dict(found.weight_bytes)
        errors = {}
        for form in forms.values():
            plain, _, kind = form.partition("@")
            if kind in SMALLER:
                weights[form] = weights[plain] // SMALLER[kind]
            if kind == "int8":
                errors[form] = LAYERS
        return replace(found, weight_bytes=weights, layer_errors=errors)

    lowered = {key: facts(found) for key, found in manifest.lowered.items()}
    return replace(run, manifest=replace(manifest, lowered=lowered), results=tuple(map(result, run.results)))


_FORMATS = {
    "eager": "module",
    "inductor": "module",
    "xla": "stablehlo",
    "onnxruntime": "onnx",
    "openvino": "openvino",
}
