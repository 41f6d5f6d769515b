"""The suite `vision`: image classification. Data: what each model is at each size, and what it costs."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from steelyard.core.workload import Axis, Point, Selection, Suite, Sweep, TensorSpec, Work
from steelyard.lowering import choices, plain

VERSION = 1
CLASSES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A model at a size: its configuration, the edge of its images in pixels, its parameters, and the floating-point
    operations of one image in products and sums of convolutions and matrices."""

    config: Mapping[str, Any]
    pixels: int
    parameters: int
    flop: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A class of transformers at every size."""

    kind: str
    meaning: str
    sizes: Mapping[str, Size]


_RESNET50 = Size(
    config={"num_labels": CLASSES, "depths": [3, 4, 6, 3], "hidden_sizes": [256, 512, 1024, 2048]},
    pixels=224,
    parameters=25_557_032,
    flop=8.178368512e9,
)
_VIT_B16 = Size(
    config={"num_labels": CLASSES, "image_size": 224, "patch_size": 16},
    pixels=224,
    parameters=86_567_656,
    flop=35.127656448e9,
)
MODELS = {
    "resnet50": Model(
        kind="ResNetForImageClassification",
        meaning="ResNet-50: convolutions in bottlenecks, batch normalisation (He et al., 2016, table 1)",
        sizes={
            "tiny": Size(
                config={
                    "num_labels": CLASSES,
                    "embedding_size": 16,
                    "depths": [1, 1, 1, 1],
                    "hidden_sizes": [32, 64, 128, 256],
                },
                pixels=64,
                parameters=386_904,
                flop=8.933376e6,
            ),
            "small": _RESNET50,
            "full": _RESNET50,
        },
    ),
    "vit": Model(
        kind="ViTForImageClassification",
        meaning="ViT-B/16: a transformer encoder over patches (Dosovitskiy et al., 2021, table 1)",
        sizes={
            "tiny": Size(
                config={
                    "num_labels": CLASSES,
                    "image_size": 64,
                    "patch_size": 16,
                    "hidden_size": 64,
                    "num_hidden_layers": 2,
                    "num_attention_heads": 4,
                    "intermediate_size": 128,
                },
                pixels=64,
                parameters=182_440,
                flop=4.077056e6,
            ),
            "small": _VIT_B16,
            "full": _VIT_B16,
        },
    ),
}
_BATCH = {"tiny": 1, "small": 1, "full": 32}


def points(selection: Selection) -> tuple[Point, ...]:
    """Every model asked for, at every batch and dtype."""
    size = choices.size(selection, _BATCH, "small" if selection.device_kind == "cpu" else "full")
    chosen = choices.workloads("vision", tuple(MODELS), selection)
    batches = choices.numbers(selection, "batch", _BATCH[size])
    every = itertools.product(chosen, choices.dtypes(selection), batches)
    return tuple(_point(name, size, batch, dtype) for name, dtype, batch in every)


def _point(name: str, size: str, batch: int, dtype: Any) -> Point:
    model = MODELS[name]
    at = model.sizes[size]
    pixels = TensorSpec(name="pixel_values", shape=(batch, 3, at.pixels, at.pixels), dtype=dtype)
    logits = TensorSpec(name="logits", shape=(batch, CLASSES), dtype=dtype)
    return Point(
        suite="vision",
        suite_version=VERSION,
        workload=name,
        axes={"size": size, "batch": batch, "image": at.pixels, "dtype": dtype},
        driver="call",
        programs={"main": plain.program(name, model.kind, at.config, dtype, (pixels,), (logits,))},
        settings={},
        pool=plain.POOL,
        window=None,
        work=Work(
            flop=batch * at.flop, weight_bytes=plain.weight_bytes(at.parameters, dtype), items=batch, unit="images"
        ),
    )


SUITE = Suite(
    name="vision",
    version=VERSION,
    question="How fast does each backend classify images, by convolutions and by attention?",
    headline="resnet50",
    workloads={name: model.meaning for name, model in MODELS.items()},
    sizes=tuple(_BATCH),
    axes=(
        Axis(name="batch", kind="int", meaning="images in one call", workloads=tuple(MODELS)),
        Axis(name="dtype", kind="str", meaning="type of weights and images", choices=choices.DTYPES),
    ),
    points=points,
    sweeps=(
        Sweep(name="batch", meaning="images in one call", start=1, axes=lambda workload, selection, n: {"batch": n}),
    ),
    citations={},
)
