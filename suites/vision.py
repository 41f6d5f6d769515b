"""The suite `vision`: classification and detection in images. Data: what each model is at each size, and its cost."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from steelyard.lowering import plain
from steelyard.lowering.catalogue import Model, Size, Tensor, suite

if TYPE_CHECKING:
    import torch

_LABELS = 1000
_PIXELS = {"pixel_values": Tensor(shape=("batch", 3, "image", "image"))}


def _size(config: Mapping[str, Any], parameters: int, flop: float, *, image: int, batch: int) -> Size:
    return Size(config=config, axes={"batch": batch}, extents={"image": image}, parameters=parameters, flop=flop)


Geometry = tuple[Mapping[str, Any], int, float]
"""Configuration, parameters, operations of one image."""


def _classifier(
    meaning: str, kind: str, tiny: Geometry, published: Geometry, source: str = plain.TRANSFORMERS
) -> Model:
    """Tiny with images of 64 pixels, else as published with 224."""

    def labelled(geometry: Geometry, image: int, batch: int) -> Size:
        config, parameters, flop = geometry
        labels = {"num_labels": _LABELS} if kind else {}
        return _size({**labels, **config}, parameters, flop, image=image, batch=batch)

    return Model(
        meaning=meaning,
        kind=kind,
        source=source,
        inputs=_PIXELS,
        outputs={"logits": Tensor(shape=("batch", _LABELS))},
        sizes={
            "tiny": labelled(tiny, 64, 1),
            "small": labelled(published, 224, 1),
            "full": labelled(published, 224, 32),
        },
        unit="images",
    )


_TINY_STAGES = {"embedding_size": 16, "depths": [1, 1, 1, 1], "hidden_sizes": [32, 64, 128, 256]}
_DETR: Mapping[str, Any] = {
    "num_labels": 91,
    "use_timm_backbone": False,
    "backbone_config": {"model_type": "resnet", "out_features": ["stage4"], "depths": [3, 4, 6, 3]},
    "num_queries": 100,
}
_TINY_DETR: Mapping[str, Any] = {
    "num_labels": 91,
    "use_timm_backbone": False,
    "backbone_config": {"model_type": "resnet", "out_features": ["stage4"], **_TINY_STAGES},
    "num_queries": 10,
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
}

MODELS = {
    "resnet50": _classifier(
        "ResNet-50: convolutions in bottlenecks, batch normalisation (He et al., 2016, table 1)",
        "ResNetForImageClassification",
        (_TINY_STAGES, 386_904, 8.933376e6),
        ({"depths": [3, 4, 6, 3], "hidden_sizes": [256, 512, 1024, 2048]}, 25_557_032, 8.178368512e9),
    ),
    "vgg19": _classifier(
        "VGG-19: sixteen convolutions and three large products (Simonyan and Zisserman, 2015, table 1, E)",
        "",
        ({"channels": [8, 16, 32, 64, 64], "depths": [1, 1, 1, 1, 1], "width": 64, "cells": 2}, 147_064, 10.195968e6),
        (
            {"channels": [64, 128, 256, 512, 512], "depths": [2, 2, 4, 4, 4], "width": 4096, "cells": 7},
            143_667_240,
            39.264124928e9,
        ),
        source=f"{__name__}:vgg",
    ),
    "mobilenetv2": _classifier(
        "MobileNetV2: depthwise convolutions in inverted bottlenecks (Sandler et al., 2018, table 2)",
        "MobileNetV2ForImageClassification",
        ({"image_size": 64, "depth_multiplier": 0.25, "tf_padding": False}, 1_519_112, 8.424704e6),
        ({"tf_padding": False}, 3_504_872, 601.548544e6),
    ),
    "convnext": _classifier(
        "ConvNeXt-T: large depthwise convolutions, layer normalisation (Liu et al., 2022, section 2)",
        "ConvNextForImageClassification",
        ({"image_size": 64, "depths": [1, 1, 1, 1], "hidden_sizes": [16, 32, 64, 128]}, 361_528, 6.382592e6),
        ({}, 28_589_128, 8.911062528e9),
    ),
    "vit": _classifier(
        "ViT-B/16: a transformer encoder over patches (Dosovitskiy et al., 2021, table 1)",
        "ViTForImageClassification",
        (
            {
                "image_size": 64,
                "patch_size": 16,
                "hidden_size": 64,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "intermediate_size": 128,
            },
            182_440,
            4.077056e6,
        ),
        ({"image_size": 224, "patch_size": 16}, 86_567_656, 35.127656448e9),
    ),
    "swin": _classifier(
        "Swin-T: attention in windows that shift (Liu et al., 2021, section 3.3)",
        "SwinForImageClassification",
        (
            {
                "image_size": 64,
                "embed_dim": 16,
                "depths": [2, 2],
                "num_heads": [2, 4],
                "window_size": 4,
            },
            68_612,
            7.797248e6,
        ),
        ({"image_size": 224}, 28_288_354, 8.981133312e9),
    ),
    "detr": Model(
        meaning="DETR with ResNet-50: boxes and classes from a transformer, no suppression (Carion et al., 2020)",
        kind="DetrForObjectDetection",
        inputs=_PIXELS,
        outputs={
            "logits": Tensor(shape=("batch", "num_queries", 92)),
            "pred_boxes": Tensor(shape=("batch", "num_queries", 4)),
        },
        sizes={
            "tiny": _size(_TINY_DETR, 162_736, 8.896e6, image=64, batch=1),
            "small": _size(_DETR, 41_524_768, 10.941003776e9, image=224, batch=1),
            "full": _size(_DETR, 41_524_768, 120.3392e9, image=800, batch=8),
        },
        unit="images",
    ),
}


def vgg(
    *, in_place: bool, channels: list[int], depths: list[int], width: int, cells: int, dtype: str
) -> "torch.nn.Module":
    """(pixel_values [batch, 3, image, image]) -> (logits [batch, labels]): stages of convolutions of three by three,
    each halved by max pooling, then three products; the image is 32 times `cells` on an edge."""
    from torch import nn

    del in_place

    class Vgg(nn.Module):  # type: ignore[misc]
        """See the function."""

        def __init__(self) -> None:
            super().__init__()
            stages: list[nn.Module] = []
            ends = [3, *channels]
            for before, after, depth in zip(ends, channels, depths, strict=False):
                for index in range(depth):
                    stages += [nn.Conv2d(before if index == 0 else after, after, 3, padding=1), nn.ReLU()]
                stages.append(nn.MaxPool2d(2))
            self.features = nn.Sequential(*stages)
            flat = channels[-1] * cells**2
            layers = [nn.Linear(flat, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, _LABELS)]
            self.classifier = nn.Sequential(*layers)

        def forward(self, pixel_values: "torch.Tensor") -> "tuple[torch.Tensor, ...]":
            """See the function."""
            return (self.classifier(self.features(pixel_values).flatten(1)),)

    return plain.on_meta(Vgg, dtype)


SUITE = suite(
    name="vision",
    version=2,
    question="How fast does each backend see images, by convolutions and by attention?",
    headline="resnet50",
    models=MODELS,
    axes={"batch": "images in one call"},
)
