"""IREE in a stand-alone script: the module compiled for this CPU, weights as arguments, called through the VM."""

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
        code=text_of("tensors") + text_of("iree"),
        constants={
            "DRIVER": options["driver"],
            "FLAGS": list(options["flags"]),
            "THREADS": case.budget.threads,
            "TYPES": list(artifact.details["input_dtypes"]),
            "WEIGHTS": list(artifact.details["weights"]),
        },
        packages=("iree-base-compiler", "iree-base-runtime"),
        model=artifact.details["module"],
        files=(*(Path(artifact.directory) / name for name in artifact.files), Path(program.weights_file)),
        remarks=("The program is compiled anew; warm launches of a run map the module that the cold one compiled.",),
    )
