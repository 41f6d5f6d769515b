"""The torch module of a decoder program: a transformers model with its KV cache as plain tensors.

Every model class runs unchanged, with scaled_dot_product_attention and, for mixtures of experts, batched
matrix products (the implementation that exports). Around it stands a cache whose layers hold tensors that
come in as inputs and leave as outputs, and the last step to the next token.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, AutoConfig, AutoModelForCausalLM
from transformers.cache_utils import Cache, CacheLayerMixin
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward


def _portable_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """scaled_dot_product_attention on as many key heads as query heads.

    transformers hands grouped heads to PyTorch's kernel (`enable_gqa`), which converters of exported
    programs get wrong: OpenVINO 2026.4 fails on it at run time.
    """
    groups = int(getattr(module, "num_key_value_groups", 1))
    causal = attention_mask is None and query.shape[2] > 1
    output = functional.scaled_dot_product_attention(
        query, repeat_kv(key, groups), repeat_kv(value, groups), attention_mask, is_causal=causal, scale=scaling
    )
    return output.transpose(1, 2).contiguous(), None


# Names of our own: transformers then builds no mask by itself. Prefill has none, so that attention takes the
# causal kernel in eager and exported programs alike; decode brings an explicit one.
_NATIVE, _PORTABLE = "steelyard_native", "steelyard_portable"
AttentionInterface.register(_NATIVE, sdpa_attention_forward)
AttentionInterface.register(_PORTABLE, _portable_attention)


class _Place(CacheLayerMixin):  # type: ignore[misc]
    """One layer's cache."""

    is_sliding = False
    keys: Tensor
    values: Tensor

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        raise RuntimeError("the layer of a decoder program is complete when it is made")

    def get_seq_length(self) -> int:
        raise RuntimeError("positions are inputs of a decoder program, the cache does not count them")

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        raise RuntimeError("masks are made by the decoder program, not by its cache")

    def get_max_length(self) -> int:
        return int(self.keys.shape[2])


class _Fresh(_Place):
    """The cache of a prefill: keeps what the layer computed, attention sees nothing else."""

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        self.keys, self.values = key_states, value_states
        return key_states, value_states


class _Given(_Place):
    """The cache of a decode step: the passed tensors with one place overwritten."""

    def __init__(self, keys: Tensor, values: Tensor, position: Tensor, *, in_place: bool) -> None:
        super().__init__()
        self.keys, self.values, self.position, self.in_place = keys, values, position, in_place

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        if self.in_place:
            self.keys.index_copy_(2, self.position, key_states)
            self.values.index_copy_(2, self.position, value_states)
        else:
            self.keys = self.keys.index_copy(2, self.position, key_states)
            self.values = self.values.index_copy(2, self.position, value_states)
        return self.keys, self.values


class Decoder(nn.Module):  # type: ignore[misc]
    """A decoder-only language model as a function of tensors.

    Parameters are named as in a transformers checkpoint; a tied output projection has no parameter of its
    own. `kind` chooses what `forward` is:

    - `prefill`: (input_ids [batch, prompt]) -> (next_token [batch], logits [batch, vocab] of the last
      place, then keys and values of each layer [batch, kv_heads, capacity, head_dim], zero beyond the prompt);
    - `decode`: (input_ids [batch, 1], position [1], keys and values of each layer) -> the same outputs, with
      the new keys and values at `position`; attention runs over the whole capacity, masked beyond it.

    With `in_place` decode writes into the passed cache tensors and returns them, which is how PyTorch is
    used; else it returns new ones and repeats grouped key heads itself, which is what exports.
    """

    def __init__(self, model: nn.Module, *, kind: str, capacity: int, in_place: bool) -> None:
        super().__init__()
        self.kind, self.capacity, self.in_place = kind, capacity, in_place
        self.config = model.config
        self.logits_scaling = float(getattr(model.config, "logits_scaling", 1.0))
        self.body_name = str(model.base_model_prefix)
        self.tied = bool(model.config.tie_word_embeddings)
        for name, child in model.named_children():
            if not (self.tied and child is model.get_output_embeddings()):
                self.add_module(name, child)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """See the class; inputs and outputs are in the order of the program."""
        return self.prefill(*inputs) if self.kind == "prefill" else self.decode(*inputs)

    def prefill(self, input_ids: Tensor) -> tuple[Tensor, ...]:
        """The whole prompt at once."""
        prompt = input_ids.shape[1]
        positions = torch.arange(prompt, device=input_ids.device)[None, :]
        cache = Cache(layers=[_Fresh() for _ in range(self.config.num_hidden_layers)])
        results = self._run(input_ids, positions, None, cache)
        spare = (0, 0, 0, self.capacity - prompt)
        state = (functional.pad(part, spare) for layer in cache.layers for part in (layer.keys, layer.values))
        return (*results, *state)

    def decode(self, input_ids: Tensor, position: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """One token against the cache."""
        pairs = zip(state[0::2], state[1::2], strict=True)
        cache = Cache(layers=[_Given(keys, values, position, in_place=self.in_place) for keys, values in pairs])
        mask = (torch.arange(self.capacity, device=position.device) <= position)[None, None, None, :]
        results = self._run(input_ids, position[None, :], mask, cache)
        return (*results, *(part for layer in cache.layers for part in (layer.keys, layer.values)))

    def _run(self, input_ids: Tensor, positions: Tensor, mask: Tensor | None, cache: Cache) -> tuple[Tensor, Tensor]:
        body = getattr(self, self.body_name)
        hidden = body(
            input_ids=input_ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
        ).last_hidden_state[:, -1]
        head = body.get_input_embeddings() if self.tied else self.lm_head
        logits = functional.linear(hidden, head.weight)
        if self.logits_scaling != 1.0:
            logits = logits / self.logits_scaling
        return torch.argmax(logits, dim=-1), logits


def build(*, in_place: bool, kind: str, config: dict[str, Any], capacity: int, dtype: str) -> Decoder:
    """The decoder with parameters on the meta device in `dtype` and buffers real, on the CPU, in float32.

    Buffers (rotary frequencies) are no part of a checkpoint and keep float32 whatever the dtype of the
    parameters, as transformers itself does; to change the dtype of a module convert its parameters only.
    Load parameters with `load_state_dict(..., assign=True)`.
    """
    values = {key: value for key, value in config.items() if key != "model_type"}
    settings = AutoConfig.for_model(config["model_type"], **values)
    with torch.device("meta"):
        attention = _NATIVE if in_place else _PORTABLE
        model = AutoModelForCausalLM.from_config(settings, attn_implementation=attention, **_experts(settings))
        decoder = Decoder(model, kind=kind, capacity=capacity, in_place=in_place)
    for parameter in decoder.parameters():
        parameter.requires_grad_(False)
        parameter.data = parameter.data.to(getattr(torch, dtype))
    _fill_buffers(decoder)
    decoder.eval()
    return decoder


def _experts(settings: Any) -> dict[str, str]:
    return {"experts_implementation": "batched_mm"} if hasattr(settings, "num_experts_per_tok") else {}


def _fill_buffers(decoder: Decoder) -> None:
    """Replace every module that owns buffers (the rotary embedding) by one made on the CPU."""
    owners = [name for name, module in decoder.named_modules() if any(True for _ in module.buffers(recurse=False))]
    for name in owners:
        module = decoder.get_submodule(name)
        if any(True for _ in module.parameters()):
            raise RuntimeError(f"{name}: a module with parameters and buffers cannot be made again on the CPU")
        with torch.device("cpu"):
            made = type(module)(config=decoder.config)
        decoder.set_submodule(name, made.eval())
