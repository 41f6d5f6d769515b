"""A training step as a program: built, its initial state, and the references of a run of steps in float64."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.core.workload import DType, Point, TensorSpec
from steelyard.lowering.entry import PoolEntry
from steelyard.lowering.plain import drawn, seeded

from .models import MODELS

if TYPE_CHECKING:
    import torch

    Tensors = Sequence[torch.Tensor]

_SEED = 20
_RATE, _MOMENTUM, _BETAS, _EPSILON, _DECAY = 1e-3, 0.9, (0.9, 0.999), 1e-7, 0.01  # 1e-8: see docs/upstream.md
KEPT: Mapping[str, tuple[str, ...]] = {"sgd": ("momentum",), "adamw": ("mean", "variance")}
"""What each optimizer keeps of every parameter."""
_GROUPS = {"parameters": "parameter.", "statistics": "statistic."}


def batch(model: str, at: Mapping[str, Any], dtype: DType) -> tuple[TensorSpec, ...]:
    """The data inputs of a step."""
    return tuple(tensor.spec(name, at, dtype) for name, tensor in MODELS[model].batch.items())


def state(model: str, at: Mapping[str, Any], optimizer: str, dtype: DType) -> tuple[TensorSpec, ...]:
    """What goes on from step to step: parameters, statistics, what the optimizer keeps of each parameter, and for Adam
    the number of steps."""
    parameters = MODELS[model].parameters(at)
    found = [(f"parameter.{name}", shape) for name, shape in parameters.items()]
    found += [(f"statistic.{name}", shape) for name, shape in MODELS[model].statistics(at).items()]
    found += [(f"{kept}.{name}", shape) for kept in KEPT[optimizer] for name, shape in parameters.items()]
    found += [("step", (1,))] if optimizer == "adamw" else []
    return tuple(TensorSpec(name=name, shape=shape, dtype=dtype, role="state") for name, shape in found)


def build(*, in_place: bool, model: str, at: Mapping[str, Any], optimizer: str, dtype: DType) -> "torch.nn.Module":
    """The step as PyTorch runs it, which writes into its state, or as one graph of operators that returns a new one."""
    import torch
    from torch._decomp import core_aten_decompositions
    from torch.fx.experimental.proxy_tensor import make_fx

    loss_of = MODELS[model].loss(at)
    names, statistics = tuple(MODELS[model].parameters(at)), tuple(MODELS[model].statistics(at))
    entering = len(MODELS[model].batch)
    update = {"sgd": _sgd, "adamw": _adamw}[optimizer]

    class Step(torch.nn.Module):  # type: ignore[misc]
        """(*batch, parameters, statistics, what the optimizer keeps) -> (loss [1], the new ones)."""

        def forward(self, *given: "torch.Tensor") -> "tuple[torch.Tensor, ...]":
            """See the class."""
            held = given[entering:]
            parameters, before = held[: len(names)], held[len(names) + len(statistics) :]
            running = dict(zip(statistics, held[len(names) :], strict=False))

            def objective(values: Any) -> "tuple[torch.Tensor, Tensors]":
                loss, *renewed = loss_of({**values, **running}, *given[:entering])
                return loss, renewed

            with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
                gradients, (loss, renewed) = torch.func.grad_and_value(objective, has_aux=True)(
                    dict(zip(names, parameters, strict=True))
                )
            trained, kept = update(parameters, [gradients[name] for name in names], before)
            new: Tensors = [*trained, *renewed, *kept]
            if in_place:
                for each, value in zip(held, new, strict=True):
                    each.copy_(value)
                new = list(held)
            return (loss.reshape(1), *new)

    step = Step()
    if in_place:
        return step
    specs = (*batch(model, at, dtype), *state(model, at, optimizer, dtype))
    examples = [torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype)) for spec in specs]
    with torch.no_grad():
        return make_fx(step, decomposition_table=core_aten_decompositions(), tracing_mode="fake")(*examples)


def _sgd(parameters: "Tensors", gradients: "Tensors", kept: "Tensors") -> "tuple[Tensors, Tensors]":
    """v = momentum v + g; p = p - rate v (Sutskever et al., 2013, in PyTorch's form)."""
    moved = [_MOMENTUM * before + gradient for before, gradient in zip(kept, gradients, strict=True)]
    return [value - _RATE * by for value, by in zip(parameters, moved, strict=True)], moved


def _adamw(parameters: "Tensors", gradients: "Tensors", kept: "Tensors") -> "tuple[Tensors, Tensors]":
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
    return values, [*means, *variances, step]


def write(arguments: Mapping[str, Any], directory: Path, local: Path | None) -> None:
    """Nothing: what a step trains is its state."""
    from safetensors.torch import save_file

    del arguments, local
    save_file({}, directory / "weights.safetensors")


def make(
    point: Point, modules: "Mapping[str, Callable[..., Tensors]]", tokenizer_dir: Path | None, count: int
) -> list[PoolEntry]:
    """`count` batches of random numbers; with the first the initial state, with the last the parameters, and the
    statistics where there are any, after a step on each batch in turn, in float64."""
    import torch

    del tokenizer_dir
    program = point.programs["main"]
    data = [spec for spec in program.inputs if spec.role == "data"]
    start = {spec.name: _begun(spec) for spec in program.state}
    held = [value.double() for value in start.values()]
    entries = []
    for index in range(count):
        generator = torch.Generator().manual_seed(index)
        inputs = {spec.name: drawn(spec, point.settings["below"], generator) for spec in data}
        with torch.no_grad():
            wide = (value.double() if value.is_floating_point() else value for value in inputs.values())
            loss, *held = modules["main"](*wide, *held)
        references = {"loss": loss}
        if index + 1 == count:
            for group, prefix in _GROUPS.items():
                parts = [v for spec, v in zip(program.state, held, strict=True) if spec.name.startswith(prefix)]
                references |= {group: torch.cat([value.reshape(-1) for value in parts])} if parts else {}
        entries.append(PoolEntry(inputs={**inputs, **(start if index == 0 else {})}, references=references))
    return entries


def _begun(spec: TensorSpec) -> "torch.Tensor":
    """The initial state: parameters by their names, running variances one, all else zero."""
    import torch

    dtype = getattr(torch, spec.dtype)
    if spec.name.startswith("parameter."):
        return seeded(spec.name, spec.shape, _SEED).to(dtype)
    running = spec.name.startswith("statistic.") and spec.name.endswith(".variance")
    return torch.full(spec.shape, float(running), dtype=dtype)
