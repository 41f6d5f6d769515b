"""The Llama architecture of the suite `llm` as plain numbers: what the hand-written native variants are built from.

Root-mean-square norms, rotary positions, grouped key heads, a gated feed-forward layer with SiLU, no biases, tied
embeddings (Touvron et al. 2023, Llama). Weights are named as in the file that lowering wrote.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steelyard.core.errors import Unsupported
from steelyard.core.workload import Program

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]
    Weights = Mapping[str, Array]
else:
    Array, Weights = Any, Mapping

SOURCE = "steelyard.suites.llm.decoder:build"
EMBEDDING, LAST_NORM = "model.embed_tokens.weight", "model.norm.weight"


@dataclass(frozen=True, slots=True, kw_only=True)
class Llama:
    """One program of a Llama: `kind` is prefill or decode; lengths in tokens, widths in numbers.

    `length` is how many tokens a call takes, `capacity` how many places a cache has.
    """

    kind: str
    batch: int
    length: int
    capacity: int
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_width: int
    inner_width: int
    vocabulary: int
    epsilon: float
    rotary: Mapping[str, Any]

    @property
    def groups(self) -> int:
        """Query heads that share a key head."""
        return self.heads // self.kv_heads

    def layer(self, index: int, part: str) -> str:
        """The name of a layer's weight, e.g. `self_attn.q_proj`."""
        return f"model.layers.{index}.{part}.weight"


def llama_of(program: Program) -> Llama:
    """The numbers of a program of the suite `llm`. Raises Unsupported, with the reason, for any other model."""
    if program.source != SOURCE:
        raise Unsupported(f"program '{program.name}' is no decoder of the suite llm, for which native variants exist")
    config = program.arguments["config"]
    kind = config["model_type"]
    if kind != "llama":
        raise Unsupported(f"native variants are written for the Llama architecture; this model is '{kind}'")
    if program.dtype != "float32":
        raise Unsupported(f"native variants compute in float32; this program is {program.dtype}")
    rotary = config["rope_parameters"]
    wanted: Mapping[str, tuple[Any, Any]] = {
        "hidden_act": (config.get("hidden_act", "silu"), "silu"),
        "tie_word_embeddings": (config.get("tie_word_embeddings"), True),
        "attention_bias": (config.get("attention_bias", False), False),
        "mlp_bias": (config.get("mlp_bias", False), False),
        "rope_type in (default, llama3)": (rotary["rope_type"] in ("default", "llama3"), True),
    }
    for name, (found, needed) in wanted.items():
        if found != needed:
            raise Unsupported(f"native variants need {name} = {needed}; this model has {found}")
    heads = config["num_attention_heads"]
    batch, length = program.inputs[0].shape
    return Llama(
        kind=program.arguments["kind"],
        batch=batch,
        length=length,
        capacity=program.arguments["capacity"],
        layers=config["num_hidden_layers"],
        width=config["hidden_size"],
        heads=heads,
        kv_heads=config.get("num_key_value_heads", heads),
        head_width=config.get("head_dim") or config["hidden_size"] // heads,
        inner_width=config["intermediate_size"],
        vocabulary=config["vocab_size"],
        epsilon=config["rms_norm_eps"],
        rotary=rotary,
    )


def rotary_tables(llama: Llama, length: int | None = None) -> "tuple[Array, Array]":
    """Cosines and sines [length, head_width / 2] of the angles position x frequency, float32.

    Frequencies are theta^(-2 i / head_width) (Su et al. 2021), and for `llama3` stretched as Llama 3.1 publishes
    it: those of long wavelength divided by `factor`, those between the two wavelengths by a blend.
    """
    import numpy as np

    rotary = llama.rotary
    frequencies = 1.0 / float(rotary["rope_theta"]) ** (
        np.arange(0, llama.head_width, 2, dtype=np.float32) / llama.head_width
    )
    if rotary["rope_type"] == "llama3":
        low, high, factor = rotary["low_freq_factor"], rotary["high_freq_factor"], rotary["factor"]
        turns = rotary["original_max_position_embeddings"] * frequencies / (2 * math.pi)
        blend = np.clip((turns - low) / (high - low), 0, 1)
        frequencies = (1 - blend) * frequencies / factor + blend * frequencies
    # In float32 like the original: the reference's own cosines differ from exact ones by as much.
    angles = np.arange(length or llama.capacity, dtype=np.float32)[:, None] * frequencies.astype(np.float32)
    return np.cos(angles), np.sin(angles)


def weight_shapes(llama: Llama) -> dict[str, tuple[int, ...]]:
    """Shapes of all weights by name; those of linear layers are [outputs, inputs]."""
    queries, keys = llama.heads * llama.head_width, llama.kv_heads * llama.head_width
    width, inner = llama.width, llama.inner_width
    parts = {
        "input_layernorm": (width,),
        "self_attn.q_proj": (queries, width),
        "self_attn.k_proj": (keys, width),
        "self_attn.v_proj": (keys, width),
        "self_attn.o_proj": (width, queries),
        "post_attention_layernorm": (width,),
        "mlp.gate_proj": (inner, width),
        "mlp.up_proj": (inner, width),
        "mlp.down_proj": (width, inner),
    }
    layers = {llama.layer(index, part): shape for index in range(llama.layers) for part, shape in parts.items()}
    return {EMBEDDING: (llama.vocabulary, width), LAST_NORM: (width,), **layers}


def read_weights(weights_file: str) -> "Weights":
    """All weights by name, in host memory."""
    from safetensors import safe_open

    with safe_open(weights_file, framework="numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
