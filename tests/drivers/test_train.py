"""A training step as a driver: one state that goes on, batches in turn, the run that its references are of."""

from typing import Any

import numpy as np
import pytest

from steelyard.core.lowered import InputSet, LoweredPoint, LoweredProgram, Tolerance
from steelyard.core.runner import Arrays, Binding
from steelyard.core.workload import Identity, Point, Program, TensorSpec, Weights, Work
from steelyard.drivers.train import DRIVER
from steelyard.measure.correctness import Checker

STATE = TensorSpec(name="parameter.w", shape=(2,), dtype="float32", role="state")
KEPT = TensorSpec(name="momentum.w", shape=(2,), dtype="float32", role="state")
BATCH = TensorSpec(name="x", shape=(2,), dtype="float32")
LOSS = TensorSpec(name="loss", shape=(1,), dtype="float32")
PROGRAM = Program(
    name="step",
    source="m:f",
    arguments={},
    weights=Weights(source="m:w", arguments={}, origin="seeded"),
    dtype="float32",
    inputs=(BATCH, STATE, KEPT),
    outputs=(LOSS, STATE, KEPT),
    gradients=True,
)
POINT = Point(
    suite="s",
    suite_version=1,
    workload="w",
    axes={},
    driver="train",
    programs={"main": PROGRAM},
    settings={},
    pool="m:p",
    window=None,
    work=Work(flop=None, weight_bytes=8, items=1, unit="samples"),
)
BATCHES = [np.array([1.0, 2.0], np.float32) * (index + 1) for index in range(3)]


class Least(Binding):
    """Least squares: loss |w - x|^2 / 2, w = w - 0.1 (w - x). `lost` keeps the parameters as they are."""

    def __init__(self, inputs: Arrays, *, lost: bool = False) -> None:
        self.inputs = {name: array.astype(np.float64) for name, array in inputs.items()}
        self.lost, self.runs, self.fed = lost, 0, []

    def run(self) -> None:
        self.runs += 1
        self.fed.append(float(self.inputs["x"][0]))
        w, x = self.inputs["parameter.w"], self.inputs["x"]
        self.new = w if self.lost else w - 0.1 * (w - x)
        self.loss = np.array([((w - x) ** 2).sum() / 2])

    def read(self, names: tuple[str, ...] | None = None) -> Arrays:
        found = {"loss": self.loss, "parameter.w": self.new, "momentum.w": self.inputs["momentum.w"]}
        return {name: found[name] for name in names or found}

    def settle(self) -> None:
        self.inputs["parameter.w"] = self.new


class Executable:
    def __init__(self, **how: Any) -> None:
        self.how, self.bindings = how, []

    def bind(self, inputs: Arrays) -> Least:
        self.bindings.append(Least(inputs, **self.how))
        return self.bindings[-1]


def references() -> list[dict[str, Any]]:
    w, found = np.zeros(2), []
    for x in BATCHES:
        found.append({"loss": np.array([((w - x) ** 2).sum() / 2])})
        w = w - 0.1 * (w - x)
    found[-1]["parameters"] = w
    return found


def launched(executable: Executable) -> tuple[Any, Checker]:
    zeros = np.zeros(2, np.float32)
    inputs = [{"x": x, **({"parameter.w": zeros, "momentum.w": zeros} if not i else {})} for i, x in enumerate(BATCHES)]
    lowered = LoweredPoint(
        point=POINT,
        identity=Identity(definition="", weights="", inputs="", reference=""),
        programs={"main": LoweredProgram(program=PROGRAM, weights_file="", artifacts={})},
        pool=(InputSet(inputs="", reference=""),) * 3,
        tolerances={name: Tolerance(floor=1e-7, limit=1e-6) for name in ("loss", "parameters")},
    )
    checker = Checker(lowered, references(), inputs)
    return DRIVER.bind(lowered, {"main": executable}, inputs, checker), checker


def test_the_state_goes_on_and_the_batches_take_turns() -> None:
    executable = Executable()
    bound, checker = launched(executable)
    for index in range(5):
        (call,) = bound.calls
        call.run()
        bound.inspect(index)
        call.settle()
    (binding,) = executable.bindings
    assert binding.fed == [1.0, 2.0, 3.0, 1.0, 2.0]
    assert bound.prove({}, None) == ([], None)
    assert executable.bindings[1].runs == 3, "the references' run has a binding of its own"
    assert checker.verdict().passed, checker.verdict().reason


def test_parameters_that_stay_are_incorrect_though_the_first_loss_is_right() -> None:
    bound, checker = launched(Executable(lost=True))
    bound.prove({}, None)
    verdict = checker.verdict()
    assert not verdict.passed
    assert {check.output for check in verdict.outputs if not check.passed} == {"loss", "parameters"}


def test_a_timed_step_that_leaves_the_parameters_alone_is_told() -> None:
    bound, checker = launched(Executable(lost=True))
    for index in (0, 3):
        bound.calls[0].run()
        bound.inspect(index)
        bound.calls[0].settle()
    assert "parameter.w did not change up to step 4 of the window" in checker.verdict().reason


def test_a_loss_that_is_no_number_is_told() -> None:
    bound, checker = launched(Executable())
    bound.calls[0].run()
    bound._binding.loss = np.array([np.nan])
    bound.inspect(6)
    assert "it is not finite in step 7 of the window" in checker.verdict().reason


def test_references_are_asked_of_each_input_set_and_the_state_of_the_first() -> None:
    assert [spec.name for spec in DRIVER.inputs_of_set(POINT, 0)] == ["x", "parameter.w", "momentum.w"]
    assert [spec.name for spec in DRIVER.inputs_of_set(POINT, 2)] == ["x"]
    assert dict(DRIVER.references(POINT, 0, {"loss"})) == {"loss": (1,)}
    assert dict(DRIVER.references(POINT, 2, {"loss", "parameters"})) == {"loss": (1,), "parameters": (2,)}


@pytest.mark.parametrize("lacking", [0, 1])
def test_the_run_of_the_references_is_computed_step_by_step(lacking: int) -> None:
    import torch

    def run(role: str, inputs: Any) -> dict[str, torch.Tensor]:
        w, x = inputs["parameter.w"], inputs["x"]
        return {"loss": ((w - x) ** 2).sum().reshape(1) / 2, "parameter.w": w - 0.1 * (w - x), "momentum.w": w * 0}

    zeros = torch.zeros(2, dtype=torch.float64)
    batches = [torch.from_numpy(x).double() for x in BATCHES[: 3 - lacking]]
    inputs = [{"x": x, **({"parameter.w": zeros, "momentum.w": zeros} if not i else {})} for i, x in enumerate(batches)]
    found = list(DRIVER.compute(POINT, inputs, [()] * len(inputs), run))
    assert [float(each["loss"]) for each in found] == [float(each["loss"][0]) for each in references()[: len(found)]]
    if not lacking:
        np.testing.assert_allclose(found[-1]["parameters"].numpy(), references()[-1]["parameters"])
