"""The suite `train`: the step is that of PyTorch's own optimizers, in float64 and in place."""

import math
from typing import Any

import pytest

from steelyard import plugins
from steelyard.core.errors import UsageError
from steelyard.core.workload import Point, Selection
from steelyard.lowering.points import points_of

SUITE = plugins.suite("train")


def point(**axes: tuple[str, ...]) -> Point:
    (found,) = points_of(SUITE, Selection(device_kind="cpu", size="tiny", axes=axes))
    return found


def test_parameters_are_state_on_both_sides_and_counted() -> None:
    found = point()
    program = found.programs["main"]
    carried = [spec.name for spec in program.inputs if spec.role == "state"]
    assert carried == [spec.name for spec in program.outputs if spec.role == "state"]
    count = sum(math.prod(spec.shape) for spec in program.state if spec.name.startswith("parameter."))
    assert found.work.weight_bytes == 4 * count
    assert len(carried) == 3 * 28 + 1
    assert len(point(optimizer=("sgd",)).programs["main"].state) == 2 * 28
    with pytest.raises(UsageError, match="length"):
        point(length=("1",))


def test_gpt2_has_the_published_number_of_parameters() -> None:
    (found,) = points_of(SUITE, Selection(device_kind="cpu", size="full"))
    assert found.work.weight_bytes == 4 * 124_439_808


def reference(found: Point, entries: Any) -> Any:
    """Loss of each step and final parameters by transformers' own loss and PyTorch's own optimizer, in float64."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    settings = GPT2Config(**found.programs["main"].arguments["config"], resid_pdrop=0, embd_pdrop=0, attn_pdrop=0)
    model = GPT2LMHeadModel(settings).double().train()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(entries[0].inputs[f"parameter.{name}"])
    kind: Any = {
        "sgd": lambda given: torch.optim.SGD(given, lr=1e-3, momentum=0.9),
        "adamw": lambda given: torch.optim.AdamW(given, lr=1e-3, eps=1e-7, weight_decay=0.01),
    }[str(found.axes["optimizer"])]
    optimizer, losses = kind(model.parameters()), []
    for entry in entries:
        optimizer.zero_grad()
        loss = model(entry.inputs["input_ids"], labels=entry.inputs["input_ids"]).loss
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    return losses, dict(model.named_parameters())


@pytest.mark.backends
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_the_step_is_pytorchs_own(optimizer: str) -> None:
    import torch
    from steelyard.suites import train

    found = point(optimizer=(optimizer,))
    program = found.programs["main"]
    exact = train.build(in_place=False, **{**program.arguments, "dtype": "float64"})
    entries = train.make(found, {"main": exact}, None, 3)
    losses, parameters = reference(found, entries)
    assert [float(entry.references["loss"]) for entry in entries] == pytest.approx(
        losses, rel=1e-6
    )  # its loss is float32
    names = [s.name.removeprefix("parameter.") for s in program.state if s.name.startswith("parameter.")]
    right = torch.cat([parameters[name].detach().reshape(-1) for name in names])
    assert torch.linalg.norm(entries[-1].references["parameters"] - right) < 1e-6 * torch.linalg.norm(right)

    # In place: the tensors that were passed hold what the functional step returns.
    held = [entries[0].inputs[spec.name].clone() for spec in program.inputs if spec.role == "state"]
    with torch.no_grad():
        step = train.build(in_place=True, **program.arguments)
        for entry in entries:
            loss, *state = step(entry.inputs["input_ids"], *held)
            assert all(one is other for one, other in zip(state, held, strict=True))
            assert float(loss) == pytest.approx(float(entry.references["loss"]), rel=1e-5)
    flat = torch.cat([value.reshape(-1).double() for value, name in zip(held, names, strict=False)])
    assert torch.linalg.norm(flat - right) < 1e-4 * torch.linalg.norm(right)
