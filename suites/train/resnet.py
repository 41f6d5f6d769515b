"""ResNet-50 in training: convolutions in bottlenecks, batch normalisation (He et al., 2016, table 1).

The stride is that of the 3x3 convolution, as in later versions.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from steelyard.lowering.catalogue import Extents, Tensor

from .trained import Shapes, Trained

if TYPE_CHECKING:
    import torch

    from .trained import Loss


class _Convolution(NamedTuple):
    """One convolution with the normalisation behind it; `side` is that of its output."""

    name: str
    entering: int
    leaving: int
    kernel: int
    side: int


class _Block(NamedTuple):
    """A bottleneck: 1x1, 3x3 with the stride, 1x1, and where the shape changes 1x1 around it."""

    name: str
    entering: int
    inner: int
    stride: int
    side: int

    @property
    def leaving(self) -> int:
        return 4 * self.inner

    @property
    def changes(self) -> bool:
        return self.entering != self.leaving or self.stride > 1


def _blocks(at: Extents) -> Iterator[_Block]:
    entering, side = at["stem"], at["image"] // 4
    for stage, depth in enumerate(at["depths"]):
        for number in range(depth):
            stride = 2 if stage and not number else 1
            side //= stride
            block = _Block(f"stage{stage + 1}.{number}", entering, at["stem"] << stage, stride, side)
            yield block
            entering = block.leaving


def _convolutions(at: Extents) -> Iterator[_Convolution]:
    yield _Convolution("stem", 3, at["stem"], 7, at["image"] // 2)
    for name, entering, inner, stride, side in (blocks := [*_blocks(at)]):
        yield _Convolution(f"{name}.reduce", entering, inner, 1, side * stride)
        yield _Convolution(f"{name}.middle", inner, inner, 3, side)
        yield _Convolution(f"{name}.expand", inner, 4 * inner, 1, side)
    for block in blocks:
        if block.changes:
            yield _Convolution(f"{block.name}.around", block.entering, block.leaving, 1, block.side)


def _width(at: Extents) -> int:
    """Channels of the last block."""
    return int(4 * at["stem"] << len(at["depths"]) - 1)


def _parameters(at: Extents) -> Shapes:
    found: dict[str, tuple[int, ...]] = {}
    for each in _convolutions(at):
        found[f"{each.name}.kernel"] = (each.leaving, each.entering, each.kernel, each.kernel)
        found[f"{each.name}.weight"] = found[f"{each.name}.bias"] = (each.leaving,)
    return found | {"head.weight": (at["classes"], _width(at)), "head.bias": (at["classes"],)}


def _statistics(at: Extents) -> Shapes:
    return {f"{each.name}.{kind}": (each.leaving,) for each in _convolutions(at) for kind in ("mean", "variance")}


def _flop(at: Extents) -> float:
    inner = sum(each.entering * each.leaving * each.kernel**2 * each.side**2 for each in _convolutions(at))
    return float(2 * at["batch"] * (inner + _width(at) * at["classes"]))


def _loss(at: Extents) -> "Loss":
    """(images, labels) -> (cross entropy, running means and variances). The stride is that of the 3x3 convolution."""
    from torch.nn import functional

    order = tuple(_statistics(at))

    def loss(values: Any, images: "torch.Tensor", labels: "torch.Tensor") -> "tuple[torch.Tensor, ...]":
        renewed = {name: values[name].clone() for name in order}

        def convolved(name: str, x: "torch.Tensor", stride: int = 1) -> "torch.Tensor":
            kernel = values[f"{name}.kernel"]
            x = functional.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2)
            running = renewed[f"{name}.mean"], renewed[f"{name}.variance"]
            return functional.batch_norm(x, *running, values[f"{name}.weight"], values[f"{name}.bias"], training=True)

        x = functional.max_pool2d(convolved("stem", images, 2).relu(), 3, 2, 1)
        for block in _blocks(at):
            around = convolved(f"{block.name}.around", x, block.stride) if block.changes else x
            x = convolved(f"{block.name}.reduce", x).relu()
            x = convolved(f"{block.name}.middle", x, block.stride).relu()
            x = (convolved(f"{block.name}.expand", x) + around).relu()
        logits = functional.linear(x.mean((2, 3)), values["head.weight"], values["head.bias"])
        return (functional.cross_entropy(logits, labels), *(renewed[name] for name in order))

    return loss


MODEL = Trained(
    meaning="one step of ResNet-50 with batch normalisation, whose running statistics go on from step to step",
    unit="images",
    sizes={
        "tiny": {"stem": 8, "depths": [1, 1], "image": 32, "classes": 10},
        "small": {"stem": 32, "depths": [1, 1, 1, 1], "image": 64, "classes": 100},
        "full": {"stem": 64, "depths": [3, 4, 6, 3], "image": 224, "classes": 1000},
    },
    axes={"tiny": {"batch": 4}, "small": {"batch": 8}, "full": {"batch": 64}},
    batch={
        "images": Tensor(shape=("batch", 3, "image", "image")),
        "labels": Tensor(shape=("batch",), dtype="int64", below="classes"),
    },
    parameters=_parameters,
    statistics=_statistics,
    loss=_loss,
    flop=_flop,
    items=lambda at: at["batch"],
)
