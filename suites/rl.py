"""The suite `rl`: steps of many cart-poles at once, written in four ways that compute the same.

What a compiler fuses depends on how a program is written: with the state as one matrix, each step takes it apart and
puts it together; with one vector for each quantity it does not.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from steelyard.lowering import plain
from steelyard.lowering.catalogue import Model, Size, Tensor, suite

if TYPE_CHECKING:
    import torch

    State = tuple[torch.Tensor, ...]

# Barto, Sutton and Anderson, 1983: gravity [m/s^2], masses [kg], half the pole's length [m], force [N], time step [s],
# and the position [m] and angle [rad] at which a trial ends.
_GRAVITY, _POLE, _CART, _LENGTH, _FORCE, _STEP = 9.8, 0.1, 1.0, 0.5, 10.0, 0.02
_FARTHEST, _STEEPEST = 2.4, 0.20943951
_START = 0.05
"""Standard deviation of every quantity at the start of a trial."""
_STEPS = 10
_QUANTITIES = ("position", "velocity", "angle", "turning")


def _sizes(steps: int) -> dict[str, Size]:
    environments = {"tiny": 64, "small": 16_384, "full": 1_048_576}
    return {
        name: Size(config={"steps": steps, "joined": True}, axes={"environments": count}, extents={"four": 4})
        for name, count in environments.items()
    }


def _joined(meaning: str, steps: int) -> Model:
    matrix = Tensor(shape=("environments", "four"))
    return Model(
        meaning=meaning,
        source=f"{__name__}:cartpole",
        inputs={"state": matrix, "fresh": matrix, "push": Tensor(shape=(steps, "environments"))},
        outputs={"after": matrix},
        sizes=_sizes(steps),
        items="environments",
        unit="environments",
    )


def _apart(meaning: str, steps: int) -> Model:
    vectors = {name: Tensor(shape=("environments",)) for name in _QUANTITIES}
    return Model(
        meaning=meaning,
        source=f"{__name__}:cartpole",
        inputs={
            **vectors,
            **{f"fresh_{name}": vector for name, vector in vectors.items()},
            "push": Tensor(shape=(steps, "environments")),
        },
        outputs={f"{name}_after": vector for name, vector in vectors.items()},
        sizes={name: replace(size, config={"steps": steps, "joined": False}) for name, size in _sizes(steps).items()},
        items="environments",
        unit="environments",
    )


MODELS = {
    "naive": _joined("one step, the state as a matrix", 1),
    "no_concat": _apart("one step, the state as four vectors", 1),
    "unrolled": _joined(f"{_STEPS} steps in one program, the state as a matrix", _STEPS),
    "static": _apart(f"{_STEPS} steps in one program, the state as four vectors", _STEPS),
}


def cartpole(*, in_place: bool, steps: int, joined: bool, dtype: str) -> "torch.nn.Module":
    """(state, fresh state, push [steps, environments]) -> (state after), each state [environments, 4] or four vectors.

    A push goes in the direction of its sign. Where a trial has ended the fresh state is taken.
    """
    import torch
    from torch import nn

    del in_place

    def step(state: "State", fresh: "State", push: torch.Tensor) -> "State":
        position, velocity, angle, turning = state
        force = torch.where(push > 0, _FORCE, -_FORCE).to(push.dtype)  # two numbers alone are float32
        sine, cosine = angle.sin(), angle.cos()
        whole = _POLE + _CART
        swing = (force + _POLE * _LENGTH * turning * turning * sine) / whole
        tilt = (_GRAVITY * sine - cosine * swing) / (_LENGTH * (4.0 / 3.0 - _POLE * cosine * cosine / whole))
        speeding = swing - _POLE * _LENGTH * tilt * cosine / whole
        after = (
            position + _STEP * velocity,
            velocity + _STEP * speeding,
            angle + _STEP * turning,
            turning + _STEP * tilt,
        )
        ended = (after[0].abs() > _FARTHEST) | (after[2].abs() > _STEEPEST)
        return tuple(torch.where(ended, new, old) for new, old in zip(fresh, after, strict=True))

    class Cartpole(nn.Module):  # type: ignore[misc]
        """See the function."""

        def forward(self, *inputs: torch.Tensor) -> "State":
            """See the function."""
            push = inputs[-1]
            if not joined:
                state, fresh = (tuple(_START * each for each in part) for part in (inputs[:4], inputs[4:8]))
                for index in range(steps):
                    state = step(state, fresh, push[index])
                return state
            matrix, first = _START * inputs[0], _START * inputs[1]
            for index in range(steps):
                matrix = torch.stack(step(matrix.unbind(1), first.unbind(1), push[index]), dim=1)
            return (matrix,)

    return plain.on_meta(Cartpole, dtype)


SUITE = suite(
    name="rl",
    version=2,
    question="What does each backend fuse in the steps of a simulated environment?",
    headline="unrolled",
    models=MODELS,
    axes={"environments": "cart-poles that step at once"},
)
