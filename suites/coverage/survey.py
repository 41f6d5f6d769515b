"""Finds the architectures of the suite `coverage`: every base model of transformers, reduced until it is small.

    python -m steelyard.suites.coverage.survey     # writes suites/coverage/architectures.json anew

An architecture is its class with the changes to its default configuration that make it small, its inputs, and the
floating-point outputs that one call gave. One that cannot be built so is kept with the reason. Nothing here is imported
by a run.
"""

import inspect
import json
import os
import re
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("architectures.json")
_LENGTH, _IMAGE, _PATCH, _VOCABULARY = 8, 32, 8, 128
_LARGEST = 8_000_000
"""Parameters above which a reduced model is no small one."""
_SECONDS = 60
_TOGETHER = 20
"""So many architectures are looked at by one process."""
_OUTPUTS = 2
"""So many outputs of a model are compared."""

_NUMBERS: tuple[tuple[str, int], ...] = (
    (r"(.*_)?vocab_size(_.*)?", _VOCABULARY),
    (r"image_size|img_size|input_image_size", _IMAGE),
    (r"patch_size|encoder_stride|temporal_patch_size", _PATCH),
    (r"num_channels|in_channels|in_chans|num_image_channels", 3),
    (r"(num|n)_(key_value|kv|query)_?(heads|groups)|num_kv_heads|multi_query_group_num", 2),
    (r"(.*_)?(num_|n_)((en|de)coder_)?(attention_)?heads?|(en|de)coder_attention_heads", 4),
    (r"(.*_)?head_dim|d_kv|head_size|v_head_dim|qk_nope_head_dim", 16),
    (r"qk_rope_head_dim|rotary_dim|rotary_ndims|rope_dim", 8),
    (r"(q|kv)_lora_rank|.*lora_rank|.*_rank", 16),
    (r"num_experts_per_tok(en)?|moe_top_?k|moe_topk|top_?k|num_selected_experts|experts_per_token|topk_group", 2),
    (r"n_group|num_expert_group.*", 1),
    (r"(.*_)?num_(local_|routed_)?experts|n_routed_experts|moe_num_experts", 4),
    (r"n_shared_experts|num_shared_experts|moe_num_shared_experts", 1),
    (r"(num_|n_)?(.*_)?(hidden_)?layers?|num_blocks|depth|n_layer|num_hidden_layers|(en|de)coder_layers", 2),
    (r"(.*_)?(intermediate|ffn|feedforward|feed_forward|mlp|inner|ff)_(size|dim|hidden_size)", 64),
    (r"d_ff|d_inner|n_inner", 64),
    (r"(.*_)?(hidden|embed|embedding|projection|output|model)_(size|dim|channels)", 64),
    (r"d_model|n_embd|dim|width|emb_dim", 64),
    (r"max_(position|source|target|sequence)_?(embeddings|positions|length)?", 64),
    (r"n_positions|n_ctx|max_seq_len|seq_length", 64),
    (r"num_mel_bins|num_mels|feature_size|input_feat_per_channel|n_mels", 16),
    (r"num_queries|num_query_tokens|num_latents|num_object_queries", 8),
    (r"context_length|prediction_length", _LENGTH),
    (r"state_size|mamba_d_state|ssm_state_size|mamba_headdim|mamba_head_dim", 16),
    (r".*_token_(id|index)", 1),
)  # fmt: skip
_LISTS: tuple[tuple[str, int], ...] = (
    (r"depths|num_blocks|layer_depths|encoder_depths|decoder_depths", 1),
    (r"(.*_)?(num_heads|num_attention_heads)", 2),
    (r"(.*_)?(hidden_sizes|embed_dims|channels|widths|neck_hidden_sizes|hidden_dims|output_channels|dims)", 32),
)


def main(names: Sequence[str]) -> int:
    """Look at every architecture and write what was found; with names, at those, and print a line for each."""
    from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

    classes = {name: kind if isinstance(kind, str) else kind[0] for name, kind in MODEL_MAPPING_NAMES.items()}
    if names:
        for name in names:
            print(json.dumps([name, surveyed(classes[name])]), flush=True)
        return 0
    every = sorted(classes)
    groups = [every[start : start + _TOGETHER] for start in range(0, len(every), _TOGETHER)]
    found: dict[str, Any] = {"built": {}, "left_out": {}}
    with ThreadPoolExecutor(max_workers=2) as pool:
        for told in pool.map(_apart, groups):
            for name, entry in told.items():
                found["left_out" if isinstance(entry, str) else "built"][name] = entry
                print(name, entry if isinstance(entry, str) else f"{entry['parameters']} parameters", flush=True)
    FILE.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{len(found['built'])} of {len(classes)} architectures", file=sys.stderr)
    return 0


def _apart(names: Sequence[str]) -> dict[str, Any]:
    """What is said of these in a process of its own, and in another one after each that ended it."""
    found: dict[str, Any] = {}
    while left := [name for name in names if name not in found]:
        command = [sys.executable, __file__, *left]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ})
        found |= dict(json.loads(line) for line in done.stdout.splitlines() if line.startswith("["))
        broken = next((name for name in left if name not in found), None)
        if broken is not None:
            found[broken] = f"the process ended with {done.returncode}"
    return found


def surveyed(kind: str) -> Mapping[str, Any] | str:
    """What the suite needs to know of a class, or why it cannot be had."""
    import torch
    import transformers

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, _late)
    signal.alarm(_SECONDS)
    try:
        model_class = getattr(transformers, kind)
        config_class = model_class.config_class
        told = "nothing was tried"
        for changes in _reductions(config_class):
            try:
                config = config_class(**changes)
                with torch.device("meta"):
                    parameters = sum(each.numel() for each in model_class(config).parameters())
                if parameters > _LARGEST:
                    told = f"{parameters} parameters, reduced"
                    continue
                torch.manual_seed(0)
                model = model_class(config).eval()
            except Exception as error:  # noqa: BLE001
                told = _said(error)
                continue
            for inputs in _inputs(model, config):
                try:
                    with torch.inference_mode():
                        outputs = model(**{name: value for name, (value, _) in inputs.items()}, return_dict=True)
                except Exception as error:  # noqa: BLE001
                    told = _said(error)
                    continue
                shapes = dict(_shapes(outputs))
                if not shapes:
                    told = "no output of floating-point numbers"
                    continue
                return {
                    "class": kind,
                    "config": changes,
                    "inputs": {name: _told(value, below) for name, (value, below) in inputs.items()},
                    "outputs": shapes,
                    "parameters": sum(each.numel() for each in model.parameters()),
                }
        return told
    except Exception as error:  # noqa: BLE001
        return _said(error)
    finally:
        signal.alarm(0)


def _told(value: Any, below: int | None) -> dict[str, Any]:
    return {"shape": list(value.shape), "dtype": str(value.dtype).removeprefix("torch."), "below": below}


def _late(*_: object) -> None:
    raise TimeoutError(f"not built and called within {_SECONDS} s")


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _reductions(config_class: Any) -> Iterator[dict[str, Any]]:
    """Changes to the default configuration, the boldest first."""
    default = config_class().to_dict()
    whole = _reduced(default)
    yield whole
    yield {name: value for name, value in whole.items() if not re.search(r"head_dim|head_size|d_kv", name)}
    layers = r"(num_|n_)?(.*_)?(hidden_)?layers?|depths?|num_blocks|vocab_size|image_size"
    yield {name: value for name, value in whole.items() if re.fullmatch(layers, name)}


def _reduced(values: Mapping[str, Any]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict) and name.endswith("_config"):
            if inner := _reduced(value):
                changes[name] = {**({"model_type": value["model_type"]} if "model_type" in value else {}), **inner}
        elif isinstance(value, bool):
            if name == "use_cache":
                changes[name] = False
        elif isinstance(value, int):
            wanted = next((small for pattern, small in _NUMBERS if re.fullmatch(pattern, name)), None)
            if wanted is not None and wanted < value:
                changes[name] = wanted
        elif isinstance(value, list | tuple) and value and all(isinstance(each, int) for each in value):
            wanted = next((small for pattern, small in _LISTS if re.fullmatch(pattern, name)), None)
            if wanted is not None and wanted < max(value):
                changes[name] = [wanted] * len(value)
    return changes


def _inputs(model: Any, config: Any) -> Iterator[dict[str, tuple[Any, int | None]]]:
    """Inputs that a model may take, each with the bound of its whole numbers: what it names first, then more."""
    import torch

    taken = inspect.signature(model.forward).parameters
    main = model.main_input_name if isinstance(model.main_input_name, str) else "input_ids"
    image = _number(config, ("image_size", "img_size"), _IMAGE)
    channels = _number(config, ("num_channels", "in_channels"), 3)
    bins = _number(config, ("num_mel_bins", "feature_size", "input_feat_per_channel"), 16)
    ids = (torch.arange(2, 2 + _LENGTH).reshape(1, -1), _VOCABULARY)
    known: dict[str, tuple[Any, int | None]] = {
        "input_ids": ids,
        "decoder_input_ids": ids,
        "pixel_values": (torch.randn(1, channels, image, image), None),
        "pixel_values_videos": (torch.randn(1, _number(config, ("num_frames",), 4), channels, image, image), None),
        "input_values": (torch.randn(1, 1600), None),
        "input_features": (torch.randn(1, bins, 2 * _number(config, ("max_source_positions",), 32)), None),
        "past_values": (torch.randn(1, _number(config, ("context_length",), _LENGTH), 1), None),
    }
    if main in known:
        yield {main: known[main]}
        for other in ("decoder_input_ids", "input_ids", "pixel_values"):
            if other in taken and other != main:
                yield {main: known[main], other: known[other]}
    if main == "input_features":
        frames = (torch.randn(1, 32, bins), None)
        yield {main: frames}
        if "decoder_input_ids" in taken:
            yield {main: frames, "decoder_input_ids": ids}
    for alone in ("pixel_values", "input_ids", "input_values"):
        if alone in taken and alone != main:
            yield {alone: known[alone]}


def _number(config: Any, names: tuple[str, ...], otherwise: int) -> int:
    """The first of these numbers that a configuration, or one inside it, has."""
    inner = [getattr(config, name, None) for name in ("vision_config", "audio_config", "backbone_config", "encoder")]
    for each in (config, *inner):
        for name in names:
            value = getattr(each, name, None)
            value = value[0] if isinstance(value, list | tuple) and value else value
            if isinstance(value, int):
                return value
    return otherwise


def _shapes(outputs: Any) -> Iterator[tuple[str, list[int]]]:
    """The first outputs that are one tensor of finite floating-point numbers each."""
    import torch

    found = 0
    for name, value in outputs.items():
        if isinstance(value, torch.Tensor) and value.is_floating_point() and value.numel() and value.isfinite().all():
            yield name, list(value.shape)
            found += 1
            if found == _OUTPUTS:
                return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
