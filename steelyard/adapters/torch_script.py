"""PyTorch in a stand-alone script: the module as `torch.export` writes it, called as it is or through torch.compile."""

from collections.abc import Mapping
from typing import Any

from steelyard.adapters.scripts import text_of
from steelyard.core import quantization
from steelyard.core.case import Case
from steelyard.core.errors import Unsupported
from steelyard.core.lowered import LoweredProgram
from steelyard.core.script import Script

_EXPORTED = (
    "The run calls the module as it was written; the script calls what torch.export makes of it: the same operators of "
    "ATen, with other Python around them."
)
_ONE_BY_ONE = (
    "Uncompiled, that Python counts: calls whose operators take tens of microseconds can differ by a third either way."
)


def script(case: Case, program: LoweredProgram, options: Mapping[str, Any]) -> Script:
    """See `core.script`."""
    if options.get("aot"):
        raise Unsupported("a package of AOTInductor is not written as a script yet: take inductor without [aot]")
    if quantization.kind_of(case.backend):
        raise Unsupported(f"{case.backend.text}: a quantized program of PyTorch is not written as a script yet")
    if ":" in (case.backend.provider or ""):
        raise Unsupported(f"{case.backend.text} is a function of somebody's own, which a script cannot bring along")
    compiled = None
    if options.get("fullgraph"):
        compiled = {
            "backend": case.backend.provider or "inductor",
            "fullgraph": True,
            "dynamic": options["dynamic"],
            "options": dict(options["options"]) or None,
        }
    return Script(
        code=text_of("torch"),
        constants={"MATMUL_PRECISION": "highest" if case.budget.precision == "strict" else None, "COMPILE": compiled},
        packages=("torch",),
        exports_module=True,
        remarks=(_EXPORTED,) if compiled else (_EXPORTED, _ONE_BY_ONE),
    )
