"""The suite `speech`: recognition of speech, encoders over audio and a step of a decoder against its caches."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from steelyard.lowering import plain
from steelyard.lowering.catalogue import Extents, Model, Size, Tensor, suite

if TYPE_CHECKING:
    import torch

_FRAMES_IN_30_S = 1500
_TINY = {
    "vocab_size": 256,
    "num_mel_bins": 16,
    "d_model": 64,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 128,
    "decoder_ffn_dim": 128,
    "max_source_positions": 32,
    "max_target_positions": 32,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}


def _whisper(width: int, layers: int, heads: int) -> Mapping[str, Any]:
    """The rows of table 1 of Radford et al., 2022: the encoder is as deep as the decoder."""
    return {
        "vocab_size": 51865,
        "num_mel_bins": 80,
        "d_model": width,
        "encoder_layers": layers,
        "decoder_layers": layers,
        "encoder_attention_heads": heads,
        "decoder_attention_heads": heads,
        "encoder_ffn_dim": 4 * width,
        "decoder_ffn_dim": 4 * width,
        "max_source_positions": _FRAMES_IN_30_S,
        "max_target_positions": 448,
    }


_WHISPER_TINY, _WHISPER_SMALL = _whisper(384, 4, 6), _whisper(768, 12, 12)


def _encoder(config: Mapping[str, Any], batch: int, parameters: int, flop: float) -> Size:
    frames = 2 * int(config["max_source_positions"])
    return Size(
        config={"config": dict(config)},
        axes={"batch": batch},
        extents={"mels": config["num_mel_bins"], "frames": frames, "states": frames // 2, "width": config["d_model"]},
        parameters=parameters,
        flop=flop,
    )


def _step(config: Mapping[str, Any], batch: int, position: int, parameters: int) -> Size:
    heads = int(config["decoder_attention_heads"])
    return Size(
        config={"config": dict(config)},
        axes={"batch": batch, "position": position},
        extents={
            "parts": 2 * int(config["decoder_layers"]),
            "heads": heads,
            "head": int(config["d_model"]) // heads,
            "states": int(config["max_source_positions"]),
            "vocabulary": int(config["vocab_size"]),
            "width": int(config["d_model"]),
            "inner": int(config["decoder_ffn_dim"]),
        },
        parameters=parameters,
        flop=_step_flop,
    )


def _step_flop(at: Extents) -> float:
    """Of a token: per layer six products with square matrices and two with those of the feed-forward part (keys and
    values of the encoder's states are in the cache), attention to both caches; and the product with the vocabulary."""
    seen = at["position"] + 1 + at["states"]
    layer = 12 * at["width"] ** 2 + 4 * at["width"] * at["inner"] + 4 * seen * at["width"]
    return float(at["parts"] // 2 * layer + 2 * at["width"] * at["vocabulary"])


_TINY_WAV2VEC2 = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "conv_dim": [32, 32, 32, 32, 32, 32, 32],
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}


def _wav2vec2(config: Mapping[str, Any], batch: int, samples: int, frames: int, parameters: int, flop: float) -> Size:
    return Size(
        config={"vocab_size": 32, **config},
        axes={"batch": batch},
        extents={"samples": samples, "frames": frames},
        parameters=parameters,
        flop=flop,
    )


MODELS = {
    "whisper_encoder": Model(
        meaning="the encoder of Whisper over 30 s of audio (Radford et al., 2022); small: Whisper tiny, full: small",
        source=f"{__name__}:encoder",
        inputs={"input_features": Tensor(shape=("batch", "mels", "frames"))},
        outputs={"last_hidden_state": Tensor(shape=("batch", "states", "width"))},
        sizes={
            "tiny": _encoder(_TINY, 1, 84_480, 5.89824e6),
            "small": _encoder(_WHISPER_TINY, 1, 8_208_384, 36.937728e9),
            "full": _encoder(_WHISPER_SMALL, 8, 88_154_112, 344.162304e9),
        },
        unit="clips",
    ),
    "whisper_step": Model(
        meaning="a token of Whisper's decoder against its own cache and that of the encoder's states",
        source=f"{__name__}:decoder_step",
        inputs={
            "input_ids": Tensor(shape=("batch", 1), dtype="int64", below="vocabulary"),
            "own_cache": Tensor(shape=("parts", "batch", "heads", "position", "head")),
            "cross_cache": Tensor(shape=("parts", "batch", "heads", "states", "head")),
        },
        outputs={
            "logits": Tensor(shape=("batch", "vocabulary")),
            "new": Tensor(shape=("parts", "batch", "heads", 1, "head")),
        },
        sizes={
            "tiny": _step(_TINY, 1, 8, 118_784),
            "small": _step(_WHISPER_TINY, 1, 64, 29_552_256),
            "full": _step(_WHISPER_SMALL, 8, 64, 153_580_800),
        },
        unit="tokens",
    ),
    "wav2vec2": Model(
        meaning="wav2vec 2.0 base: convolutions over samples, a transformer, letters (Baevski et al., 2020)",
        kind="Wav2Vec2ForCTC",
        inputs={"input_values": Tensor(shape=("batch", "samples"))},
        outputs={"logits": Tensor(shape=("batch", "frames", "vocab_size"))},
        sizes={
            "tiny": _wav2vec2(_TINY_WAV2VEC2, 1, 8000, 24, 104_624, 14.97024e6),
            "small": _wav2vec2({}, 1, 32_000, 99, 94_396_320, 28.01370112e9),
            "full": _wav2vec2({}, 8, 160_000, 499, 94_396_320, 148.15757312e9),
        },
        unit="clips",
    ),
}


def encoder(*, in_place: bool, config: Mapping[str, Any], dtype: str) -> "torch.nn.Module":
    """(input_features [batch, mels, frames]) -> (last_hidden_state [batch, frames / 2, width])."""
    from torch import nn
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    del in_place

    class Encoder(nn.Module):  # type: ignore[misc]
        """See the function."""

        def __init__(self) -> None:
            super().__init__()
            self.encoder = WhisperEncoder(WhisperConfig(**config))

        def forward(self, input_features: "torch.Tensor") -> "tuple[torch.Tensor, ...]":
            """See the function."""
            return (self.encoder(input_features).last_hidden_state,)

    return plain.on_meta(Encoder, dtype)


def decoder_step(*, in_place: bool, config: Mapping[str, Any], dtype: str) -> "torch.nn.Module":
    """(input_ids [batch, 1], own_cache [2 layers, batch, heads, position, head], cross_cache [2 layers, batch, heads,
    states, head]) -> (logits [batch, vocabulary], new [2 layers, batch, heads, 1, head]).

    Keys and values of a layer follow one another in both caches; `new` are those of the token.
    """
    import torch
    from torch import nn
    from transformers import WhisperConfig
    from transformers.cache_utils import DynamicCache, DynamicLayer, EncoderDecoderCache
    from transformers.models.whisper.modeling_whisper import WhisperDecoder

    del in_place
    settings = WhisperConfig(**config)

    def filled(cache: torch.Tensor) -> DynamicCache:
        """A cache that holds the layers' keys and values; filled by its `update` it could not go to OpenVINO."""
        found = DynamicCache()
        for index in range(0, cache.shape[0], 2):
            layer = DynamicLayer()
            layer.dtype, layer.device, layer.is_initialized = cache.dtype, cache.device, True
            layer.keys, layer.values = cache[index], cache[index + 1]
            found.layers.append(layer)
        return found

    class Step(nn.Module):  # type: ignore[misc]
        """See the function."""

        def __init__(self) -> None:
            super().__init__()
            self.decoder = WhisperDecoder(settings)

        def forward(
            self, input_ids: torch.Tensor, own_cache: torch.Tensor, cross_cache: torch.Tensor
        ) -> tuple[torch.Tensor, ...]:
            """See the function."""
            cache = EncoderDecoderCache(filled(own_cache), filled(cross_cache))
            cache.is_updated = dict.fromkeys(range(settings.decoder_layers), True)
            # The cross cache is complete, so that only the extent of the encoder's states is asked for.
            states = cross_cache[0].transpose(1, 2).flatten(2)
            hidden = self.decoder(
                input_ids, encoder_hidden_states=states, past_key_values=cache, use_cache=True
            ).last_hidden_state[:, -1]
            logits = nn.functional.linear(hidden, self.decoder.embed_tokens.weight)
            layers = cache.self_attention_cache.layers
            new = torch.stack([part[:, :, -1:] for layer in layers for part in (layer.keys, layer.values)])
            return logits, new

    return plain.on_meta(Step, dtype)


SUITE = suite(
    name="speech",
    version=1,
    question="How fast does each backend recognise speech?",
    headline="whisper_encoder",
    models=MODELS,
    axes={"batch": "clips in one call", "position": "tokens in the decoder's cache"},
)
