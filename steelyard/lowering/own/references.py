"""References of a model of the user's own: in float64 where that can be had, else by a runtime that is named."""

import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.core.errors import CheckpointError
from steelyard.core.reason import reason_of
from steelyard.core.workload import Point, Program
from steelyard.lowering.entry import PoolEntry
from steelyard.lowering.own.inputs import input_sets
from steelyard.lowering.references import write_point
from steelyard.lowering.tolerance import BOUNDS, relative_l2

if TYPE_CHECKING:
    import torch

    Tensors = Mapping[str, torch.Tensor]
    Call = Callable[[Tensors], Tensors]

FIXED: Mapping[str, float] = {"float64": 1e-11, "float32": 1e-4, "float16": 3e-2, "bfloat16": 1e-1}
"""Tolerances where no float64 says how far off the model's own type is."""


def write_references(
    point: Point,
    count: int,
    directory: Path,
    *,
    narrow: "Call",
    exact: "Call | str",
    exactly: str,
    otherwise: str,
) -> Mapping[str, Any]:
    """Write `count` input sets and references; returns the facts of `write_point`, and `by`: what computed them.

    `narrow` gives the outputs in the model's own type, as strictly as can be had, `exact` in float64, or is the reason
    why nothing does; `exactly` and `otherwise` say what the two are. Raises CheckpointError for a reference with NaN.
    """
    program = point.programs["main"]
    sets = [tensors_of(program, given) for given in input_sets(point, count)]
    why_not = exact if isinstance(exact, str) else _unlike(program, exact, narrow, sets[0])
    right = narrow if why_not or isinstance(exact, str) else exact
    pool = [PoolEntry(inputs=given, references=_wide(right(_copy(given)))) for given in sets]
    _refuse_nan(program, pool)
    facts = dict(write_point(point, pool, lambda role, given: dict(narrow(given)), directory))
    facts["by"] = exactly
    if why_not:
        limit = FIXED[program.dtype]
        facts["tolerances"] = {name: {"floor": 0.0, "limit": limit} for name in facts["tolerances"]}
        facts["by"] = f"{otherwise}, as no float64 was to be had: {why_not}"
    return facts


def tensors_of(program: Program, arrays: Mapping[str, Any]) -> "dict[str, torch.Tensor]":
    """Arrays as tensors of the program's types."""
    import numpy as np
    import torch

    return {
        spec.name: torch.from_numpy(np.asarray(arrays[spec.name], order="C")).to(getattr(torch, spec.dtype))
        for spec in program.inputs
    }


def _unlike(program: Program, exact: "Call", narrow: "Call", given: "Tensors") -> str:
    """Why what computes in float64 does not compute this program; empty where it does."""
    try:
        wide, own = exact(_copy(given)), narrow(_copy(given))
        for spec in program.outputs:
            found, known = wide[spec.name], own[spec.name]
            if found.shape != known.shape:
                return f"output '{spec.name}' is {list(found.shape)} there and {list(known.shape)} here"
            if not known.is_floating_point():
                continue
            if str(found.dtype) != "torch.float64":
                return f"output '{spec.name}' comes out as {str(found.dtype).removeprefix('torch.')}"
            if not (apart := relative_l2(known, found)) <= BOUNDS[program.dtype][1]:
                return f"output '{spec.name}' differs by {apart:.2g} (relative) from the same in {program.dtype}"
    except Exception as error:  # noqa: BLE001 (what computes foreign graphs raises whatever it likes)
        traceback.print_exception(error)
        return reason_of(error)
    return ""


def _refuse_nan(program: Program, pool: Sequence[PoolEntry]) -> None:
    for index, entry in enumerate(pool):
        for name, value in entry.references.items():
            if value.is_floating_point() and bool(value.isnan().any()):
                raise CheckpointError(
                    f"{program.name}: the reference of output '{name}' holds NaN for input set {index}, with which "
                    "nothing can be compared: give inputs that the model is made for with --inputs FILE.npz"
                )


def _copy(given: "Tensors") -> "Tensors":
    """A copy of its own: a model may write into what it is given, which is looked at later."""
    return {name: tensor.clone() for name, tensor in given.items()}


def _wide(outputs: "Tensors") -> "Tensors":
    return {name: value.double() if value.is_floating_point() else value for name, value in outputs.items()}
