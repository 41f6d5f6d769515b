"""GPT-2 in training: forward as transformers has it, cross entropy of the next token (Radford et al., 2019)."""

from typing import TYPE_CHECKING, Any

from steelyard.lowering.catalogue import Extents, Tensor

from .trained import Shapes, Trained

if TYPE_CHECKING:
    import torch

    from .trained import Loss

_ATTENTION = "steelyard_train"


def _parameters(at: Extents) -> Shapes:
    """Names and shapes as transformers has them; the output projection is the embedding."""
    width = at["n_embd"]
    found: dict[str, tuple[int, ...]] = {
        "transformer.wte.weight": (at["vocab_size"], width),
        "transformer.wpe.weight": (at["n_positions"], width),
    }
    for layer in range(at["n_layer"]):
        inner = {"ln_1": (width,), "attn.c_attn": (width, 3 * width), "attn.c_proj": (width, width)}
        inner |= {"ln_2": (width,), "mlp.c_fc": (width, 4 * width), "mlp.c_proj": (4 * width, width)}
        for name, shape in inner.items():
            found[f"transformer.h.{layer}.{name}.weight"] = shape
            found[f"transformer.h.{layer}.{name}.bias"] = shape[-1:]
    return found | {"transformer.ln_f.weight": (width,), "transformer.ln_f.bias": (width,)}


def _flop(at: Extents) -> float:
    """Two operations for each weight of a product and token, and attention."""
    width, layers, length = at["n_embd"], at["n_layer"], at["length"]
    products = layers * 12 * width**2 + at["vocab_size"] * width
    return float(at["batch"] * length * (2 * products + 4 * layers * length * width))


def _loss(at: Extents) -> "Loss":
    """(input_ids) -> (cross entropy of the next token,)."""
    import torch
    from transformers import AttentionInterface, GPT2Config, GPT2LMHeadModel
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    from steelyard.lowering.plain import parameters_on_meta

    AttentionInterface.register(_ATTENTION, sdpa_attention_forward)  # a name of our own: no mask is made for it
    geometry = {name: at[name] for name in ("n_layer", "n_embd", "n_head", "vocab_size", "n_positions")}
    settings = GPT2Config(**geometry, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
    with parameters_on_meta():
        model = GPT2LMHeadModel._from_config(settings, attn_implementation=_ATTENTION).train()
    if {*_parameters(at)} != {name for name, _ in model.named_parameters()}:
        raise RuntimeError("GPT-2 of this transformers has other parameters")

    def loss(values: Any, input_ids: "torch.Tensor") -> "tuple[torch.Tensor, ...]":
        given = {"use_cache": False}
        logits = torch.func.functional_call(model, values, (input_ids,), given, tie_weights=True).logits
        guesses, right = logits[:, :-1].flatten(0, 1), input_ids[:, 1:].flatten()
        return (torch.nn.functional.cross_entropy(guesses, right),)

    return loss


MODEL = Trained(
    meaning="one step of GPT-2: forward, loss, backward and the optimizer's update",
    unit="tokens",
    sizes={  # full is the smallest published model
        "tiny": {"n_layer": 2, "n_embd": 64, "n_head": 4, "vocab_size": 256, "n_positions": 64},
        "small": {"n_layer": 4, "n_embd": 256, "n_head": 8, "vocab_size": 8192, "n_positions": 256},
        "full": {"n_layer": 12, "n_embd": 768, "n_head": 12, "vocab_size": 50257, "n_positions": 1024},
    },
    axes={
        "tiny": {"batch": 2, "length": 32},
        "small": {"batch": 2, "length": 64},
        "full": {"batch": 8, "length": 512},
    },
    batch={"input_ids": Tensor(shape=("batch", "length"), dtype="int64", below="vocab_size")},
    parameters=_parameters,
    loss=_loss,
    optimizer="adamw",
    flop=_flop,
    items=lambda at: at["batch"] * at["length"],
)
