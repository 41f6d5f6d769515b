"""Shapes and analytic work counts of a decoder, from its plain configuration. No framework."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """What the work counts need to know of a decoder.

    `layer_weights` are all parameters of one layer, `layer_active` those multiplied with one token (experts
    that do not serve it are left out, and so are norms and biases). `head_weights` is the output projection,
    which embeds too where `tied`; `other_weights` are embeddings (positions included) and the last norm.
    """

    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    positions: int
    layer_weights: int
    layer_active: int
    head_weights: int
    other_weights: int
    tied: bool

    @property
    def parameters(self) -> int:
        """Parameters as stored; tied embeddings count once."""
        head = 0 if self.tied else self.head_weights
        return self.layers * self.layer_weights + head + self.other_weights


def geometry(config: Mapping[str, Any]) -> Geometry:
    """The geometry of a transformers configuration of one of the types gpt2, llama, qwen3 and granitemoe."""
    if config["model_type"] == "gpt2":
        return _gpt2(config)
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    kv_heads = config.get("num_key_value_heads") or heads
    head_dim = config.get("head_dim") or hidden // heads
    q_width, kv_width = heads * head_dim, kv_heads * head_dim
    attention = hidden * (2 * q_width + 2 * kv_width)
    attention_bias = q_width + 2 * kv_width + hidden if config.get("attention_bias") else 0
    mlp = 3 * hidden * config["intermediate_size"]
    mlp_bias = 2 * config["intermediate_size"] + hidden if config.get("mlp_bias") else 0
    stored, active = attention + mlp, attention + mlp
    if config["model_type"] == "granitemoe":
        router = hidden * config["num_local_experts"]
        stored = attention + mlp * config["num_local_experts"] + router
        active = attention + mlp * config["num_experts_per_tok"] + router
    norms = 2 * hidden + (2 * head_dim if config["model_type"] == "qwen3" else 0)
    table = config["vocab_size"] * hidden
    return Geometry(
        layers=config["num_hidden_layers"],
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        vocabulary=config["vocab_size"],
        positions=config["max_position_embeddings"],
        layer_weights=stored + norms + attention_bias + mlp_bias,
        layer_active=active,
        head_weights=table,
        other_weights=table + hidden,
        tied=bool(config["tie_word_embeddings"]),
    )


def _gpt2(config: Mapping[str, Any]) -> Geometry:
    hidden, heads = config["n_embd"], config["n_head"]
    inner = config.get("n_inner") or 4 * hidden
    matrices = 4 * hidden * hidden + 2 * hidden * inner
    vectors = 3 * hidden + hidden + inner + hidden + 4 * hidden  # biases of four projections, two layer norms
    table = config["vocab_size"] * hidden
    return Geometry(
        layers=config["n_layer"],
        heads=heads,
        kv_heads=heads,
        head_dim=hidden // heads,
        vocabulary=config["vocab_size"],
        positions=config["n_positions"],
        layer_weights=matrices + vectors,
        layer_active=matrices,
        head_weights=table,
        other_weights=table + config["n_positions"] * hidden + 2 * hidden,
        tied=bool(config["tie_word_embeddings"]),
    )


def prefill_flop(shape: Geometry, *, batch: int, prompt: int) -> float:
    """Floating-point operations of one prefill: two per multiply-add of every matrix product.

    Attention counts the places that a token may attend to (causal), the output projection the last place
    only. Norms, rotary embedding, softmax and activation functions are left out, as is usual.
    """
    matrices = 2.0 * shape.layers * shape.layer_active * prompt
    attention = 4.0 * shape.layers * shape.heads * shape.head_dim * prompt * (prompt + 1) / 2
    return batch * (matrices + attention + 2.0 * shape.head_weights)


def decode_flop(shape: Geometry, *, batch: int, position: int) -> float:
    """Floating-point operations of one decode step at `position` (counted from 0).

    Attention counts the `position + 1` places that matter; a program of static shapes computes over the
    whole capacity, which is overhead and not work.
    """
    attention = 4.0 * shape.layers * shape.heads * shape.head_dim * (position + 1)
    return batch * (2.0 * shape.layers * shape.layer_active + attention + 2.0 * shape.head_weights)


def generate_flop(shape: Geometry, *, batch: int, prompt: int, tokens: int) -> float:
    """Floating-point operations of a prefill and `tokens - 1` decode steps after it."""
    steps = sum(decode_flop(shape, batch=batch, position=prompt + step) for step in range(tokens - 1))
    return prefill_flop(shape, batch=batch, prompt=prompt) + steps
