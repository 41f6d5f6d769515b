"""How many of a point's answers are right, by labels that its suite knows: the quality that stands beside the speed.

A point names a function, which is called as `score(point, index, answer)`, `answer` holding the outputs of the call
with input set `index` as arrays by name, and returns how many are right and of how many (characters, sentences, files).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steelyard.core.errors import SuiteError
from steelyard.core.runner import Binding
from steelyard.core.suites_code import suites_code
from steelyard.core.workload import SCORE, Point, Program
from steelyard.measure.correctness import Checker
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

    @property
    def kept(self) -> float | None:
        """How many answers are right for each that is right in the reference; None where none of these is."""
        return self.right / self.reference if self.reference else None


def score(point: Point, program: Program, bindings: Sequence[Binding], checker: Checker) -> Score | None:
    """Call each binding, the `index`-th bound to input set `index`, and count; None for a point without labels. The
    checker hears of it where the answer is all that a call gives: what else comes out is held against its reference.

    Raises SuiteError for a function that fails, or that counts more than there are or nothing at all.
    """
    named = point.settings.get(SCORE)
    if named is None:
        return None
    count = load_attribute(named)
    names = tuple(spec.name for spec in program.outputs)
    right = of = known = 0.0
    for index, binding in enumerate(bindings):
        binding.run()
        own, number = _counted(named, count, point, index, binding.read(names))
        binding.settle()
        right, of = right + own, of + number
        known += _counted(named, count, point, index, checker.reference(index))[0]
    if not of:
        raise SuiteError(f"{named}: no input set has an answer to be counted")
    found = Score(right=right, of=of, reference=known)
    if found.kept is not None and len(names) == 1:
        checker.keeps(found.kept)
    return found


def _counted(named: str, count: Callable[..., Any], point: Point, index: int, answer: "Arrays") -> tuple[float, float]:
    with suites_code(f"{named}, input set {index}"):
        right, of = (float(number) for number in count(point, index, answer))
    if not 0 <= right <= of:
        raise SuiteError(f"{named}, input set {index}: {right:g} answers of {of:g} are right")
    return right, of
