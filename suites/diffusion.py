"""The suite `diffusion`: one step of denoising an image in latent space, by convolutions and by a transformer.

The modules are those of diffusers (`pip install 'steelyard[diffusion]'`).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from steelyard.lowering import plain
from steelyard.lowering.catalogue import Model, Size, Tensor, suite

if TYPE_CHECKING:
    import torch

_STEPS = 1000
_LATENT = Tensor(shape=("batch", 4, "latent", "latent"))
_TIME = Tensor(shape=("batch",), dtype="int64", below=_STEPS)


def _size(config: Mapping[str, Any], latent: int, batch: int, parameters: int, flop: float, **extents: int) -> Size:
    return Size(
        config={"config": {"sample_size": latent, **config}},
        axes={"batch": batch},
        extents={"latent": latent, **extents},
        parameters=parameters,
        flop=flop,
    )


def _unet(widths: list[int], text: int, groups: int) -> Mapping[str, Any]:
    return {"block_out_channels": widths, "cross_attention_dim": text, "norm_num_groups": groups}


def _dit(layers: int, heads: int, head: int) -> Mapping[str, Any]:
    return {"num_layers": layers, "num_attention_heads": heads, "attention_head_dim": head, "out_channels": 8}


MODELS = {
    "unet": Model(
        meaning="a U-Net with attention to a text, the geometry of Stable Diffusion 1 at full (Rombach et al., 2022)",
        source=f"{__name__}:unet",
        inputs={"sample": _LATENT, "timestep": _TIME, "text": Tensor(shape=("batch", "words", "text"))},
        outputs={"noise": _LATENT},
        sizes={
            "tiny": _size(_unet([16, 16, 32, 32], 16, 8), 8, 1, 618_468, 13.943424e6, words=4, text=16),
            "small": _size(_unet([64, 128, 256, 256], 256, 32), 32, 1, 34_966_724, 8.657780736e9, words=77, text=256),
            "full": _size(
                _unet([320, 640, 1280, 1280], 768, 32), 64, 2, 859_520_964, 803.27344128e9, words=77, text=768
            ),
        },
        unit="images",
    ),
    "dit": Model(
        meaning="a diffusion transformer, DiT-S/2 at small, DiT-XL/2 at full (Peebles and Xie, 2023, table 1)",
        source=f"{__name__}:dit",
        inputs={"sample": _LATENT, "timestep": _TIME, "label": Tensor(shape=("batch",), dtype="int64", below=1000)},
        outputs={"noise_and_variance": Tensor(shape=("batch", 8, "latent", "latent"))},
        sizes={
            "tiny": _size(_dit(2, 2, 16), 8, 1, 124_160, 0.985088e6),
            "small": _size(_dit(12, 6, 64), 32, 1, 39_805_088, 12.117245952e9),
            "full": _size(_dit(28, 16, 72), 32, 8, 749_826_464, 237.333676032e9),
        },
        unit="images",
    ),
}


def unet(*, in_place: bool, config: Mapping[str, Any], dtype: str) -> "torch.nn.Module":
    """(sample [batch, 4, latent, latent], timestep [batch], text [batch, words, text]) -> (noise, as sample)."""
    from torch import nn

    del in_place

    class Unet(nn.Module):  # type: ignore[misc]
        """See the function."""

        def __init__(self) -> None:
            super().__init__()
            self.model = _diffusers().UNet2DConditionModel(**config)

        def forward(
            self, sample: "torch.Tensor", timestep: "torch.Tensor", text: "torch.Tensor"
        ) -> "tuple[torch.Tensor, ...]":
            """See the function."""
            return (self.model(sample, timestep, text, return_dict=False)[0],)

    return plain.on_meta(Unet, dtype)


def dit(*, in_place: bool, config: Mapping[str, Any], dtype: str) -> "torch.nn.Module":
    """(sample [batch, 4, latent, latent], timestep [batch], label [batch]) -> (noise and variance, twice as deep)."""
    from torch import nn

    del in_place

    class Dit(nn.Module):  # type: ignore[misc]
        """See the function."""

        def __init__(self) -> None:
            super().__init__()
            self.model = _diffusers().DiTTransformer2DModel(**config)

        def forward(
            self, sample: "torch.Tensor", timestep: "torch.Tensor", label: "torch.Tensor"
        ) -> "tuple[torch.Tensor, ...]":
            """See the function."""
            return (self.model(sample, timestep, label, return_dict=False)[0],)

    return plain.on_meta(Dit, dtype)


def _diffusers() -> Any:
    try:
        import diffusers
    except ImportError as error:
        raise ImportError(
            f"the suite diffusion needs diffusers: pip install 'steelyard[diffusion]' ({error})"
        ) from error
    return diffusers


SUITE = suite(
    name="diffusion",
    version=1,
    question="How fast does each backend denoise images?",
    headline="unet",
    models=MODELS,
    axes={"batch": "images in one call"},
)
