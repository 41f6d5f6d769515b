"""GGUF, the file of llama.cpp: the weights of a decoder and its configuration, without a tokenizer.

llama.cpp knows architectures, not graphs, and this file says nothing of what a program computes: only decoders of the
suite `llm` of transformers' type `llama` are written, whose programs say what they are. Weights keep their type, norms
are float32 as llama.cpp wants them. Rows of the query and key projections change places, because llama.cpp rotates
neighbouring pairs and transformers the two halves of a head.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.core.errors import LoweringError
from steelyard.core.hashing import stable_hash
from steelyard.lowering.format import Draft, Exported, Format, versions
from steelyard.lowering.linked import link

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

_BUILT_BY = "steelyard.suites.llm.decoder:build"
_FILE = "model.gguf"
_LAYER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_WHOLE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def convert(source: Exported, directory: Path, option: str | None) -> Draft:
    """A link to `model.gguf`, which is written once for all programs of a model."""
    program = source.program
    config = program.arguments.get("config")
    if program.source != _BUILT_BY or not isinstance(config, Mapping) or config.get("model_type") != "llama":
        kind = config.get("model_type") if isinstance(config, Mapping) else program.source
        told = f"llama.cpp is given decoders of the suite llm of the type llama, not {kind}"
        raise LoweringError(f"{program.name} as gguf: {told}")
    if program.dtype not in ("float32", "float16", "bfloat16"):
        raise LoweringError(f"{program.name} as gguf: llama.cpp has no weights of {program.dtype}")
    made_with = versions("gguf")
    entry = source.cache.obtain(
        "weights",
        stable_hash([source.weights_key, "gguf", config, made_with], 24),
        label="the weights of a decoder (gguf)",
        made_with=made_with,
        build=lambda folder: _write(source, config, folder / _FILE),
    )
    link(entry.path / _FILE, directory)
    return Draft(
        entry=_FILE,
        weight_bytes=source.weight_bytes,
        details={"kind": program.arguments["kind"], "capacity": program.arguments["capacity"]},
    )


def _write(source: Exported, config: Mapping[str, Any], file: Path) -> Mapping[str, Any]:
    import gguf

    writer = gguf.GGUFWriter(str(file), "llama")
    head = _width(config)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(_rope(config)["rope_theta"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("none")
    kinds = {
        "float32": gguf.GGMLQuantizationType.F32,
        "float16": gguf.GGMLQuantizationType.F16,
        "bfloat16": gguf.GGMLQuantizationType.BF16,
    }
    for name, array, dtype in _tensors(source, config):
        bits = array.view("uint8") if dtype == "bfloat16" else array
        writer.add_tensor(name, bits, raw_dtype=kinds[dtype])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return {}


def _tensors(source: Exported, config: Mapping[str, Any]) -> "Iterator[tuple[str, Array, str]]":
    """Each tensor by llama.cpp's name, with its type; bfloat16 as its bits. Raises LoweringError for one that is
    unknown."""
    import numpy as np
    import torch

    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    for stored, tensor in source.tensors.items():
        base = stored.removesuffix(".weight")
        if base in _WHOLE:
            kind = name = _WHOLE[base]
        elif base.startswith("model.layers."):
            layer, _, inner = base.removeprefix("model.layers.").partition(".")
            kind = _LAYER.get(inner, "")
            name = f"blk.{layer}.{kind}"
        else:
            kind = name = ""
        if not kind or not stored.endswith(".weight"):
            raise LoweringError(f"{source.program.name} as gguf: llama.cpp has no place for the tensor {stored}")
        if kind in heads:
            tensor = interleaved(tensor, int(heads[kind]))
        if tensor.ndim == 1:
            yield f"{name}.weight", tensor.float().numpy(), "float32"
        elif tensor.dtype == torch.bfloat16:
            yield f"{name}.weight", tensor.contiguous().view(torch.uint16).numpy(), "bfloat16"
        else:
            yield f"{name}.weight", tensor.contiguous().numpy(), str(tensor.dtype).removeprefix("torch.")
    if factors := rotary_factors(config):
        yield "rope_freqs.weight", np.asarray(factors, np.float32), "float32"


def _width(config: Mapping[str, Any]) -> int:
    """Of a head."""
    return int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])


def _rope(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The rotary positions; configurations of older checkpoints name the base alone."""
    return config.get("rope_parameters") or {"rope_type": "default", "rope_theta": config.get("rope_theta", 10000.0)}


def interleaved(rows: Any, heads: int) -> Any:
    """The rows [heads * width, ...] of a projection with the halves of each head one by one: 0, width/2, 1, ..."""
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:]).transpose(1, 2).reshape(rows.shape)


def rotary_factors(config: Mapping[str, Any]) -> list[float]:
    """By what llama.cpp divides each rotary frequency; [] where frequencies are those of the base alone. The rule is
    that of `rope_type` llama3 in transformers (`_compute_llama3_parameters`). Raises LoweringError for others."""
    rope = _rope(config)
    if rope["rope_type"] == "default":
        return []
    if rope["rope_type"] != "llama3":
        raise LoweringError(f"gguf: rotary positions of the type {rope['rope_type']} are not written")
    factor, low, high = rope["factor"], rope["low_freq_factor"], rope["high_freq_factor"]
    before, width = rope["original_max_position_embeddings"], _width(config)
    found = []
    for pair in range(width // 2):
        wave = 2 * math.pi * rope["rope_theta"] ** (2 * pair / width)
        if wave < before / high:
            found.append(1.0)
        elif wave > before / low:
            found.append(float(factor))
        else:
            smooth = (before / wave - low) / (high - low)
            found.append(1 / ((1 - smooth) / factor + smooth))
    return found


FORMAT = Format(name="gguf", packages=("gguf",), extra="torch", convert=convert)
