"""The suite `ssm`: language models whose layers are state-space models, and one in which attention is mixed in."""

from collections.abc import Mapping
from typing import Any

from steelyard.lowering.catalogue import Model, Size, Tensor, rows_left_alone, suite

_IDS = {"input_ids": Tensor(shape=("batch", "length"), dtype="int64", below="vocab_size")}
_HIDDEN = {"last_hidden_state": Tensor(shape=("batch", "length", "hidden_size"))}
# Both scans compute the same; the associative one is taken under Dynamo only, so that backends would differ.
_MAMBA = {"use_cache": False, "use_associative_scan": False}


def _size(config: Mapping[str, Any], parameters: int, batch: int, length: int) -> Size:
    return Size(
        config=config,
        axes={"batch": batch, "length": length},
        parameters=parameters,
        unread=lambda at: rows_left_alone(at["vocab_size"], at["hidden_size"], at["batch"] * at["length"]),
    )


_TINY_MAMBA = {**_MAMBA, "vocab_size": 256, "hidden_size": 32, "state_size": 8, "num_hidden_layers": 2}
_TINY_MAMBA2 = {
    "use_cache": False,
    "vocab_size": 256,
    "hidden_size": 32,
    "state_size": 8,
    "num_hidden_layers": 2,
    "num_heads": 4,
    "head_dim": 16,
    "n_groups": 1,
    "chunk_size": 8,
}
_MAMBA2_130M = {
    "use_cache": False,
    "vocab_size": 50288,
    "hidden_size": 768,
    "state_size": 128,
    "num_hidden_layers": 24,
    "num_heads": 24,
    "head_dim": 64,
    "n_groups": 1,
    "chunk_size": 64,
}
_TINY_BAMBA = {
    "use_cache": False,
    "vocab_size": 256,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "attn_layer_indices": [1],
    "mamba_n_heads": 4,
    "mamba_d_head": 16,
    "mamba_d_state": 8,
    "mamba_chunk_size": 8,
}
_SMALL_BAMBA = {
    "use_cache": False,
    "vocab_size": 8192,
    "hidden_size": 512,
    "intermediate_size": 1536,
    "num_hidden_layers": 6,
    "num_attention_heads": 8,
    "num_key_value_heads": 8,
    "attn_layer_indices": [2, 5],
    "mamba_n_heads": 16,
    "mamba_d_head": 64,
    "mamba_d_state": 64,
    "mamba_chunk_size": 32,
}
_FULL_BAMBA = {
    "use_cache": False,
    "vocab_size": 50288,
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "attn_layer_indices": [3, 7, 11],
    "mamba_n_heads": 32,
    "mamba_d_head": 64,
    "mamba_d_state": 128,
    "mamba_chunk_size": 64,
}
MODELS = {
    "mamba": Model(
        meaning="Mamba-130M: a selective scan, position after position (Gu and Dao, 2023, table 12)",
        kind="MambaModel",
        inputs=_IDS,
        outputs=_HIDDEN,
        sizes={
            "tiny": _size(_TINY_MAMBA, 25_056, 1, 8),
            "small": _size(
                {**_MAMBA, "vocab_size": 8192, "hidden_size": 768, "num_hidden_layers": 4}, 21_378_816, 1, 32
            ),
            "full": _size(
                {**_MAMBA, "vocab_size": 50280, "hidden_size": 768, "num_hidden_layers": 24}, 129_135_360, 1, 64
            ),
        },
        unit="sequences",
    ),
    "mamba2": Model(
        meaning="Mamba-2-130M: the scan as products of chunks (Dao and Gu, 2024)",
        kind="Mamba2Model",
        inputs=_IDS,
        outputs=_HIDDEN,
        sizes={
            "tiny": _size(_TINY_MAMBA2, 22_808, 1, 16),
            "small": _size({**_MAMBA2_130M, "vocab_size": 8192, "num_hidden_layers": 6}, 28_884_144, 1, 128),
            "full": _size(_MAMBA2_130M, 128_989_632, 1, 1024),
        },
        unit="sequences",
    ),
    "bamba": Model(
        meaning="a hybrid with Bamba's layers: Mamba-2 with attention in some of them",
        kind="BambaModel",
        inputs=_IDS,
        outputs=_HIDDEN,
        sizes={
            "tiny": _size(_TINY_BAMBA, 31_996, 1, 16),
            "small": _size(_SMALL_BAMBA, 27_067_584, 1, 128),
            "full": _size(_FULL_BAMBA, 236_749_920, 1, 512),
        },
        unit="sequences",
    ),
}
SUITE = suite(
    name="ssm",
    version=2,
    question="How fast does each backend run state-space models?",
    headline="mamba2",
    models=MODELS,
    axes={"batch": "sequences in one call", "length": "tokens of a sequence"},
)
