"""ONNX through torch's exporter, with the weights left where they are.

Initializers that equal a stored tensor point into `weights.safetensors` by offset (a hard link beside
the model, since ONNX Runtime accepts external data only from the model's directory). The exporter
stores the weights of linear layers transposed, as the runtime wants them: those lie in one further
file, made once for all programs and opsets of a model. What is left (tables, masks) is small and
goes inline or into `constants.bin`.

`onnx` is for ONNX Runtime: on a CPU what it has operators of its own for is written as such (see `fuse`; its other
providers lack some of them in float32). `onnx@20` and `onnx@23` are standard ONNX; see `quantize` for what starts from
`onnx`.
"""

import re
from pathlib import Path
from typing import Any

from steelyard.core.errors import LoweringError
from steelyard.core.reason import innermost, reason_of
from steelyard.formats.onnx.fuse import fuse
from steelyard.formats.onnx.mend import mend
from steelyard.formats.onnx.quantize import QUANTIZATIONS
from steelyard.formats.onnx.weights import Places
from steelyard.lowering.format import SIDES, Draft, Exported, Format, check_ends
from steelyard.lowering.graph import lowered_graph, noticed_decomposition

_OPSET = "23"
"""Attention and RMSNormalization are operators from opset 23 on; 20 spells them out. On SmolLM2 in ONNX Runtime 1.32
(2 threads, interleaved, four processes) 23 decoded in 0.80 to 0.94 of the time of 20, and converts in half."""
_EXPORTED = re.compile(r"%(\w+) : ")
_DTYPES = {
    "FLOAT": "float32",
    "FLOAT16": "float16",
    "BFLOAT16": "bfloat16",
    "DOUBLE": "float64",
    "INT64": "int64",
    "INT32": "int32",
    "INT16": "int16",
    "INT8": "int8",
    "UINT8": "uint8",
    "BOOL": "bool",
}


def convert(source: Exported, directory: Path, option: str | None) -> Draft:
    """Write `model.onnx` and links to the weights."""
    import onnx_ir as ir
    import torch

    opset = int(option or _OPSET)
    with noticed_decomposition() as decomposed:
        try:
            made = torch.onnx.export(
                source.exported, dynamo=True, opset_version=opset, external_data=True, verbose=False
            )
        except torch.onnx.OnnxExporterError as error:  # it says at length what to do, and its cause what is wrong
            raise LoweringError(f"{source.program.name} as onnx: {reason_of(innermost(error))}") from error
    if made is None:
        raise LoweringError(f"{source.program.name} as onnx: torch.onnx.export returned nothing")
    model = made.model
    mended = mend(model)
    for_its_kernels = option is None and source.platform == "cpu"
    fused, whole_at = fuse(model) if for_its_kernels else ({}, {})
    _name(source, model.graph)
    places = Places(source, directory)
    places.settle(model.graph.initializers)
    ir.save(model, directory / "model.onnx")
    return Draft(
        entry="model.onnx",
        weight_bytes=places.weight_bytes,
        weight_note=places.note,
        details={
            "opset": model.opset_imports[""],
            "inputs": [value.name for value in model.graph.inputs],
            "outputs": [value.name for value in model.graph.outputs],
            "nodes": len(list(model.graph)),
            "mended": mended,
            "fused": fused,
            "whole_at": {value.name: place for value, place in whole_at.items()},
            "graph": lowered_graph(decomposed),
            "exported": _exported(model.graph),
            "external_files": sorted(path.name for path in directory.iterdir() if path.name != "model.onnx"),
        },
    )


def _exported(graph: Any) -> dict[str, str]:
    """By the names of nodes and of their values the node of the decomposed program that it was exported from, as its
    metadata tell: runtimes name what they execute after either, and keep no metadata."""
    found: dict[str, str] = {}
    for node in graph:
        if told := _EXPORTED.match(node.metadata_props.get("pkg.torch.onnx.fx_node", "")):
            names = (node.name, *(value.name for value in node.outputs))
            found |= {name: told[1] for name in names if name}
    return found


def _name(source: Exported, graph: Any) -> None:
    """Give inputs and outputs the program's names. A state has one name on both sides and a graph's
    names are unique, so that its output is called `next.NAME`; order is what binds.
    """
    program = source.program
    for side, values in zip(SIDES, (graph.inputs, graph.outputs), strict=True):
        check_ends(program, "onnx", side, [(tuple(value.shape.numpy()), _DTYPES[value.dtype.name]) for value in values])
    ends = [*graph.inputs, *graph.outputs]
    if len({id(value) for value in ends}) != len(ends):
        raise LoweringError(
            f"{program.name} as onnx: an output is an input unchanged, or given twice; return a computed tensor"
        )
    inputs = [spec.name for spec in program.inputs]
    names = inputs + [f"next.{spec.name}" if spec.name in inputs else spec.name for spec in program.outputs]
    inner = [value for node in graph for value in node.outputs if not any(value is end for end in ends)]
    for index, value in enumerate([*inner, *graph.initializers.values()]):
        if value.name in names:
            value.name = f"{value.name}/{index}"
    for value, name in zip(ends, names, strict=True):
        value.name = name


FORMAT = Format(
    name="onnx",
    packages=("onnx", "onnxscript", "onnx-ir"),
    extra="onnxruntime",
    convert=convert,
    revision="6",  # 2, 3: see mend; 4: see fuse; 6: graph
    options=("20", "23"),
    quantizations=QUANTIZATIONS,
)
