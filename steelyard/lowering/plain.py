"""Models that are functions of their inputs, without state: programs, modules, seeded weights, inputs and references.

Classes of transformers by name and configuration, and modules that a suite builds itself.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.core.workload import DTYPE_BYTES, DType, Json, Point, Program, TensorSpec, Weights
from steelyard.lowering.double import double_arithmetic
from steelyard.lowering.entry import PoolEntry
from steelyard.plugins import load_attribute

if TYPE_CHECKING:
    import torch

_HERE = "steelyard.lowering.plain"
TRANSFORMERS = f"{_HERE}:build"
POOL = f"{_HERE}:make"
_SEED = 20


def program(
    name: str,
    source: str,
    arguments: Mapping[str, Json],
    dtype: DType,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
) -> Program:
    """The program of a module that `source` builds of `arguments`, `dtype` and `in_place`; `TRANSFORMERS` is one.

    Weights are random by a seed, each tensor by its own name.
    """
    named: dict[str, Json] = {**arguments, "dtype": dtype}
    if source == TRANSFORMERS:
        named |= {"inputs": [spec.name for spec in inputs], "outputs": [spec.name for spec in outputs]}
    return Program(
        name=name,
        source=source,
        arguments=named,
        weights=Weights(
            source=f"{_HERE}:write", arguments={"source": source, "arguments": named, "seed": _SEED}, origin="seeded"
        ),
        dtype=dtype,
        inputs=tuple(inputs),
        outputs=tuple(outputs),
    )


def weight_bytes(parameters: int, dtype: DType) -> int:
    """Bytes of so many parameters."""
    return parameters * DTYPE_BYTES[dtype]


def build(
    *, in_place: bool, model: str, config: Mapping[str, Json], dtype: str, inputs: Sequence[str], outputs: Sequence[str]
) -> "torch.nn.Module":
    """A class of transformers (`ResNetForImageClassification`) with a configuration. Inputs are passed by name, outputs
    are fields of what its forward returns. `in_place` asks for nothing here: there is no state."""
    import torch
    import transformers

    del in_place
    kind = getattr(transformers, model)
    settings = kind.config_class(**config)
    # Of mixtures of experts: products of gathered weights, which compilers know and which float64 has.
    settings._experts_implementation = "batched_mm"
    inner = on_meta(lambda: kind(settings), dtype)

    class Plain(torch.nn.Module):  # type: ignore[misc]
        """Tensors in, a tuple of tensors out."""

        def __init__(self) -> None:
            super().__init__()
            self.model = inner

        def forward(self, *values: "torch.Tensor") -> "tuple[torch.Tensor, ...]":
            """See the program: both sides in its order."""
            found = self.model(**dict(zip(inputs, values, strict=True)), return_dict=True)
            kept = next(self.model.parameters()).dtype  # Mamba's last residual is float32, whatever its weights are
            return tuple(found[name].to(kept) for name in outputs)

    return Plain()


def on_meta(make: "Callable[[], torch.nn.Module]", dtype: str) -> "torch.nn.Module":
    """The module that a function makes, in eval mode, its parameters on the meta device, they and its stored buffers of
    a dtype, as `write` has them."""
    import torch

    with parameters_on_meta():
        module = make().eval()
    for tensor in module.state_dict(keep_vars=True).values():
        if tensor.is_floating_point():
            tensor.data = tensor.data.to(getattr(torch, dtype))
    return module


def write(arguments: Mapping[str, Any], directory: Path, local: Path | None) -> None:
    """Random weights under which a deep model still computes something worth checking, in the dtype of the arguments.

    Matrices and kernels have variance 1 / inputs, so that activations keep their size; gains lie about 1, variances
    between 0.5 and 1.5, all else is small. A tensor's numbers depend on its name and the seed alone.
    """
    import torch
    from safetensors.torch import save_file

    del local
    named = arguments["arguments"]
    dtype = getattr(torch, named["dtype"])
    module = load_attribute(arguments["source"])(in_place=False, **named)
    tensors: dict[str, torch.Tensor] = {}
    seen: set[int] = set()
    for name, tensor in module.state_dict(keep_vars=True).items():
        if id(tensor) in seen:  # tied
            continue
        seen.add(id(tensor))
        if not tensor.is_floating_point():
            tensors[name] = torch.zeros(tensor.shape, dtype=tensor.dtype)
        else:
            tensors[name] = seeded(name, tuple(tensor.shape), arguments["seed"]).to(dtype)
    save_file(tensors, directory / "weights.safetensors", metadata={"format": "pt"})


def make(
    point: Point, modules: "Mapping[str, torch.nn.Module]", tokenizer_dir: Path | None, count: int
) -> list[PoolEntry]:
    """`count` input sets: floating-point inputs standard normal, whole numbers below `point.settings["below"][NAME]`,
    else ones; references are the module's outputs in float64."""
    import torch

    del tokenizer_dir
    below = point.settings.get("below", {})
    kind, module = point.programs["main"], modules["main"]
    entries = []
    for index in range(count):
        inputs: dict[str, torch.Tensor] = {}
        for place, spec in enumerate(kind.inputs):
            inputs[spec.name] = drawn(spec, below, torch.Generator().manual_seed(1000 * index + place))
        with double_arithmetic():
            wide = (inputs[spec.name] for spec in kind.inputs)
            outputs = module(*(value.double() if value.is_floating_point() else value for value in wide))
        outputs = (outputs,) if isinstance(outputs, torch.Tensor) else outputs
        named = zip((spec.name for spec in kind.outputs), outputs, strict=True)
        entries.append(PoolEntry(inputs=inputs, references={name: value.contiguous() for name, value in named}))
    return entries


def drawn(spec: TensorSpec, below: Mapping[str, Any], generator: "torch.Generator") -> "torch.Tensor":
    """A random input: floating-point numbers standard normal, whole numbers below `below[NAME]`, else ones."""
    import torch

    dtype = getattr(torch, spec.dtype)
    if dtype.is_floating_point:
        return torch.randn(spec.shape, generator=generator).to(dtype)
    if spec.name in below:
        return torch.randint(0, int(below[spec.name]), spec.shape, generator=generator, dtype=dtype)
    return torch.ones(spec.shape, dtype=dtype)


def seeded(name: str, shape: Sequence[int], seed: int) -> "torch.Tensor":
    """A tensor of random weights, float32, by its name: see `write`."""
    import torch

    key = hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8]
    noise = torch.randn(tuple(shape), generator=torch.Generator().manual_seed(int.from_bytes(key, "big") >> 1))
    last = name.rpartition(".")[2]
    if last == "running_var":
        return 1.0 + 0.5 * noise.tanh()
    if noise.dim() < 2:
        return 1.0 + 0.1 * noise if last == "weight" else 0.1 * noise
    if "token" in last or "embedding" in last:
        return 0.5 * noise
    return noise / math.sqrt(math.prod(noise.shape[1:]))


@contextmanager
def parameters_on_meta() -> Iterator[None]:
    """Modules made inside have their parameters on the meta device and their buffers, which no file may hold, for
    real."""
    import torch

    register = torch.nn.Module.register_parameter

    def on_meta(module: Any, name: str, parameter: Any) -> None:
        register(module, name, parameter)
        if parameter is not None and parameter.device.type != "meta":  # a tied one stays the same object
            module._parameters[name] = torch.nn.Parameter(parameter.detach().to("meta"), requires_grad=False)

    torch.nn.Module.register_parameter = on_meta
    try:
        yield
    finally:
        torch.nn.Module.register_parameter = register
