"""`onnx`: a file that nobody here wrote. ONNX Runtime and OpenVINO read it as it is.

The file is kept in the entry of the point's weights (`write`). References come from the reference evaluator of the
package onnx in float64, where it knows every operator and the graph bears wider numbers; else from ONNX Runtime in
float32 with every optimisation off, and the row says which. Tolerances are 10 x the error of that unoptimised float32
session, and without a float64 reference a fixed one.
"""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from steelyard.core.errors import CheckpointError, LoweringError, UsageError, unknown_name
from steelyard.core.hashing import file_sha256
from steelyard.core.reason import reason_of
from steelyard.core.workload import DTYPE_BYTES, DType, Point, Program, TensorSpec, Weights
from steelyard.lowering.cached import Entry
from steelyard.lowering.entry import PoolEntry
from steelyard.lowering.format import Draft, Format
from steelyard.lowering.origin import Found, Opened, Source
from steelyard.lowering.references import write_point
from steelyard.sources.onnx.evaluator import evaluator

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_HERE = "steelyard.sources.onnx"
FILE = "model.onnx"
_LARGEST_BYTES = 2 << 30
"""What one file of ONNX can hold; larger models keep their weights beside it, which are not read."""
_FIXED = 1e-4
_ELSEWHERE = {
    "module": "it is an ONNX file: PyTorch has no reader for one",
    "stablehlo": "it is an ONNX file: nothing kept converts one to StableHLO",
    "pt2": "it is an ONNX file: it cannot be exported from PyTorch",
}


def write(arguments: Mapping[str, Any], directory: Path, local: Path | None) -> None:
    """Keep the user's file, if it is still the one that the point was made of. It holds its weights itself."""
    from safetensors.numpy import save_file

    if local is None:
        raise CheckpointError("the ONNX file of this point is not given: name it with --model")
    if not local.is_file() or file_sha256(local) != arguments["sha256"]:
        raise CheckpointError(
            f"{local}: not the ONNX file that was looked at before: it was changed, or is another one"
        )
    shutil.copyfile(local, directory / FILE)
    save_file({}, directory / "weights.safetensors")


def load(path: Path) -> Any:
    """The model. Raises CheckpointError for a file that is no valid ONNX, is too large, or keeps weights elsewhere:
    what a file of somebody else names is not opened."""
    import onnx

    if path.stat().st_size > _LARGEST_BYTES:
        raise CheckpointError(f"{path}: larger than {_LARGEST_BYTES >> 30} GiB, which one ONNX file cannot be")
    try:
        model = onnx.load(path, load_external_data=False)
        outside = [tensor.name for tensor in tensors_of(model) if tensor.data_location == tensor.EXTERNAL]
        if outside:
            raise CheckpointError(
                f"{path}: the weights '{outside[0]}' and {len(outside) - 1} more lie in other files, which are not "
                "read: save the model as one file"
            )
        onnx.checker.check_model(model, full_check=False)
    except CheckpointError:
        raise
    except Exception as error:  # whatever a parser of foreign bytes raises
        raise CheckpointError(f"{path}: not a valid ONNX file: {reason_of(error)}") from error
    return model


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


class _File(Opened):
    def __init__(self, found: Found) -> None:
        self._found = found

    def draft(self, form: Format, option: str | None, directory: Path) -> Draft:
        """See `Opened`: the file itself, or what OpenVINO's reader makes of it, with static shapes."""
        program, path = self._found.program, self._found.weights.path / FILE
        if option is not None:
            raise LoweringError(f"the file has the operators that it has: {form.name}@{option} is for our own exports")
        if form.name == "onnx":
            import onnx

            model = load(path)
            _fix_shapes(model, program)
            onnx.save(model, directory / FILE)
            opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), None)
            details: dict[str, Any] = {"opset": opset, "nodes": len(model.graph.node), "fused": {}, "whole_at": {}}
            return Draft(entry=FILE, weight_bytes=_weight_bytes(model), details=details)
        if form.name == "openvino":
            return _openvino(program, path, directory)
        raise LoweringError(f"an ONNX file cannot be had as {form.name}")


class _Onnx(Source):
    name = "onnx"
    packages = ("onnx", "onnxruntime", "numpy")
    suffixes = (".onnx",)

    def program_of(self, path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Program:
        """See `Source`. What comes out is read off one call of an unoptimised session."""
        model = load(path)
        held = {tensor.name for tensor in model.graph.initializer}
        inputs = tuple(_spec(path, value, shapes) for value in model.graph.input if value.name not in held)
        if unknown := [name for name in shapes if name not in {spec.name for spec in inputs}]:
            raise unknown_name(f"input of {path.name}", unknown[0], [spec.name for spec in inputs])
        floats = [spec.dtype for spec in inputs if "float" in spec.dtype]
        program = Program(
            name=path.stem,
            source=f"{_HERE}:load",
            arguments={},
            weights=Weights(source=f"{_HERE}:write", arguments={"sha256": file_sha256(path)}, origin="checkpoint"),
            dtype=floats[0] if floats else "float32",
            inputs=inputs,
            outputs=(),
            kind="onnx",
        )
        _fix_shapes(model, program)
        try:
            names = [value.name for value in model.graph.output]
            found = _strict_session(model).run(names, _inputs(program, 0))
        except Exception as error:  # whatever a runtime says of a foreign file
            raise UsageError(
                f"{path.name}: ONNX Runtime cannot run it with these shapes: {reason_of(error)}"
            ) from error
        outputs = tuple(
            TensorSpec(name=name, shape=value.shape, dtype=_dtype(path, name, value.dtype.name))
            for name, value in zip(names, found, strict=True)
        )
        return replace(program, outputs=outputs)

    def shared(self, weights: Entry) -> None:
        """Nothing."""

    def references(self, point: Point, weights: Entry, shared: None, count: int, directory: Path) -> Mapping[str, Any]:
        """See `Source`."""
        del shared
        program, path = point.programs["main"], weights.path / FILE
        model = load(path)
        _fix_shapes(model, program)
        session = _strict_session(model)
        inputs = [_inputs(program, index) for index in range(count)]
        names = [spec.name for spec in program.outputs]

        def strict(given: Mapping[str, "Array"]) -> "dict[str, Array]":
            return dict(zip(names, session.run(names, dict(given)), strict=True))

        exact, why_not = evaluator(model, inputs[0], strict)
        right = [exact(given) if exact else strict(given) for given in inputs]
        pool = [PoolEntry(inputs=_tensors(one), references=_wide(two)) for one, two in zip(inputs, right, strict=True)]

        def run(role: str, given: Mapping[str, Any]) -> dict[str, Any]:
            del role
            return _tensors(strict({name: tensor.numpy() for name, tensor in given.items()}))

        facts = dict(write_point(point, pool, run, directory))
        if exact is None:
            facts["tolerances"] = {name: {"floor": 0.0, "limit": _FIXED} for name in facts["tolerances"]}
            facts["by"] = f"ONNX Runtime in float32 without optimisation, as no float64 was to be had: {why_not}"
        else:
            facts["by"] = "the reference evaluator of onnx in float64"
        return facts

    def open(self, found: Found) -> Opened:
        """See `Source`."""
        return _File(found)

    def lacks(self, form: str) -> str:
        """See `Source`."""
        return _ELSEWHERE.get(form.partition("@")[0], "")


def _spec(path: Path, value: Any, shapes: Mapping[str, tuple[int, ...]]) -> TensorSpec:
    """An input of the file, open extents filled in."""
    from onnx.helper import tensor_dtype_to_np_dtype

    kind = value.type.tensor_type
    given = shapes.get(value.name)
    extents = [dim.dim_value or dim.dim_param or "?" for dim in kind.shape.dim]
    dtype = _dtype(path, value.name, tensor_dtype_to_np_dtype(kind.elem_type).name if kind.elem_type else "no tensor")
    if given is not None:
        fixed = [one for one, other in zip(extents, given, strict=False) if isinstance(one, int) and one != other]
        if len(given) != len(extents) or fixed:
            raise UsageError(f"--shape {value.name}: {list(given)} does not fit {extents}, which the file declares")
        return TensorSpec(name=value.name, shape=given, dtype=dtype)
    if not all(isinstance(extent, int) for extent in extents):
        example = "x".join(str(extent) if isinstance(extent, int) else "1" for extent in extents)
        raise UsageError(
            f"{path.name}: input '{value.name}' is {extents}, with open extents; give them, e.g. "
            f"--shape {value.name}={example}"
        )
    return TensorSpec(name=value.name, shape=tuple(int(extent) for extent in extents), dtype=dtype)


def _dtype(path: Path, name: str, found: str) -> DType:
    if found not in DTYPE_BYTES:
        raise UsageError(f"{path.name}: '{name}' is of type {found}, which is not measured here")
    return cast(DType, found)


def _inputs(program: Program, index: int) -> "dict[str, Array]":
    """Floating-point numbers standard normal, whole ones 0 or 1."""
    import numpy as np

    source = np.random.default_rng(index)

    def of(spec: TensorSpec) -> "Array":
        if "float" in spec.dtype:
            return source.standard_normal(spec.shape).astype(spec.dtype)
        return source.integers(0, 2, spec.shape).astype(spec.dtype)

    return {spec.name: of(spec) for spec in program.inputs}


def _tensors(arrays: Mapping[str, "Array"]) -> dict[str, Any]:
    import numpy as np
    import torch

    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}


def _wide(arrays: Mapping[str, "Array"]) -> dict[str, Any]:
    found = _tensors(arrays)
    return {name: value.double() if value.is_floating_point() else value for name, value in found.items()}


def _fix_shapes(model: Any, program: Program) -> None:
    """Inputs get the extents of the program in place of symbols."""
    shapes = {spec.name: spec.shape for spec in program.inputs}
    for value in model.graph.input:
        if value.name in shapes:
            dimensions = value.type.tensor_type.shape
            del dimensions.dim[:]
            for extent in shapes[value.name]:
                dimensions.dim.add().dim_value = extent


def _strict_session(model: Any) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _weight_bytes(model: Any) -> int:
    """Bytes of the initializers as arrays."""
    from onnx import numpy_helper

    return sum(numpy_helper.to_array(tensor).nbytes for tensor in model.graph.initializer)


def _openvino(program: Program, path: Path, directory: Path) -> Draft:
    import openvino

    from steelyard.plugins import format_

    model = openvino.convert_model(path, input=[(spec.name, list(spec.shape)) for spec in program.inputs])
    draft: Draft = format_("openvino").save(model, program, directory)
    return draft


SOURCE = _Onnx()
