"""The suite `train`: one training step of a language model. The step is a program whose parameters are its state."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.core.workload import DTYPE_BYTES, Axis, Point, Program, Selection, Suite, TensorSpec, Weights, Work
from steelyard.lowering import choices
from steelyard.lowering.entry import PoolEntry
from steelyard.lowering.plain import parameters_on_meta, seeded

if TYPE_CHECKING:
    import torch

    Tensors = Sequence[torch.Tensor]

VERSION = 1
_HERE = "steelyard.suites.train"
_SEED = 20
_RATE, _MOMENTUM, _BETAS, _EPSILON, _DECAY = 1e-3, 0.9, (0.9, 0.999), 1e-7, 0.01  # 1e-8: see docs/upstream.md
_KEPT = {"sgd": ("momentum",), "adamw": ("mean", "variance")}
"""What each optimizer keeps of every parameter."""
_ATTENTION = "steelyard_train"
# GPT-2's geometry (Radford et al., 2019): full is its smallest published model.
SIZES: Mapping[str, Mapping[str, int]] = {
    "tiny": {"n_layer": 2, "n_embd": 64, "n_head": 4, "vocab_size": 256, "n_positions": 64},
    "small": {"n_layer": 4, "n_embd": 256, "n_head": 8, "vocab_size": 8192, "n_positions": 256},
    "full": {"n_layer": 12, "n_embd": 768, "n_head": 12, "vocab_size": 50257, "n_positions": 1024},
}
_DEFAULTS = {"tiny": (2, 32), "small": (2, 64), "full": (8, 512)}


def points(selection: Selection) -> tuple[Point, ...]:
    """A step at every batch, length, optimizer and dtype asked for."""
    choices.workloads("train", ("gpt2",), selection)
    size = choices.size(selection, SIZES, "small" if selection.device_kind == "cpu" else "full")
    batch, length = _DEFAULTS[size]
    every = itertools.product(
        choices.names(selection, "optimizer", tuple(_KEPT), ("adamw",)),
        choices.dtypes(selection),
        choices.numbers(selection, "batch", batch),
        choices.numbers(selection, "length", length, smallest=2),
    )
    return tuple(_point(size, *chosen) for chosen in every)


def _point(size: str, optimizer: str, dtype: Any, batch: int, length: int) -> Point:
    config = SIZES[size]
    parameters = _parameters(config)
    state = [(f"parameter.{name}", shape) for name, shape in parameters.items()]
    state += [(f"{kept}.{name}", shape) for kept in _KEPT[optimizer] for name, shape in parameters.items()]
    state += [("step", (1,))] if optimizer == "adamw" else []
    carried = tuple(TensorSpec(name=name, shape=shape, dtype=dtype, role="state") for name, shape in state)
    count = sum(math.prod(shape) for shape in parameters.values())
    program = Program(
        name="step",
        source=f"{_HERE}:build",
        arguments={"config": dict(config), "optimizer": optimizer, "batch": batch, "length": length, "dtype": dtype},
        weights=Weights(source=f"{_HERE}:write", arguments={}, origin="seeded"),
        dtype=dtype,
        inputs=(TensorSpec(name="input_ids", shape=(batch, length), dtype="int64"), *carried),
        outputs=(TensorSpec(name="loss", shape=(1,), dtype=dtype), *carried),
        gradients=True,
    )
    # Forward: two operations for each weight of a product and token, and attention; backward twice as many.
    width, layers, tokens = config["n_embd"], config["n_layer"], batch * length
    products = layers * 12 * width**2 + config["vocab_size"] * width
    flop = 3.0 * tokens * (2 * products + 4 * layers * length * width)
    return Point(
        suite="train",
        suite_version=VERSION,
        workload="gpt2",
        axes={"size": size, "optimizer": optimizer, "batch": batch, "length": length, "dtype": dtype},
        driver="train",
        programs={"main": program},
        settings={},
        pool=f"{_HERE}:make",
        window=None,
        work=Work(flop=flop, weight_bytes=count * DTYPE_BYTES[dtype], items=tokens, unit="tokens"),
    )


def _parameters(config: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    """Names and shapes as transformers has them; the output projection is the embedding."""
    width = config["n_embd"]
    found: dict[str, tuple[int, ...]] = {
        "transformer.wte.weight": (config["vocab_size"], width),
        "transformer.wpe.weight": (config["n_positions"], width),
    }
    for layer in range(config["n_layer"]):
        inner = {"ln_1": (width,), "attn.c_attn": (width, 3 * width), "attn.c_proj": (width, width)}
        inner |= {"ln_2": (width,), "mlp.c_fc": (width, 4 * width), "mlp.c_proj": (4 * width, width)}
        for name, shape in inner.items():
            found[f"transformer.h.{layer}.{name}.weight"] = shape
            found[f"transformer.h.{layer}.{name}.bias"] = shape[-1:]
    return found | {"transformer.ln_f.weight": (width,), "transformer.ln_f.bias": (width,)}


def build(
    *, in_place: bool, config: Mapping[str, int], optimizer: str, batch: int, length: int, dtype: str
) -> "torch.nn.Module":
    """The step as PyTorch runs it, which writes into its state, or as one graph of operators that returns a new one."""
    import torch
    from torch._decomp import core_aten_decompositions
    from torch.fx.experimental.proxy_tensor import make_fx
    from transformers import AttentionInterface, GPT2Config, GPT2LMHeadModel
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    AttentionInterface.register(_ATTENTION, sdpa_attention_forward)  # a name of our own: no mask is made for it
    settings = GPT2Config(**config, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
    with parameters_on_meta():
        model = GPT2LMHeadModel._from_config(settings, attn_implementation=_ATTENTION).train()
    names = tuple(_parameters(config))
    update = {"sgd": _sgd, "adamw": _adamw}[optimizer]
    if set(names) != {name for name, _ in model.named_parameters()}:
        raise RuntimeError("GPT-2 of this transformers has other parameters")

    class Step(torch.nn.Module):  # type: ignore[misc]
        """(input_ids, parameters, what the optimizer keeps) -> (loss [1], the new ones)."""

        def forward(self, input_ids: "torch.Tensor", *state: "torch.Tensor") -> "tuple[torch.Tensor, ...]":
            """See the class."""
            parameters, kept = state[: len(names)], state[len(names) :]

            def loss_of(values: Any) -> "torch.Tensor":
                given = {"use_cache": False}
                logits = torch.func.functional_call(model, values, (input_ids,), given, tie_weights=True).logits
                guesses, right = logits[:, :-1].flatten(0, 1), input_ids[:, 1:].flatten()
                return torch.nn.functional.cross_entropy(guesses, right)

            with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
                gradients, loss = torch.func.grad_and_value(loss_of)(dict(zip(names, parameters, strict=True)))
            new = update(parameters, [gradients[name] for name in names], kept)
            if in_place:
                for held, value in zip(state, new, strict=True):
                    held.copy_(value)
                new = list(state)
            return (loss.reshape(1), *new)

    step = Step()
    if in_place:
        return step
    kind = getattr(torch, dtype)
    ids = torch.zeros((batch, length), dtype=torch.int64)
    shapes = [*_parameters(config).values()] * (1 + len(_KEPT[optimizer])) + [(1,)] * (optimizer == "adamw")
    state = [torch.zeros(shape, dtype=kind) for shape in shapes]
    with torch.no_grad():
        return make_fx(step, decomposition_table=core_aten_decompositions(), tracing_mode="fake")(ids, *state)


def _sgd(parameters: "Tensors", gradients: "Tensors", kept: "Tensors") -> "list[torch.Tensor]":
    """v = momentum v + g; p = p - rate v (Sutskever et al., 2013, in PyTorch's form)."""
    moved = [_MOMENTUM * before + gradient for before, gradient in zip(kept, gradients, strict=True)]
    return [*(value - _RATE * by for value, by in zip(parameters, moved, strict=True)), *moved]


def _adamw(parameters: "Tensors", gradients: "Tensors", kept: "Tensors") -> "list[torch.Tensor]":
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019, algorithm 2)."""
    count, step = len(parameters), kept[-1] + 1
    first, second = _BETAS
    means = [first * old + (1 - first) * new for old, new in zip(kept[:count], gradients, strict=True)]
    squares = zip(kept[count : 2 * count], gradients, strict=True)
    variances = [second * old + (1 - second) * new * new for old, new in squares]
    of_mean, of_variance = 1 - first**step, 1 - second**step
    values = [
        value - _RATE * (mean / of_mean / ((variance / of_variance).sqrt() + _EPSILON) + _DECAY * value)
        for value, mean, variance in zip(parameters, means, variances, strict=True)
    ]
    return [*values, *means, *variances, step]


def write(arguments: Mapping[str, Any], directory: Path, local: Path | None) -> None:
    """Nothing: what a step trains is its state."""
    from safetensors.torch import save_file

    del arguments, local
    save_file({}, directory / "weights.safetensors")


def make(
    point: Point, modules: "Mapping[str, Callable[..., Tensors]]", tokenizer_dir: Path | None, count: int
) -> list[PoolEntry]:
    """`count` batches of random tokens; with the first the initial state, with the last the parameters after a step on
    each batch in turn, in float64."""
    import torch

    del tokenizer_dir
    program = point.programs["main"]
    carried = [spec for spec in program.inputs if spec.role == "state"]
    start = {
        spec.name: seeded(spec.name, spec.shape, _SEED)
        if spec.name.startswith("parameter.")
        else torch.zeros(spec.shape)
        for spec in carried
    }
    start = {name: value.to(getattr(torch, program.dtype)) for name, value in start.items()}
    state = [value.double() for value in start.values()]
    high = int(program.arguments["config"]["vocab_size"])
    entries = []
    for index in range(count):
        generator = torch.Generator().manual_seed(index)
        ids = torch.randint(0, high, program.inputs[0].shape, generator=generator)
        with torch.no_grad():
            loss, *state = modules["main"](ids, *state)
        references = {"loss": loss}
        if index + 1 == count:
            trained = [v for spec, v in zip(carried, state, strict=True) if spec.name.startswith("parameter.")]
            references["parameters"] = torch.cat([value.reshape(-1) for value in trained])
        entries.append(PoolEntry(inputs={"input_ids": ids, **(start if index == 0 else {})}, references=references))
    return entries


SUITE = Suite(
    name="train",
    version=VERSION,
    question="How fast does each backend train a language model?",
    headline="gpt2",
    workloads={"gpt2": "one step of GPT-2: forward, loss, backward and the optimizer's update"},
    sizes=tuple(SIZES),
    axes=(
        Axis(name="batch", kind="int", meaning="sequences in a step"),
        Axis(name="length", kind="int", meaning="tokens of a sequence"),
        Axis(name="optimizer", kind="str", meaning="how parameters follow from gradients", choices=tuple(_KEPT)),
        Axis(name="dtype", kind="str", meaning="type of parameters and state", choices=choices.DTYPES),
    ),
    points=points,
)
