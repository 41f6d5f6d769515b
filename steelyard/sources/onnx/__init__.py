"""`onnx`: a file that nobody here wrote. ONNX Runtime and OpenVINO read it as it is.

The file is kept in the entry of the point's weights (`write`). References come from the reference evaluator of the
package onnx in float64, where it knows every operator and the graph bears wider numbers; else from ONNX Runtime in
float32 with every optimisation off, and the row says which. Tolerances are 10 x the error of that unoptimised float32
session, and without a float64 reference a fixed one.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.core.errors import CheckpointError, LoweringError, UsageError
from steelyard.core.hashing import file_sha256
from steelyard.core.reason import reason_of
from steelyard.core.workload import Point, Program, TensorSpec, Weights
from steelyard.lowering.cached import Entry
from steelyard.lowering.format import GRAPH, Draft, Format
from steelyard.lowering.onnx_tensors import tensor_bytes, tensors_of
from steelyard.lowering.origin import Found, Opened, Source
from steelyard.lowering.own.files import all_are_inputs, computes_in, known_dtype, spec_of, unchanged
from steelyard.lowering.own.inputs import seeded
from steelyard.lowering.own.references import write_references
from steelyard.plugins import format_
from steelyard.sources.onnx.evaluator import evaluator
from steelyard.sources.onnx.graph import source_graph, told

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_HERE = "steelyard.sources.onnx"
FILE = "model.onnx"
_LARGEST_BYTES = 2 << 30
"""What one file of ONNX can hold; larger models keep their weights beside it, which are not read."""
_ELSEWHERE = {
    "module": "it is an ONNX file: PyTorch has no reader for one",
    "stablehlo": "it is an ONNX file: nothing kept converts one to StableHLO",
    "pt2": "it is an ONNX file: it cannot be exported from PyTorch",
}


def write(arguments: Mapping[str, Any], directory: Path, local: Path | None) -> None:
    """Keep the user's file, if it is still the one that the point was made of, with the weights that lie beside it."""
    import onnx

    path = unchanged(local, arguments["sha256"], "ONNX file")
    for name, digest in arguments.get("beside", {}).items():
        unchanged(path.parent / name, digest, f"file of weights {name}")
    if not arguments.get("beside"):
        SOURCE.keep(path, directory)
        return
    onnx.save(load(path), directory / "whole.onnx")
    SOURCE.keep(directory / "whole.onnx", directory)
    (directory / "whole.onnx").unlink()


def beside(path: Path) -> dict[str, str]:
    """The files that a model keeps weights in, with their sha256. Raises CheckpointError for one that is no file of the
    model's own folder: what a file of somebody else names elsewhere is not opened."""
    import onnx

    found: dict[str, str] = {}
    for tensor in tensors_of(onnx.load(path, load_external_data=False)):
        if tensor.data_location != tensor.EXTERNAL:
            continue
        name = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
        file = path.parent / name
        if not name or name in (".", "..") or Path(name).name != name or file.is_symlink():
            raise CheckpointError(
                f"{path.name}: its weights '{tensor.name}' lie in '{name}', which is no file of its own folder and is "
                "not opened: put them beside it, or save the model as one file (torch.onnx.export(external_data=False))"
            )
        if not file.is_file():
            raise CheckpointError(f"{path.name}: its weights are not beside it: put {name} there")
        found[name] = found.get(name) or file_sha256(file)
    if sum((path.parent / name).stat().st_size for name in found) > _LARGEST_BYTES:
        raise CheckpointError(f"{path.name}: its weights are more than {_LARGEST_BYTES >> 30} GiB, which is not read")
    return found


def load(path: Path) -> Any:
    """The model with its weights. Raises CheckpointError for a file that is no valid ONNX, is too large, or keeps
    weights outside of its folder."""
    import onnx

    if path.stat().st_size > _LARGEST_BYTES:
        raise CheckpointError(f"{path}: larger than {_LARGEST_BYTES >> 30} GiB, which one ONNX file cannot be")
    try:
        model = onnx.load(path, load_external_data=False)
        if beside(path):
            onnx.load_external_data_for_model(model, str(path.parent))
        onnx.checker.check_model(model, full_check=False)
    except CheckpointError:
        raise
    except Exception as error:  # whatever a parser of foreign bytes raises
        raise CheckpointError(f"{path}: not a valid ONNX file: {reason_of(error)}") from error
    return model


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

            model = self._model()
            onnx.save(model, directory / FILE)
            opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), None)
            details: dict[str, Any] = {"opset": opset, "nodes": len(model.graph.node), "fused": {}, "whole_at": {}}
            return Draft(entry=FILE, weight_bytes=tensor_bytes(model), details={**details, **told(model)})
        if form.name == GRAPH:
            draft: Draft = format_(GRAPH).save(source_graph(self._model()), program, directory)
            return draft
        if form.name == "openvino":
            draft = _openvino(program, path, directory)
            return replace(draft, details={**draft.details, **told(self._model())})
        raise LoweringError(f"an ONNX file cannot be had as {form.name}")

    def _model(self) -> Any:
        model = load(self._found.weights.path / FILE)
        _fix_shapes(model, self._found.program)
        return model


class _Onnx(Source):
    name = "onnx"
    packages = ("onnx", "onnxruntime", "numpy")
    suffixes = (".onnx",)

    def keep(self, path: Path, directory: Path) -> None:
        """Put a file into the entry of a point's weights, which it holds itself."""
        from safetensors.numpy import save_file

        shutil.copyfile(path, directory / FILE)
        save_file({}, directory / "weights.safetensors")

    def program_of(self, path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Program:
        """See `Source`. What comes out is read off one call of an unoptimised session."""
        model = load(path)
        held = {tensor.name for tensor in model.graph.initializer}
        inputs = tuple(_spec(path, value, shapes) for value in model.graph.input if value.name not in held)
        all_are_inputs(path, shapes, inputs)
        program = Program(
            name=path.stem,
            source=f"{_HERE}:load",
            arguments={},
            weights=Weights(source=f"{_HERE}:write", arguments=_identity(path), origin="checkpoint"),
            dtype=computes_in(inputs),
            inputs=inputs,
            outputs=(),
            kind="onnx",
        )
        _fix_shapes(model, program)
        try:
            names = [value.name for value in model.graph.output]
            found = _strict_session(model).run(names, seeded(program, 0))
        except Exception as error:  # whatever a runtime says of a foreign file
            raise UsageError(
                f"{path.name}: ONNX Runtime cannot run it with these shapes: {reason_of(error)}"
            ) from error
        outputs = tuple(
            TensorSpec(name=name, shape=value.shape, dtype=known_dtype(path, name, value.dtype.name))
            for name, value in zip(names, found, strict=True)
        )
        return replace(program, outputs=outputs)

    def references(
        self, point: Point, weights: Mapping[str, Entry], shared: None, count: int, directory: Path
    ) -> Mapping[str, Any]:
        """See `Source`."""
        del shared
        program = point.programs["main"]
        path = weights[program.weights.key].path / FILE
        model = load(path)
        _fix_shapes(model, program)
        session, exact = _strict_session(model), evaluator(model)
        names = [spec.name for spec in program.outputs]

        def strict(given: Mapping[str, "Array"]) -> "dict[str, Array]":
            return dict(zip(names, session.run(names, dict(given)), strict=True))

        return write_references(
            point,
            count,
            directory,
            narrow=_on_tensors(strict),
            exact=exact if isinstance(exact, str) else _on_tensors(exact),
            exactly="the reference evaluator of onnx in float64",
            otherwise="ONNX Runtime in float32 without optimisation",
        )

    def open(self, found: Found) -> Opened:
        """See `Source`."""
        return _File(found)

    def lacks(self, form: str) -> str:
        """See `Source`."""
        return _ELSEWHERE.get(form.partition("@")[0], "")


def _identity(path: Path) -> dict[str, Any]:
    """What tells a model from another: its bytes, and those of the files that hold its weights."""
    others = beside(path)
    return {"sha256": file_sha256(path), **({"beside": others} if others else {})}


def _spec(path: Path, value: Any, shapes: Mapping[str, tuple[int, ...]]) -> TensorSpec:
    """An input of the file, open extents filled in."""
    from onnx.helper import tensor_dtype_to_np_dtype

    kind = value.type.tensor_type
    extents = [max(dim.dim_value, 0) or dim.dim_param or "?" for dim in kind.shape.dim]  # -1 is open, too
    dtype = tensor_dtype_to_np_dtype(kind.elem_type).name if kind.elem_type else "no tensor"
    return spec_of(path, value.name, extents, dtype, shapes)


def _on_tensors(call: "Callable[[Mapping[str, Array]], dict[str, Array]]") -> Callable[[Mapping[str, Any]], Any]:
    """The same with tensors of torch on both sides."""
    import numpy as np
    import torch

    def called(given: Mapping[str, Any]) -> dict[str, Any]:
        outputs = call({name: tensor.numpy() for name, tensor in given.items()})
        return {name: torch.from_numpy(np.asarray(array, order="C")) for name, array in outputs.items()}

    return called


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


def _openvino(program: Program, path: Path, directory: Path) -> Draft:
    import openvino

    model = openvino.convert_model(path, input=[(spec.name, list(spec.shape)) for spec in program.inputs])
    draft: Draft = format_("openvino").save(model, program, directory)
    return draft


SOURCE = _Onnx()
