"""OpenVINO in a stand-alone script: the properties as the run says them, every tensor set once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steelyard.adapters.bound import artifact_of
from steelyard.adapters.openvino_binding import element
from steelyard.adapters.scripts import text_of
from steelyard.core import quantization
from steelyard.core.case import Case
from steelyard.core.errors import Unsupported
from steelyard.core.lowered import LoweredProgram
from steelyard.core.script import Script

_NO_PROPERTIES = ("device", "kv_cache", "format", "cache")


def script(case: Case, program: LoweredProgram, options: Mapping[str, Any]) -> Script:
    """See `core.script`."""
    if options["kv_cache"] != "in_place":
        raise Unsupported("a script sets state in place, and this case has two tensors that swap ([kv_cache=...])")
    artifact = artifact_of(program, quantization.formats("openvino", case.backend)[-1])
    specs = (*program.program.inputs, *program.program.outputs)
    return Script(
        code=text_of("openvino"),
        constants={
            "DEVICE": options["device"],
            "PROPERTIES": {name: value for name, value in options.items() if name not in _NO_PROPERTIES},
            "ELEMENT": {spec.name: element(spec.dtype) for spec in specs},
        },
        packages=("openvino",),
        model=artifact.entry,
        files=tuple(Path(artifact.directory) / name for name in artifact.files),
        remarks=("The model is compiled anew; warm launches of a run take it from their cache (CACHE_DIR).",),
    )
