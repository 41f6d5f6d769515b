"""Quantized OpenVINO models, by NNCF.

`int8` is NNCF's post-training quantization with its defaults: weights per channel, symmetric, activations by ranges
that the samples show, bias corrected; models with attention are told to be transformers. `int8_weights` and
`int4_weights` compress weights without data: asymmetric in 8 bits; symmetric in 4 bits and groups of 32, where
these divide the rows, with embeddings, the last layer and what has other rows in 8 bits.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from steelyard.core.errors import LoweringError
from steelyard.lowering.format import Draft, Quantization, Unquantized
from steelyard.lowering.layers import layer_errors

_GROUP = 32
_LAYERS = ("Convolution", "GroupConvolution", "ConvolutionBackpropData", "MatMul")
_NARROW = {"i8": "int8", "u8": "uint8", "i4": "int4", "u4": "uint4"}


def save(model: Any, given: Unquantized, directory: Path, errors: Mapping[str, float] | None = None) -> Draft:
    """Write a quantized model. Raises LoweringError where nothing in it is quantized."""
    import openvino

    kinds: Counter[str] = Counter(
        _NARROW[name]
        for each in model.get_ops()
        if each.get_type_name() == "Constant" and (name := each.get_element_type().get_type_name()) in _NARROW
    )
    kinds["FakeQuantize"] = sum(each.get_type_name() == "FakeQuantize" for each in model.get_ops())
    quantized = {name: count for name, count in kinds.items() if count}
    if not quantized:
        raise LoweringError(f"{given.program.name}: it holds nothing that NNCF quantizes so")
    openvino.save_model(model, directory / "program.xml", compress_to_fp16=False)
    return Draft(
        entry="program.xml",
        weight_bytes=(directory / "program.bin").stat().st_size,
        weight_note="with scales, zero points, tables and masks",
        details={
            **given.artifact.details,
            "operations": len(model.get_ops()),
            "quantized": quantized,
            "layer_errors": errors or {},
        },
    )


def static(given: Unquantized, directory: Path) -> Draft:
    """`int8`: calibrated on the samples."""
    import nncf

    _quiet()
    model = _read(given)
    names = [spec.name for spec in given.program.inputs]
    attends = any(each.get_type_name() == "ScaledDotProductAttention" for each in model.get_ops())
    made = nncf.quantize(
        model,
        nncf.Dataset(given.samples, lambda sample: {name: _array(sample[name]) for name in names}),
        subset_size=len(given.samples),
        model_type=nncf.ModelType.TRANSFORMER if attends else None,
    )
    sample = {name: _array(given.samples[0][name]) for name in names}
    return save(made, given, directory, layer_errors(_layers(_read(given), sample), _layers(made.clone(), sample)))


def _weights(bits: int) -> Callable[[Unquantized, Path], Draft]:
    def quantized(given: Unquantized, directory: Path) -> Draft:
        import nncf

        _quiet()
        if bits == 8:
            return save(nncf.compress_weights(_read(given)), given, directory)
        fallback = nncf.AdvancedCompressionParameters(group_size_fallback_mode=nncf.GroupSizeFallbackMode.ADJUST)
        made = nncf.compress_weights(
            _read(given),
            mode=nncf.CompressWeightsMode.INT4_SYM,
            group_size=_GROUP,
            ratio=1.0,
            advanced_parameters=fallback,
        )
        return save(made, given, directory)

    return quantized


def _layers(model: Any, sample: Mapping[str, Any]) -> dict[str, Any]:
    """What each convolution and product of a model gives for a sample, by the name of its operation."""
    import openvino

    layers = [each for each in model.get_ops() if each.get_type_name() in _LAYERS]
    names = [each.get_friendly_name() for each in layers]
    ports = model.add_outputs([each.output(0) for each in layers])
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    places = [compiled.outputs[len(compiled.outputs) - len(ports) + index] for index in range(len(ports))]
    given = compiled(dict(sample))
    return {name: given[place].copy() for name, place in zip(names, places, strict=True)}


def _read(given: Unquantized) -> Any:
    import openvino

    return openvino.Core().read_model(Path(given.artifact.directory) / given.artifact.entry)


def _array(tensor: Any) -> Any:
    """A tensor as OpenVINO takes it; numpy has no bfloat16 of its own."""
    import torch

    return tensor.float().numpy() if tensor.dtype == torch.bfloat16 else tensor.numpy()


def _quiet() -> None:
    """Keep its progress bars out of the log."""
    import nncf

    nncf.set_log_level(logging.ERROR)


QUANTIZATIONS: Mapping[str, Quantization] = {
    "int8": Quantization(apply=static, packages=("nncf",), extra="quantization", calibrated=True),
    "int8_weights": Quantization(apply=_weights(8), packages=("nncf",), extra="quantization"),
    "int4_weights": Quantization(apply=_weights(4), packages=("nncf",), extra="quantization"),
}
