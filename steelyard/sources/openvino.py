"""`openvino`: a model in OpenVINO's own form, `FILE.xml` with its weights in `FILE.bin`. OpenVINO alone reads it.

References come from OpenVINO itself in float32, in its mode for accuracy and on one thread, since on a CPU it computes
in nothing wider; the row says so, and tolerances are fixed.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.core.errors import CheckpointError, LoweringError, UsageError
from steelyard.core.hashing import file_sha256
from steelyard.core.reason import reason_of
from steelyard.core.workload import Point, Program, TensorSpec, Weights
from steelyard.lowering.cached import Entry
from steelyard.lowering.format import Draft, Format
from steelyard.lowering.origin import Found, Opened, Source
from steelyard.lowering.own.files import all_are_inputs, computes_in, known_dtype, spec_of, unchanged
from steelyard.lowering.own.inputs import seeded
from steelyard.lowering.own.references import tensors_of, write_references
from steelyard.lowering.weights import FILE

if TYPE_CHECKING:
    import torch

    Tensors = Mapping[str, torch.Tensor]

_HERE = "steelyard.sources.openvino"
_MODEL, _WEIGHTS = "model.xml", "model.bin"
_ELSEWHERE = "it is a model in OpenVINO's own form, which OpenVINO alone can read"
_DTYPES = {
    "f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16", "i64": "int64", "i32": "int32",
    "i16": "int16", "i8": "int8", "u8": "uint8", "boolean": "bool",
}  # fmt: skip
_STRICT = {"INFERENCE_PRECISION_HINT": "f32", "EXECUTION_MODE_HINT": "ACCURACY", "INFERENCE_NUM_THREADS": 1}
_NAMED = "OpenVINO in float32, in its mode for accuracy and on one thread"


def load(path: Path, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Any:
    """The model, with these extents of its inputs. Raises CheckpointError for what is none."""
    import openvino

    with path.open("rb") as stream:
        if not stream.read(256).lstrip().startswith((b"<?xml", b"<net")):
            raise CheckpointError(f"{path.name}: not a model in OpenVINO's form, which is XML")
    try:
        model = openvino.Core().read_model(path)
        if shapes:
            named = zip(model.inputs, _names(model.inputs, "input"), strict=True)
            model.reshape({port: list(shapes[name]) for port, name in named})
    except Exception as error:  # whatever a reader of foreign bytes raises
        raise CheckpointError(f"{path.name}: OpenVINO cannot read it: {_said(error)}") from error
    return model


def write(arguments: Mapping[str, Any], directory: Path, local: Path | None) -> None:
    """Keep the user's two files. The weights stay as they are written there."""
    from safetensors.numpy import save_file

    path = unchanged(local, arguments["sha256"], "OpenVINO model")
    shutil.copyfile(path, directory / _MODEL)
    weights = unchanged(_beside(path), arguments["weights"], "weights of the OpenVINO model")
    shutil.copyfile(weights, directory / _WEIGHTS)
    save_file({}, directory / FILE)


class _File(Opened):
    def __init__(self, found: Found) -> None:
        self._found = found

    def draft(self, form: Format, option: str | None, directory: Path) -> Draft:
        """See `Opened`: the model itself, with static shapes and the program's names."""
        from steelyard.plugins import format_

        if form.name != "openvino" or option is not None:
            raise LoweringError(_ELSEWHERE)
        program = self._found.program
        model = load(self._found.weights.path / _MODEL, _shapes(program))
        draft: Draft = format_("openvino").save(model, program, directory)
        return draft


class _OpenVino(Source):
    name = "openvino"
    packages = ("openvino", "numpy")
    suffixes = (".xml",)

    def program_of(self, path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Program:
        """See `Source`. What comes out is read off one call."""
        digests = {"sha256": file_sha256(path), "weights": file_sha256(_beside(path))}
        model = load(path)
        inputs = tuple(
            spec_of(path, name, _extents(port), _dtype(port), shapes)
            for port, name in zip(model.inputs, _names(model.inputs, "input"), strict=True)
        )
        all_are_inputs(path, shapes, inputs)
        program = Program(
            name=path.stem,
            source=f"{_HERE}:load",
            arguments={},
            weights=Weights(source=f"{_HERE}:write", arguments=digests, origin="checkpoint"),
            dtype=computes_in(inputs),
            inputs=inputs,
            outputs=(),
            kind=self.name,
        )
        model = load(path, _shapes(program))
        try:
            found = _strict(model, program)(tensors_of(program, seeded(program, 0)))
        except Exception as error:  # whatever a runtime says of a foreign file
            raise UsageError(f"{path.name}: OpenVINO cannot run it with these shapes: {_said(error)}") from error
        outputs = tuple(
            TensorSpec(name=name, shape=tuple(each.shape), dtype=known_dtype(path, name, _dtype(port)))
            for (name, each), port in zip(found.items(), model.outputs, strict=True)
        )
        return replace(program, outputs=outputs)

    def references(
        self, point: Point, weights: Mapping[str, Entry], shared: None, count: int, directory: Path
    ) -> Mapping[str, Any]:
        """See `Source`."""
        del shared
        program = point.programs["main"]
        model = load(weights[program.weights.key].path / _MODEL, _shapes(program))
        return write_references(
            point,
            count,
            directory,
            narrow=_strict(model, program),
            exact="on a CPU it computes in nothing wider",
            exactly="",
            otherwise=_NAMED,
        )

    def open(self, found: Found) -> Opened:
        """See `Source`."""
        return _File(found)

    def lacks(self, form: str) -> str:
        """See `Source`."""
        return "" if form == "openvino" else _ELSEWHERE


def _strict(model: Any, program: Program) -> "Callable[[Tensors], dict[str, torch.Tensor]]":
    import numpy as np
    import openvino
    import torch

    compiled = openvino.Core().compile_model(model, "CPU", _STRICT)
    names = _names(model.outputs, "output")

    def call(given: "Tensors") -> "dict[str, torch.Tensor]":
        outputs = compiled([given[spec.name].numpy() for spec in program.inputs])
        return {name: torch.from_numpy(np.array(outputs[index])) for index, name in enumerate(names)}

    return call


def _beside(path: Path) -> Path:
    """The file of weights that belongs to a model. Raises CheckpointError where it is absent or lies elsewhere."""
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise CheckpointError(f"{path.name}: its weights are not beside it: put {weights.name} there")
    if weights.resolve().parent != path.resolve().parent:
        raise CheckpointError(f"{path.name}: its weights {weights.name} lie in another folder: put them beside it")
    return weights


def _names(ports: Sequence[Any], kind: str) -> list[str]:
    """What a model takes or gives, each by a name of its own, else by its place."""
    return [min(port.get_names(), default=f"{kind}{index}") for index, port in enumerate(ports)]


def _extents(port: Any) -> list[int | str]:
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic:
        return ["..."]
    return [extent.get_length() if extent.is_static else "?" for extent in shape]


def _dtype(port: Any) -> str:
    name = str(port.get_element_type().get_type_name())
    return _DTYPES.get(name, name)


def _shapes(program: Program) -> dict[str, tuple[int, ...]]:
    return {spec.name: spec.shape for spec in program.inputs}


def _said(error: Exception) -> str:
    """The last line of what OpenVINO says: those before it name checks of its own."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if type(error) is RuntimeError and lines else reason_of(error)


SOURCE = _OpenVino()
