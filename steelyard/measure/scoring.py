"""How many of a point's answers are right, by labels that its suite knows: the quality that stands beside the speed.

A point names a function, which is called as `score(index, answer)`, `answer` holding the outputs of the call with input
set `index` as arrays by name, and returns how many are right and of how many (characters, sentences, files).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steelyard.core.errors import SuiteError
from steelyard.core.reason import reason_of
from steelyard.core.runner import Binding
from steelyard.core.workload import SCORE, Point, Program
from steelyard.plugins import load_attribute

if TYPE_CHECKING:
    import numpy as np

    Arrays = Mapping[str, "np.ndarray[Any, Any]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """`right` of `of` answers over all bound input sets; `reference` are those of the reference."""

    right: float
    of: float
    reference: float


def score(
    point: Point, program: Program, bindings: Sequence[Binding], reference: "Callable[[int], Arrays]"
) -> Score | None:
    """Call each binding, the `index`-th bound to input set `index`, and count; None for a point without labels.

    Raises SuiteError for a function that fails, or that counts more than there are.
    """
    named = point.settings.get(SCORE)
    if named is None:
        return None
    count = load_attribute(named)
    names = tuple(spec.name for spec in program.outputs)
    right = of = known = 0.0
    for index, binding in enumerate(bindings):
        binding.run()
        own, number = _counted(named, count, index, binding.read(names))
        binding.settle()
        right, of = right + own, of + number
        known += _counted(named, count, index, reference(index))[0]
    return Score(right=right, of=of, reference=known)


def _counted(named: str, count: Callable[..., Any], index: int, answer: "Arrays") -> tuple[float, float]:
    try:
        right, of = (float(number) for number in count(index, answer))
    except Exception as error:
        raise SuiteError(f"{named}, input set {index}: {reason_of(error)}") from error
    if not 0 <= right <= of:
        raise SuiteError(f"{named}, input set {index}: {right:g} answers of {of:g} are right")
    return right, of
