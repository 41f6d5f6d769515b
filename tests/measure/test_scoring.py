"""Answers with labels: every input set is called once and counted, beside the reference's."""

import dataclasses

import numpy as np
import pytest

from steelyard.core.errors import SuiteError
from steelyard.core.workload import SCORE
from steelyard.measure.scoring import Score, score
from tests.fakes.runs import llm_points

POINT = llm_points()[0]
HERE = __name__


class Heard:
    """A checker that is told what answers are kept."""

    kept = None

    def reference(self, index):
        return {"y": np.full(2, 9.0)}

    def keeps(self, share):
        self.kept = share


class Bound:
    """A binding whose call gives the output of its input set."""

    def __init__(self, given):
        self.given, self.did = given, []

    def run(self):
        self.did.append("run")

    def read(self, names):
        assert self.did == ["run"]
        return dict.fromkeys(names, self.given)

    def settle(self):
        self.did.append("settle")


def larger(point, index, answer):
    """Right are the elements above the number of the input set."""
    values = next(iter(answer.values()))
    return int((values > index).sum()), values.size


def fails(point, index, answer):
    raise ValueError("no labels")


def too_many(point, index, answer):
    return 3, 2


def nothing(point, index, answer):
    return 0, 0


def scored(name, sets, outputs=1):
    point = dataclasses.replace(POINT, settings={**POINT.settings, SCORE: f"{HERE}:{name}"} if name else POINT.settings)
    (*_, program) = POINT.programs.values()
    program = dataclasses.replace(program, outputs=program.outputs[:outputs])
    bindings = [Bound(given) for given in sets]
    checker = Heard()
    return score(point, program, bindings, checker), bindings, checker


def test_every_input_set_is_called_once_and_counted_by_its_number():
    told, bindings, checker = scored("larger", [np.array([1.0, 2.0]), np.array([1.0, 2.0]), np.array([1.0, 2.0])])
    assert told == Score(right=2 + 1 + 0, of=6, reference=6)
    assert all(each.did == ["run", "settle"] for each in bindings)
    assert checker.kept == 3 / 6


def test_without_labels_nothing_is_called():
    told, bindings, checker = scored("", [np.array([1.0, 2.0])])
    assert told is None
    assert (bindings[0].did, checker.kept) == ([], None)


def test_beside_another_output_answers_excuse_nothing():
    told, _, checker = scored("larger", [np.array([1.0, 2.0])], outputs=2)
    assert told.kept == 1.0
    assert checker.kept is None


def test_a_score_of_nothing_is_the_suites_mistake():
    with pytest.raises(SuiteError, match="no input set has an answer to be counted"):
        scored("nothing", [np.array([1.0])])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fails", "fails, input set 0 failed: .*no labels"),
        ("too_many", "too_many, input set 0: 3 answers of 2 are right"),
    ],
)
def test_a_function_that_cannot_count_is_the_suites_mistake(name, message):
    with pytest.raises(SuiteError, match=message):
        scored(name, [np.array([1.0])])
