"""Quantized ONNX models, by ONNX Runtime's own tools.

`int8` is static: QuantizeLinear and DequantizeLinear around every operator that the tool knows, activations in uint8,
weights in int8 per channel, ranges by the smallest and largest value that the samples show. It is what ONNX Runtime's
guide names for x86 CPUs with VNNI. Of `int8_weights` and `int4_weights` constant matrices become MatMulNBits, in blocks
of 32, symmetric; activations are then rounded to 8 bits while it multiplies (accuracy level 4, as its language models
are packed for CPUs).
"""

import logging
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.core.errors import LoweringError
from steelyard.lowering.format import Draft, Quantization, Unquantized
from steelyard.lowering.layers import layer_errors
from steelyard.lowering.onnx_tensors import tensor_bytes

if TYPE_CHECKING:
    import torch

_ENTRY = "model.onnx"
_BLOCK = 32
_COMPUTES_IN_INT8 = 4
_WITH_AXES = 13
"""The first operator set of which QuantizeLinear and DequantizeLinear have an axis."""
_NOT_PER_CHANNEL = {"Gather"}
"""Left as they are: what is looked up in a table that is the last layer's weight, too, would get that one's scales, in
a model that does not run (ONNX Runtime 1.32, docs/upstream.md)."""
_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
QUANTIZED = ("QuantizeLinear", "DequantizeLinear", "MatMulNBits")


def static(given: Unquantized, directory: Path) -> Draft:
    """`int8`: calibrated on the samples."""
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry
    from onnxruntime.quantization.shape_inference import quant_pre_process

    _of_float32(given)
    logging.getLogger().setLevel(logging.ERROR)  # it asks on the root logger for the very preparation that is made
    with tempfile.TemporaryDirectory() as folder:
        plain, prepared = Path(folder) / f"plain.{_ENTRY}", Path(folder) / _ENTRY
        onnx.save(_with_axes(_model(given)), plain)
        quant_pre_process(plain, prepared, skip_symbolic_shape=True)  # every shape is a number
        quantize_static(
            prepared,
            Path(folder) / f"quantized.{_ENTRY}",
            _Reader(given.samples),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=sorted({*QDQRegistry, *QLinearOpsRegistry} - _NOT_PER_CHANNEL),
            per_channel=True,
        )
        made = Path(folder) / f"quantized.{_ENTRY}"
        sample = _Reader(given.samples[:1]).get_next() or {}
        errors = layer_errors(_layers(prepared, sample), _layers(made, sample))
        return _kept(given, made, directory, errors)


def _weights(bits: int) -> Callable[[Unquantized, Path], Draft]:
    def quantized(given: Unquantized, directory: Path) -> Draft:
        import onnx
        from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

        _of_float32(given)
        tool = MatMulNBitsQuantizer(
            _model(given),
            bits=bits,
            block_size=_BLOCK,
            is_symmetric=True,
            accuracy_level=_COMPUTES_IN_INT8,
        )
        tool.process()
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / _ENTRY
            onnx.save(tool.model.model, made)
            return _kept(given, made, directory, {})

    return quantized


class _Reader:
    """Samples in the order in which the tool asks for them, by the names of the file's inputs."""

    def __init__(self, samples: "Sequence[Mapping[str, torch.Tensor]]") -> None:
        self._left = [{name: tensor.numpy() for name, tensor in sample.items()} for sample in samples]

    def get_next(self) -> Mapping[str, Any] | None:
        """The next sample, None behind the last."""
        return self._left.pop(0) if self._left else None


def _of_float32(given: Unquantized) -> None:
    if given.program.dtype != "float32":
        raise LoweringError(
            f"{given.program.name}: ONNX Runtime's tools quantize float32, this program is {given.program.dtype}"
        )


def _with_axes(model: Any) -> Any:
    """The model at an operator set in which scales may be per channel, if it is older."""
    import onnx

    version = next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), _WITH_AXES)
    return onnx.version_converter.convert_version(model, _WITH_AXES) if version < _WITH_AXES else model


def _model(given: Unquantized) -> Any:
    """The plain model with its weights in it. Readers of ONNX take none from a file that has several names, as the one
    of weights has in the cache; of the artifact's own files it is no danger."""
    import onnx
    from onnx.external_data_helper import ExternalDataInfo, uses_external_data

    folder = Path(given.artifact.directory)
    model = onnx.load(folder / given.artifact.entry, load_external_data=False)
    for tensor in model.graph.initializer:
        if not uses_external_data(tensor):
            continue
        told = ExternalDataInfo(tensor)
        if told.location not in given.artifact.files:
            raise LoweringError(f"{given.program.name}: '{tensor.name}' lies in '{told.location}', no file of it")
        with (folder / told.location).open("rb") as file:
            file.seek(told.offset or 0)
            tensor.raw_data = file.read(told.length)
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]
    return model


def _layers(path: Path, sample: Mapping[str, Any]) -> dict[str, Any]:
    """What each convolution and product of a model gives for a sample, by the name of its node."""
    import onnx
    import onnxruntime

    model = onnx.load(path)
    found = {node.name: node.output[0] for node in model.graph.node if node.op_type in _LAYERS}
    held = {value.name for value in model.graph.output}
    for name in dict.fromkeys(found.values()):
        if name not in held:
            model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = list(found.values())
    return dict(zip(found, session.run(names, dict(sample)), strict=True)) if names else {}


def _kept(given: Unquantized, made: Path, directory: Path, errors: Mapping[str, float]) -> Draft:
    """The quantized model with all its weights in one file. Raises LoweringError where nothing in it is quantized."""
    import onnx

    model = onnx.load(made)
    kinds = Counter(node.op_type for node in model.graph.node)
    quantized = {kind: kinds[kind] for kind in QUANTIZED if kinds[kind]}
    if not quantized:
        raise LoweringError(f"{given.program.name}: it holds nothing that ONNX Runtime quantizes so")
    shutil.copyfile(made, directory / _ENTRY)
    return Draft(
        entry=_ENTRY,
        weight_bytes=tensor_bytes(model),
        weight_note="with scales and zero points",
        details={
            **given.artifact.details,
            "nodes": len(model.graph.node),
            "quantized": quantized,
            "layer_errors": errors,
            "external_files": [],
        },
    )


QUANTIZATIONS: Mapping[str, Quantization] = {
    "int8": Quantization(apply=static, packages=("onnxruntime",), extra="onnxruntime", calibrated=True, revision="1"),
    "int8_weights": Quantization(apply=_weights(8), packages=("onnxruntime",), extra="onnxruntime"),
    "int4_weights": Quantization(apply=_weights(4), packages=("onnxruntime",), extra="onnxruntime"),
}
