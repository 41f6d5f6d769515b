"""`factory`: a function of the user's own, `package.module:function`, that returns `(module, example_inputs)`.

It is called without arguments after torch, numpy and random were seeded, and gives a torch module and a tuple of
tensors, or a dict of them by keyword. The module's own state is the weights. The function runs in the processes that
read, lower and launch, never in the one that supervises them, and its code is part of the identity.
"""

import inspect
import os
import random
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.core.code import code_of
from steelyard.core.errors import CheckpointError, SteelyardError, UsageError
from steelyard.core.hashing import stable_hash
from steelyard.core.reason import reason_of
from steelyard.core.workload import DTYPE_BYTES, DType, Program, TensorSpec, Weights
from steelyard.lowering.own.files import all_are_inputs, computes_in, spec_of
from steelyard.lowering.own.modules import OwnModule, state_of
from steelyard.lowering.references import tensor_sha256
from steelyard.lowering.weights import FILE
from steelyard.plugins import load_attribute

if TYPE_CHECKING:
    import torch

    Tensors = Mapping[str, torch.Tensor]

_HERE = "steelyard.sources.factory"
_SEED = 0
_MEND = "load them from a file, or draw them from the generators of torch, numpy or random alone"
_RETURNS = "it returns (module, example_inputs): a torch.nn.Module, and a tuple of tensors or a dict of them by keyword"


def build(
    *, in_place: bool, factory: str, keywords: Sequence[str], fields: Sequence[str], **known: Any
) -> "torch.nn.Module":
    """The module, with tensors by position on one side and a tuple of tensors on the other. `keywords` are the names
    that inputs are passed by, `fields` those that outputs are taken by; either is empty where position decides."""
    del in_place, known
    return _by_position(_call(factory)[0], keywords, fields)


def write(arguments: Mapping[str, Any], directory: Path, local: Path | None) -> None:
    """The module's state, each tensor once. Raises CheckpointError where it is not what it was at first."""
    from safetensors.torch import save_file

    del local
    module = build(in_place=False, **arguments)
    if stable_hash(_digests(module)) != arguments["sha256"]:
        raise CheckpointError(f"{arguments['factory']}: its weights differ from when it was looked at: {_MEND}")
    save_file(state_of(module), directory / FILE, metadata={"format": "pt"})


class _Factory(OwnModule):
    name = "factory"
    pattern = r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*"
    example = "is a function package.module:function"

    def program_of(self, path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Program:
        """See `Source`. What comes out is read off one call with the example inputs."""
        factory = str(path)
        code = stable_hash(code_of((factory,)), 24)
        module, examples = _call(factory)
        named = dict(examples if isinstance(examples, Mapping) else _named(module, examples))
        keywords = tuple(named) if isinstance(examples, Mapping) else ()
        outputs, fields = _outputs(factory, _called(factory, module, named, keywords))
        digests = _digests(_by_position(module, keywords, fields))
        again = _digests(_by_position(_call(factory)[0], keywords, fields))
        if unlike := [name for name in sorted({*digests, *again}) if digests.get(name) != again.get(name)]:
            raise UsageError(
                f"{factory}: two calls gave different weights, though torch was seeded before: '{unlike[0]}' and "
                f"{len(unlike) - 1} more: {_MEND}"
            )
        arguments = {"factory": factory, "code": code, "keywords": list(keywords), "fields": list(fields)}
        sha256 = {"sha256": stable_hash(digests)}
        inputs = tuple(_spec(path, name, tensor, shapes) for name, tensor in named.items())
        all_are_inputs(path, shapes, inputs)
        return Program(
            name=factory.rpartition(":")[2],
            source=f"{_HERE}:build",
            arguments={**arguments, "between": {name: _range(one) for name, one in named.items() if _is_whole(one)}},
            weights=Weights(source=f"{_HERE}:write", arguments={**arguments, **sha256}, origin="checkpoint"),
            dtype=_computes_in(module, inputs),
            inputs=inputs,
            outputs=tuple(_spec(path, name, tensor, {}) for name, tensor in outputs.items()),
            kind=self.name,
        )


def _call(factory: str) -> "tuple[torch.nn.Module, Tensors | Sequence[torch.Tensor]]":
    """What the function returns, its module in eval mode. Raises UsageError for what it raises, for an exit, and for
    anything but a module and tensors on the CPU."""
    import numpy as np
    import torch

    torch.manual_seed(_SEED)
    np.random.seed(_SEED)
    random.seed(_SEED)
    process = os.getpid()
    try:
        returned = load_attribute(factory)()
    except SteelyardError:
        raise
    except SystemExit as error:
        raise UsageError(f"{factory} called sys.exit({error.code}): it must return; {_RETURNS}") from error
    except Exception as error:  # whatever the user's code raises
        traceback.print_exception(error)
        raise UsageError(f"{factory}() failed: {reason_of(error)}") from error
    finally:
        if os.getpid() != process:  # a copy of this process, which the function has made and let go on
            os._exit(1)
    if not isinstance(returned, tuple) or len(returned) != 2 or not isinstance(returned[0], torch.nn.Module):
        raise UsageError(f"{factory} returned a {type(returned).__name__}: {_RETURNS}")
    module, examples = returned
    if not isinstance(examples, tuple | list | Mapping) or not len(examples):
        raise UsageError(f"{factory} gave a {type(examples).__name__} as example inputs: {_RETURNS}")
    for name, tensor in examples.items() if isinstance(examples, Mapping) else enumerate(examples):
        if not isinstance(tensor, torch.Tensor) or tensor.device.type != "cpu":
            what = tensor.device if isinstance(tensor, torch.Tensor) else type(tensor).__name__
            raise UsageError(f"{factory}: example input {name} is no tensor on the CPU but {what}: {_RETURNS}")
    stranded = next((name for name, tensor in module.state_dict().items() if tensor.device.type != "cpu"), None)
    if stranded is not None:
        raise UsageError(f"{factory}: '{stranded}' does not lie on the CPU: make the module there, the run moves it")
    return module.eval(), examples


def _called(factory: str, module: Any, named: "Tensors", keywords: Sequence[str]) -> Any:
    """What the module returns for its example inputs."""
    import torch

    copies = {name: tensor.clone() for name, tensor in named.items()}
    try:
        with torch.no_grad():
            return module(**copies) if keywords else module(*copies.values())
    except Exception as error:  # whatever the user's code raises
        traceback.print_exception(error)
        raise UsageError(f"{factory}: its module fails with the example inputs: {reason_of(error)}") from error


def _outputs(factory: str, returned: Any) -> "tuple[Tensors, tuple[str, ...]]":
    """The outputs by name, and the fields that they are taken by; none where the module returns a tensor or a tuple."""
    import torch

    fields: tuple[str, ...] = ()
    if isinstance(returned, torch.Tensor):
        found = {"output": returned}
    elif isinstance(returned, Mapping):  # as the outputs of transformers are, where what is None is absent
        found = {str(name): value for name, value in returned.items() if value is not None}
        fields = tuple(found)
    elif isinstance(returned, tuple | list) and returned:
        found = {f"output{index}": value for index, value in enumerate(returned)}
    else:
        raise UsageError(f"{factory}: its module returns a {type(returned).__name__}: return tensors")
    for name, value in found.items():
        if not isinstance(value, torch.Tensor):
            raise UsageError(
                f"{factory}: '{name}' of what its module returns is a {type(value).__name__}: return tensors alone, by "
                "a module around it or by a setting of it (of transformers e.g. config.use_cache = False)"
            )
    return found, fields


def _by_position(module: "torch.nn.Module", keywords: Sequence[str], fields: Sequence[str]) -> "torch.nn.Module":
    """The module called by position, itself where that is how it is called anyway."""
    import torch

    if not keywords and not fields:
        return module

    class Positional(torch.nn.Module):  # type: ignore[misc]
        """Tensors in, a tuple of tensors out."""

        def __init__(self) -> None:
            super().__init__()
            self.model = module

        def forward(self, *values: "torch.Tensor") -> "tuple[torch.Tensor, ...]":
            """Both sides in the program's order."""
            found = self.model(**dict(zip(keywords, values, strict=True))) if keywords else self.model(*values)
            if fields:
                return tuple(found[name] for name in fields)
            return (found,) if isinstance(found, torch.Tensor) else tuple(found)

    return Positional()


def _named(module: "torch.nn.Module", examples: "Sequence[torch.Tensor]") -> "Tensors":
    """The inputs by what the forward calls them, else by their place."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(module.forward).parameters.values()
    names = [parameter.name for parameter in parameters if parameter.kind in kinds]
    if len(names) < len(examples):
        names = [f"input{index}" for index in range(len(examples))]
    return dict(zip(names, examples, strict=False))


def _spec(path: Path, name: str, tensor: "torch.Tensor", shapes: Mapping[str, tuple[int, ...]]) -> TensorSpec:
    return spec_of(path, name, tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), shapes)


def _is_whole(tensor: "torch.Tensor") -> bool:
    return not tensor.is_floating_point()


def _range(tensor: "torch.Tensor") -> list[int]:
    """The smallest and the largest of an example's whole numbers, at least two numbers apart by one."""
    if not tensor.numel():
        return [0, 1]
    low, high = int(tensor.min()), int(tensor.max())
    return [low, high] if low < high else [min(low, 0), max(high, 1)]


def _computes_in(module: "torch.nn.Module", inputs: Sequence[TensorSpec]) -> DType:
    """The type of the first floating parameter; of a module without any that of its inputs."""
    found = (str(one.dtype).removeprefix("torch.") for one in module.parameters() if one.is_floating_point())
    dtype: Any = next((name for name in found if name in DTYPE_BYTES), None)
    return dtype or computes_in(inputs)


def _digests(module: "torch.nn.Module") -> dict[str, str]:
    return {name: tensor_sha256(tensor) for name, tensor in state_of(module).items()}


SOURCE = _Factory()
