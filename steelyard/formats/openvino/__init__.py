"""OpenVINO's intermediate representation, weights in the case's own precision.

The format knows no shared weight files: each program has its own copy in `program.bin`. Inputs and
outputs carry the program's names; a state's output is called `next.NAME`, since tensor names are unique.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from steelyard.core.errors import LoweringError
from steelyard.core.workload import Program
from steelyard.formats.openvino.quantize import QUANTIZATIONS
from steelyard.lowering.format import SIDES, Draft, Exported, Format, check_ends
from steelyard.lowering.graph import lowered_graph, noticed_decomposition

_UNCONVERTED = re.compile(r"(?:Conversion is failed for|No conversion rule found for operations): (.*)", re.DOTALL)
_DTYPES = {
    "f32": "float32",
    "f16": "float16",
    "bf16": "bfloat16",
    "f64": "float64",
    "i64": "int64",
    "i32": "int32",
    "i16": "int16",
    "i8": "int8",
    "u8": "uint8",
    "boolean": "bool",
}


def convert(source: Exported, directory: Path, option: str | None) -> Draft:
    """Write `program.xml` and `program.bin`."""
    import openvino

    program = source.program
    # Without shapes the converter forgets those of the exported program and makes everything dynamic.
    try:
        with noticed_decomposition() as decomposed:
            model = openvino.convert_model(source.exported, input=[list(spec.shape) for spec in program.inputs])
    except Exception as error:  # its first line names a check of its own; the operators stand at the end
        told = _UNCONVERTED.search(str(error))
        if told is None:
            raise
        raise LoweringError(f"{program.name} as openvino: not converted: {told[1].strip()}") from error
    draft = save(model, program, directory, source.weight_bytes)
    return replace(draft, details={**draft.details, "graph": lowered_graph(decomposed)})


def save(model: Any, program: Program, directory: Path, weight_bytes: int | None = None) -> Draft:
    """Write a model under the program's names; `weight_bytes` are those of the program's own weights, if known."""
    import openvino

    for side, ports in zip(SIDES, (model.inputs, model.outputs), strict=True):
        ends = [(tuple(port.shape), _DTYPES.get(port.element_type.get_type_name(), "?")) for port in ports]
        check_ends(program, "openvino", side, ends)
    inputs = [spec.name for spec in program.inputs]
    outputs = [f"next.{spec.name}" if spec.name in inputs else spec.name for spec in program.outputs]
    for port, name in (*zip(model.inputs, inputs, strict=True), *zip(model.outputs, outputs, strict=True)):
        port.get_tensor().set_names({name})
    # The default would round the weights to half precision.
    openvino.save_model(model, directory / "program.xml", compress_to_fp16=False)
    written = (directory / "program.bin").stat().st_size
    return Draft(
        entry="program.xml",
        weight_bytes=written,
        weight_note="" if weight_bytes is None else _note(written - weight_bytes),
        details={"inputs": inputs, "outputs": outputs, "operations": len(model.get_ops())},
    )


def _note(difference: int) -> str:
    if difference == 0:
        return ""
    more = "more, tables and masks among them" if difference > 0 else "less, equal constants being held once"
    return f"program.bin has {abs(difference)} B {more}"


FORMAT = Format(
    name="openvino",
    packages=("openvino",),
    extra="openvino",
    convert=convert,
    save=save,
    revision="2",  # 2: graph
    quantizations=QUANTIZATIONS,
)
