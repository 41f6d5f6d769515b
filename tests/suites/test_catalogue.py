"""Suites that are tables of models: what each declares is what its module is, and counts what PyTorch counts."""

import math

import pytest

from steelyard import plugins
from steelyard.contract.suite import unlike
from steelyard.core.errors import UsageError
from steelyard.core.workload import Point, Selection
from steelyard.lowering import plain
from steelyard.lowering.catalogue import Model, Size, Tensor, suite
from steelyard.lowering.points import points_of

SUITES = ("diffusion", "embedding", "kernels", "memory", "recsys", "rl", "rnn", "speech", "ssm", "vision")
PUBLISHED = {
    "bert": 109_482_240,
    "convnext": 28_589_128,
    "mobilenetv2": 3_504_872,
    "resnet50": 25_557_032,
    "swin": 28_288_354,
    "unet": 859_520_964,
    "vgg19": 143_667_240,
    "vit": 86_567_656,
    "wav2vec2": 94_396_320,
}
"""Parameters as the model cards of torchvision and of the models' authors have them."""


def points(name: str, size: str, **axes: tuple[str, ...]) -> tuple[Point, ...]:
    return points_of(plugins.suite(name), Selection(device_kind="cpu", size=size, axes=axes))


@pytest.mark.backends
@pytest.mark.parametrize("size", ["tiny", "small", "full"])
@pytest.mark.parametrize("name", SUITES)
def test_parameters_operations_and_shapes_are_those_of_the_module(name: str, size: str) -> None:
    batch = {"batch": ("1",)} if name in ("diffusion", "embedding", "speech", "vision") else {}
    assert [told for point in points(name, size, **batch) for told in unlike(point)] == []


@pytest.mark.backends
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", SUITES)
def test_shapes_and_types_are_those_of_the_module_in_narrow_types_too(name: str, dtype: str) -> None:
    assert [told for point in points(name, "tiny", dtype=(dtype,)) for told in unlike(point)] == []


@pytest.mark.parametrize("name", SUITES)
def test_every_workload_is_at_every_size_and_each_configuration_is_another(name: str) -> None:
    of_suite = plugins.suite(name)
    for size in of_suite.sizes:
        found = points(name, size)
        assert [point.workload for point in found] == [*of_suite.workloads]
        assert len({point.key for point in found}) == len(found)
    for axis in of_suite.axes:
        assert axis.meaning
        assert axis.name == "dtype" or axis.workloads, f"no workload has the axis {axis.name}"


def test_published_geometry_has_the_published_number_of_parameters() -> None:
    found = {point.workload: point for name in SUITES for point in points(name, "full")}
    assert {name: 4 * count for name, count in PUBLISHED.items()} == {
        name: found[name].work.weight_bytes for name in PUBLISHED
    }


def test_axes_give_configurations_and_an_axis_that_a_model_lacks_leaves_it_as_it_is() -> None:
    found = points("rnn", "tiny", batch=("1", "3"), length=("4", "5"), dtype=("bfloat16",))
    assert [(point.axes["batch"], point.axes["length"]) for point in found if point.workload == "gru"] == [
        (1, 4),
        (1, 5),
        (3, 4),
        (3, 5),
    ]
    assert [point.axes["batch"] for point in found if point.workload == "tree_lstm"] == [1, 3]
    assert {spec.dtype for point in found for spec in point.programs["main"].inputs} == {"bfloat16", "int64"}
    with pytest.raises(UsageError, match="axis 'length': '0' is not a whole number of at least 1"):
        points("rnn", "tiny", length=("0",))


def test_weights_do_not_depend_on_axes_that_are_not_theirs() -> None:
    one, other = points("recsys", "tiny", batch=("1", "2"))[:2]
    assert one.programs["main"].weights.key == other.programs["main"].weights.key
    narrow, wide = (points("kernels", "tiny", width=(width,))[2] for width in ("16", "32"))
    assert narrow.workload == "mlp"
    assert narrow.programs["main"].weights.key != wide.programs["main"].weights.key
    assert wide.work.weight_bytes == 2 * (narrow.work.weight_bytes or 0)


def test_an_axis_without_a_meaning_is_an_error_of_the_author() -> None:
    model = Model(
        meaning="m",
        source="x:y",
        inputs={"a": Tensor(shape=("batch",))},
        outputs={"b": Tensor(shape=("batch",))},
        sizes={"tiny": Size(config={}, axes={"batch": 1})},
    )
    with pytest.raises(UsageError, match="the axis 'batch' has no meaning given"):
        suite("mine", 1, "q", "m", {"m": model}, axes={})


def test_weights_are_the_same_by_name_and_keep_activations_in_range() -> None:
    one, other = (plain.seeded("layer.weight", (64, 256), 20) for _ in range(2))
    assert (one == other).all()
    assert float(one.std()) == pytest.approx(1 / math.sqrt(256), rel=0.05)
    assert float((one - plain.seeded("layer.bias.weight", (64, 256), 20)).abs().max()) > 0
    assert float(plain.seeded("bn.running_var", (512,), 20).min()) >= 0.5
