"""The suite `vision`: what it declares is what the models are, and what it counts is what PyTorch counts."""

import math
from pathlib import Path

import pytest

from steelyard import plugins
from steelyard.core.errors import UsageError
from steelyard.core.workload import Point, Selection
from steelyard.lowering import plain
from steelyard.lowering.points import points_of

SUITE = plugins.suite("vision")


def points(size: str, **axes: tuple[str, ...]) -> tuple[Point, ...]:
    return points_of(SUITE, Selection(device_kind="cpu", size=size, axes=axes))


def test_every_model_is_a_workload_at_the_published_geometry() -> None:
    by_name = {point.workload: point for point in points("small")}
    assert {*by_name} == {*SUITE.workloads}
    assert by_name["resnet50"].work.weight_bytes == 4 * 25_557_032  # torchvision's model card
    assert by_name["vit"].work.weight_bytes == 4 * 86_567_656
    # 4.09 and 17.58 GMAC for one image of 224 pixels.
    assert by_name["resnet50"].work.flop == pytest.approx(2 * 4.09e9, rel=0.001)
    assert by_name["vit"].work.flop == pytest.approx(2 * 17.58e9, rel=0.002)


def test_axes_give_points_and_wrong_values_are_named() -> None:
    found = points("tiny", batch=("1", "3"), dtype=("bfloat16",))
    assert [(point.workload, point.axes["batch"]) for point in found] == [
        (name, batch) for name in SUITE.workloads for batch in (1, 3)
    ]
    assert {spec.dtype for point in found for spec in point.programs["main"].inputs} == {"bfloat16"}
    with pytest.raises(UsageError, match="axis 'batch': '0' is not a whole number of at least 1"):
        points("tiny", batch=("0",))


@pytest.mark.backends
@pytest.mark.parametrize("size", ["tiny", "small"])
def test_parameters_and_operations_are_those_of_the_module(size: str, tmp_path: Path) -> None:
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from steelyard.lowering.source import build_module

    for point in points(size):
        program = point.programs["main"]
        folder = tmp_path / point.workload
        folder.mkdir()
        plain.write(program.weights.arguments, folder, None)
        module = build_module(program, folder / "weights.safetensors", in_place=False)
        assert 4 * sum(tensor.numel() for tensor in module.parameters()) == point.work.weight_bytes
        with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            (logits,) = module(torch.zeros(program.inputs[0].shape))
        assert counter.get_total_flops() == point.work.flop
        assert logits.shape == program.outputs[0].shape


def test_weights_are_the_same_by_name_and_keep_activations_in_range() -> None:
    one, other = (plain.seeded("layer.weight", (64, 256), 20) for _ in range(2))
    assert (one == other).all()
    assert float(one.std()) == pytest.approx(1 / math.sqrt(256), rel=0.05)
    assert float((one - plain.seeded("layer.bias.weight", (64, 256), 20)).abs().max()) > 0
    assert float(plain.seeded("bn.running_var", (512,), 20).min()) >= 0.5
