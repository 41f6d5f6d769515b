"""Models of the suite `kernels` by their shapes: over rows, over images, as convolution, as attention, or any other."""

from collections.abc import Callable, Mapping
from typing import Any

from steelyard.lowering.catalogue import Extent, Extents, Model, Size, Tensor

Shape = tuple[Extent, ...]
Numbers = Mapping[str, int]


def kernel(
    meaning: str,
    inputs: Mapping[str, Shape | Tensor],
    outputs: Mapping[str, Shape],
    tiny: Numbers,
    small: Numbers,
    full: Numbers,
    *,
    compute: str,
    flop: Callable[[Extents], float] | None = None,
    weights: Mapping[str, Shape] | None = None,
    options: Mapping[str, Any] | None = None,
    extents: Callable[[Numbers], Numbers] = lambda axes: {},
) -> Model:
    """A function of `modules`. Every number of a size is an axis; `extents` gives the numbers that follow from them."""
    return Model(
        meaning=meaning,
        source=f"{__package__}.modules:build",
        inputs={name: each if isinstance(each, Tensor) else Tensor(shape=each) for name, each in inputs.items()},
        outputs={name: Tensor(shape=shape) for name, shape in outputs.items()},
        weights={name: Tensor(shape=shape) for name, shape in (weights or {}).items()},
        sizes={
            name: Size(config={"compute": compute, **(options or {})}, axes=axes, extents=extents, flop=flop)
            for name, axes in (("tiny", tiny), ("small", small), ("full", full))
        },
        items=None,
        unit="calls",
    )


def elements(operations: float, *names: str) -> Callable[[Extents], float]:
    """So many operations for each element of the product of these extents."""

    def flop(at: Extents) -> float:
        count = operations
        for name in names:
            count *= at[name]
        return count

    return flop


def by_rows(meaning: str, compute: str, **more: Any) -> Model:
    """[rows, width] to the same shape."""
    return kernel(
        meaning,
        {"x": ("rows", "width")},
        {"y": more.pop("output", ("rows", "width"))},
        {"rows": 8, "width": 64},
        {"rows": 512, "width": 1024},
        {"rows": 4096, "width": 4096},
        compute=compute,
        **more,
    )


def by_image(meaning: str, compute: str, output: Shape, **more: Any) -> Model:
    """[batch, channels, image, image] to an output."""
    return kernel(
        meaning,
        {"x": ("batch", "channels", "image", "image")},
        {"y": output},
        {"batch": 1, "channels": 8, "image": 8},
        {"batch": 1, "channels": 64, "image": 56},
        {"batch": 32, "channels": 256, "image": 14},
        compute=compute,
        extents=_halves,
        **more,
    )


def convolution(meaning: str, taps: int, **options: int) -> Model:
    """Of an image, with as many channels as it has."""
    return by_image(
        meaning,
        "convolution",
        IMAGE,
        weights={"weight": ("channels", "channels", taps, taps), "bias": ("channels",)},
        options=options,
        flop=elements(2 * taps**2, "batch", "channels", "channels", "image", "image"),
    )


def attention(meaning: str, compute: str, more: Mapping[str, Shape] | None = None, **options: bool) -> Model:
    """Of queries, keys and values of one shape, and `more` inputs."""
    heads: Shape = ("batch", "heads", "length", "head")
    return kernel(
        meaning,
        {"query": heads, "key": heads, "value": heads, **(more or {})},
        {"y": heads},
        {"batch": 1, "heads": 2, "length": 16, "head": 8},
        {"batch": 1, "heads": 8, "length": 256, "head": 64},
        {"batch": 1, "heads": 32, "length": 2048, "head": 128},
        compute=compute,
        options=options,
        flop=lambda at: 4.0 * at["batch"] * at["heads"] * at["length"] ** 2 * at["head"],
    )


IMAGE: Shape = ("batch", "channels", "image", "image")
HALVED: Shape = ("batch", "channels", "half", "half")
GAIN: Mapping[str, Shape] = {"weight": ("width",)}
AFFINE: Mapping[str, Shape] = {"weight": ("width",), "bias": ("width",)}
PER_CHANNEL: Mapping[str, Shape] = {"weight": ("channels",), "bias": ("channels",)}


def _halves(axes: Numbers) -> Numbers:
    return {"half": axes["image"] // 2, "twice": 2 * axes["image"], "group": axes["channels"] // 4}
