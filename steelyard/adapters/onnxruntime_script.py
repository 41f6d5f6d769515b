"""ONNX Runtime in a stand-alone script: the session's options as the run says them, everything bound."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steelyard.adapters.bound import artifact_of
from steelyard.adapters.onnxruntime_binding import ONNX_TYPES
from steelyard.adapters.scripts import text_of
from steelyard.core.case import Case
from steelyard.core.errors import Unsupported
from steelyard.core.lowered import LoweredProgram
from steelyard.core.script import Script


def script(case: Case, program: LoweredProgram, options: Mapping[str, Any]) -> Script:
    """See `core.script`."""
    if options["kv_cache"] != "in_place":
        raise Unsupported("a script binds state in place, and this case has two buffers that swap ([kv_cache=...])")
    artifact = artifact_of(program, options["format"])
    specs = (*program.program.inputs, *program.program.outputs)
    return Script(
        code=text_of("onnxruntime"),
        constants={
            "GRAPH_OPTIMIZATION": options["graph_optimization"],
            "CPU_ARENA": options["cpu_arena"],
            "MEMORY_PATTERN": options["memory_pattern"],
            "CONFIG": _under("config.", options),
            "PROVIDER": options["provider"],
            "PROVIDER_OPTIONS": _under("provider.", options),
            "ELEMENT": {spec.name: ONNX_TYPES[spec.dtype][1] for spec in specs},
        },
        packages=("onnxruntime",),
        model=artifact.entry,
        files=tuple(Path(artifact.directory) / name for name in artifact.files),
    )


def _under(prefix: str, options: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in options.items() if name.startswith(prefix)}
