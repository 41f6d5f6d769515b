"""StableHLO through torchax and jax.export, with the weights as arguments.

The artifact is what `jax.export` serialises; the worker needs no torch. Its one function is called as
`call(weights, *inputs)`: `weights` is a tuple of the tensors that `details["weights"]` names, tied
ones once; inputs and outputs stand in the program's order. Small constants (tables, masks) are part
of the module. JAX without 64-bit types has int32 where the program has int64;
`details["input_dtypes"]` and `details["output_dtypes"]` tell.

Beside it (`details["module"]`) lies the module alone, as portable StableHLO, for compilers that come without JAX: its
function `main` takes the weights and then the inputs.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from steelyard.core.errors import LoweringError
from steelyard.core.workload import Program
from steelyard.formats.stablehlo import backward
from steelyard.formats.stablehlo.fold import folding
from steelyard.formats.stablehlo.grouped import each_group
from steelyard.lowering.format import Draft, Exported, Format, check_ends

_PLATFORMS: Mapping[str, str] = {"cpu": "cpu", "cuda": "cuda", "rocm": "rocm", "tpu": "tpu"}
_CONSTANT_BYTES = 1 << 24
_LIMIT = f"{_CONSTANT_BYTES >> 20} MiB"


def convert(source: Exported, directory: Path, option: str | None) -> Draft:
    """See `save`."""
    program = source.program
    platform = _PLATFORMS.get(source.platform)
    if platform is None:
        raise LoweringError(f"{program.name} as stablehlo: JAX knows no platform for '{source.platform}'")
    torchax_export = import_torchax()
    import jax
    import numpy as np
    from torch.export.graph_signature import InputKind
    from torchax.ops.mappings import t2j_dtype

    jax.config.update("jax_platforms", "cpu")  # tracing needs no accelerator, and must not take one's memory
    # Else the artifact holds, and its hash depends on, the path of each file that called for it.
    jax.config.update("jax_traceback_in_locations_limit", 0)
    lowered = source.exported.run_decompositions(decompositions(torchax_export))
    signature = lowered.graph_signature
    if signature.buffers_to_mutate or signature.user_inputs_to_mutate:
        raise LoweringError(f"{program.name} as stablehlo: the program changes its inputs or buffers in place")
    names: list[str] = []
    slots: list[tuple[str, Any]] = []
    for spec in signature.input_specs:
        if spec.kind == InputKind.USER_INPUT:
            slots.append(("input", None))
        elif spec.target in source.stored:
            name = source.stored[spec.target]
            if name not in names:
                names.append(name)
            slots.append(("weight", names.index(name)))
        else:
            held = lowered.constants.get(spec.target, lowered.state_dict.get(spec.target))
            if held is None or held.nbytes > _CONSTANT_BYTES:
                raise LoweringError(
                    f"{program.name} as stablehlo: constant '{spec.target}' is "
                    f"{'absent' if held is None else f'larger than {_LIMIT}; keep it among the weights'}"
                )
            slots.append(("constant", torchax_export.torchax.default_env().t2j_copy(held.detach())))

    graph = folding(torchax_export.JaxInterpreter)(lowered.graph_module)

    def call(weights: tuple[Any, ...], *inputs: Any) -> Any:
        given = iter(inputs)
        arguments = [
            next(given) if kind == "input" else weights[value] if kind == "weight" else value for kind, value in slots
        ]
        return tuple(graph.run(*arguments, enable_io_processing=False))

    def aval(tensor_dtype: Any, shape: Any) -> Any:
        return jax.ShapeDtypeStruct(tuple(shape), jax.dtypes.canonicalize_dtype(t2j_dtype(tensor_dtype)))

    import torch

    weights = tuple(aval(source.tensors[name].dtype, source.tensors[name].shape) for name in names)
    inputs = tuple(aval(getattr(torch, spec.dtype), spec.shape) for spec in program.inputs)
    # The precision of a product is part of the module: left at its default, an accelerator may round float32 to TF32.
    with jax.default_matmul_precision("highest"):
        exported = jax.export.export(jax.jit(call, keep_unused=True), platforms=[platform])(weights, *inputs)
    found_inputs = exported.in_avals[len(names) :]
    check_ends(program, "stablehlo", "input", [(each.shape, np.dtype(each.dtype).name) for each in found_inputs])
    check_ends(program, "stablehlo", "output", [(each.shape, np.dtype(each.dtype).name) for each in exported.out_avals])
    unused = sorted(set(source.tensors) - set(names))
    draft = save(exported, program, directory, names)
    return replace(
        draft,
        weight_bytes=sum(source.tensors[name].nbytes for name in names),
        weight_note=f"not used by this program: {', '.join(unused[:4])}" if unused else "",
    )


def save(exported: Any, program: Program, directory: Path, weights: Sequence[str] = ()) -> Draft:
    """Write an exported `call(weights, *inputs)`, and its module alone; without weights they are constants of it."""
    import numpy as np

    entry, module = directory / "program.jaxexport", directory / "program.mlirbc"
    entry.write_bytes(exported.serialize())
    module.write_bytes(exported.mlir_module_serialized)
    return Draft(
        entry=entry.name,
        weight_bytes=0,
        weight_note="its weights are constants of the file",
        details={
            "weights": list(weights),
            "module": module.name,
            "input_dtypes": [np.dtype(each.dtype).name for each in exported.in_avals[len(weights) :]],
            "output_dtypes": [np.dtype(each.dtype).name for each in exported.out_avals],
            "platforms": list(exported.platforms),
            "calling_convention_version": exported.calling_convention_version,
        },
    )


def decompositions(torchax_export: Any) -> Any:
    """torch's table to core aten, and torchax's own for what that leaves.

    torchax's converter applies one after the other. Operators that a decomposition writes are decomposed in the same
    pass, so that one with both tables ends in the same program, in half the time. Transposed convolutions in groups,
    which torchax gets wrong, are split before it sees them.
    """
    import torch

    table = torch.export.default_decompositions()
    own = torchax_export.decompositions.DECOMPOSITIONS
    table.update({operator: how for operator, how in own.items() if operator not in table})
    table[torch.ops.aten.convolution.default] = each_group
    return table


def import_torchax() -> Any:
    """The module `torchax.export`, imported although torch has dropped operators that torchax names.

    torchax 0.0.13 lists named-tensor overloads (`prod.dim_Dimname`, `norm.names_out`, ...) in tables of
    operators; torch 2.13 has none of them any more. While torchax is imported, and only then, looking
    up such an overload answers with a placeholder instead of AttributeError. Nothing can call one:
    no program that torch exports holds an operator that torch lacks.
    """
    with _named_overloads_tolerated():
        import torchax
        import torchax.export

        torchax.default_env()  # registers the operators, from modules that are imported only now
        backward.register()
    return torchax.export


@contextlib.contextmanager
def _named_overloads_tolerated() -> Iterator[None]:
    from torch._ops import OpOverloadPacket

    found = OpOverloadPacket.__getattr__

    def tolerant(packet: Any, name: str) -> Any:
        try:
            return found(packet, name)
        except AttributeError:
            if "dimname" in name.lower() or name.startswith("names_") or "_names" in name:
                return _AbsentOverload(f"{packet}.{name}")
            raise

    OpOverloadPacket.__getattr__ = tolerant
    try:
        yield
    finally:
        OpOverloadPacket.__getattr__ = found


class _AbsentOverload:
    """Stands in torchax's tables for an operator that this torch does not have."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"<absent operator {self._name}>"


FORMAT = Format(
    name="stablehlo",
    packages=("torchax", "jax", "jaxlib"),
    extra="xla",
    convert=convert,
    save=save,
    leaves_traces=True,  # it registers a device with torch, which stays
    revision="7",  # 2: see fold; 3: without the lines of Python; 4: see grouped; 6: scopes name nodes; 7: the module
)
