"""XLA in a stand-alone script: the exported program compiled ahead of time, weights as arguments, state donated."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steelyard.adapters.bound import artifact_of
from steelyard.adapters.scripts import text_of
from steelyard.core.case import Case
from steelyard.core.lowered import LoweredProgram
from steelyard.core.script import Script


def script(case: Case, program: LoweredProgram, options: Mapping[str, Any]) -> Script:
    """See `core.script`."""
    artifact = artifact_of(program, "stablehlo")
    return Script(
        code=text_of("tensors") + text_of("xla"),
        constants={
            "MATMUL_PRECISION": "highest" if case.budget.precision == "strict" else None,
            "COMPILER_OPTIONS": dict(options["compiler_options"]) or None,
            "WEIGHTS": list(artifact.details["weights"]),
        },
        packages=("jax",),
        model=artifact.entry,
        files=(*(Path(artifact.directory) / name for name in artifact.files), Path(program.weights_file)),
        remarks=("The program is compiled anew; warm launches of a run take it from JAX's persistent cache.",),
    )
