"""How far an output may lie from its float64 reference.

The floor is what the same program in the case's own dtype, run by PyTorch eager, already differs. A
runtime may order sums differently and approximate functions: ten times the floor, within bounds. Where many values
become one, as in a loss, eager's cascade of sums is more exact than a right sum needs to be: the error of n terms added
in any order grows like sqrt(n) unit roundoffs (Higham and Mary, A New Approach to Probabilistic Rounding Error
Analysis, 2019).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from steelyard.core.errors import SuiteError
from steelyard.core.lowered import Tolerance
from steelyard.core.workload import DType
from steelyard.measure.distance import difference, finite, norm

if TYPE_CHECKING:
    import torch

FACTOR = 10.0
RULE = 2
"""Which rule gave a tolerance: counted up where it changes, so that what was cached by another is made again."""

BOUNDS: Mapping[str, tuple[float, float]] = {
    # The smallest limit is some tens of unit roundoffs: on small programs eager happens to be better than
    # any other right order of operations. The largest is where the result would no longer be one of that
    # dtype: a float32 program computed in bfloat16 is off by 5e-3 and more, and must not pass.
    "float64": (1e-14, 1e-9),
    "float32": (5e-6, 1e-3),
    "float16": (1e-2, 5e-2),
    "bfloat16": (5e-2, 2e-1),
}


ROUNDOFF: Mapping[str, float] = {"float64": 2**-53, "float32": 2**-24, "float16": 2**-11, "bfloat16": 2**-8}


def tolerance(program: str, output: str, dtype: DType, errors: Iterable[float], terms: float = 1) -> Tolerance:
    """The tolerance of an output from the errors of an unoptimised run in its own dtype over the pool. `terms` are the
    values of the inputs for each value of the output.

    Raises SuiteError where that run is itself beyond the bound: no result could be told from a wrong one.
    """
    floor = max(errors)
    low, high = BOUNDS[dtype]
    if not floor <= high:
        raise SuiteError(
            f"{program}, output '{output}' computed in {dtype} without optimisation differs from float64 by "
            f"{floor:.2g} (relative), more than the {high:g} within which a {dtype} result can be checked; use a wider "
            "dtype"
        )
    return Tolerance(floor=floor, limit=min(max(FACTOR * floor, low, math.sqrt(terms) * ROUNDOFF[dtype]), high))


def relative_l2(actual: "torch.Tensor", reference: "torch.Tensor") -> float:
    """|actual - reference| / |reference| in the 2-norm; infinite for a wrong non-zero where zeros are right."""
    computed, right = (tensor.detach().double().numpy() for tensor in (actual, reference))
    apart, size = norm(difference(computed, right)), norm(finite(right))
    if math.isnan(apart):
        return math.inf
    return apart / size if size else (math.inf if apart else 0.0)


def forced_from(margins: Sequence[float], logit_error: float) -> int | None:
    """The first step at which two right implementations may choose different tokens.

    `margins` are the distances between the best and the second logit, `logit_error` is eager's largest
    absolute error of a logit. Each of two logits may be off by FACTOR x logit_error.
    """
    close = 2.0 * FACTOR * logit_error
    return next((step for step, margin in enumerate(margins) if margin < close), None)
