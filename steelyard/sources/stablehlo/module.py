"""A program of StableHLO as JAX's own parser reads it, and as JAX calls what was exported from it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steelyard.core.errors import CheckpointError
from steelyard.core.reason import reason_of
from steelyard.core.workload import Program

if TYPE_CHECKING:
    import torch

    Tensors = Mapping[str, torch.Tensor]

Ends = tuple[tuple[str, tuple[int | str, ...]], ...]
_BYTECODE = b"ML\xefR"
_DTYPES = {
    "f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16", "i64": "int64", "i32": "int32",
    "i16": "int16", "i8": "int8", "ui8": "uint8", "i1": "bool",
}  # fmt: skip
_LIBRARY = re.compile(r"lapack_\w+_ffi|Sharding|SPMDFullToShardShape|SPMDShardToFullShape")
"""Calls out of a program that check what they are given. All others are refused: some take addresses."""
_STRICT = {"xla_backend_optimization_level": 0, "xla_cpu_enable_fast_math": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A program as text and as portable bytecode; type and extents of what `main` takes and gives, `?` where open."""

    text: str
    artifact: bytes
    inputs: Ends
    outputs: Ends


def load(data: bytes, name: str) -> Module:
    """The program in the bytes of a file. Raises CheckpointError for bytes that are none, and for one without a `main`
    or with calls out of it."""
    from jax.interpreters import mlir
    from jaxlib.mlir import ir
    from jaxlib.mlir.dialects import stablehlo

    try:
        with mlir.make_ir_context() as context:
            if data.startswith(_BYTECODE):
                module = stablehlo.deserialize_portable_artifact(context, data)
            else:
                module = ir.Module.parse(data.decode())
            module.operation.verify()
            calls: list[str] = []
            sides: list[tuple[Ends, Ends]] = []

            def look(operation: Any) -> Any:
                if operation.name == "stablehlo.custom_call":
                    calls.append(ir.StringAttr(operation.attributes["call_target_name"]).value)
                if operation.name == "func.func" and ir.StringAttr(operation.attributes["sym_name"]).value == "main":
                    kind = ir.FunctionType(ir.TypeAttr(operation.attributes["function_type"]).value)
                    sides.append((tuple(map(_end, kind.inputs)), tuple(map(_end, kind.results))))
                return ir.WalkResult.ADVANCE

            module.operation.walk(look)
            text = str(module.operation.get_asm(enable_debug_info=False))
            artifact = stablehlo.serialize_portable_artifact(module, stablehlo.get_current_version())
    except Exception as error:  # whatever a parser of foreign bytes raises
        raise CheckpointError(f"{name}: not a program of StableHLO: {reason_of(error)}") from error
    if stray := next((call for call in calls if not _LIBRARY.fullmatch(call)), None):
        raise CheckpointError(f"{name}: it calls '{stray}', which is no operator of StableHLO: write it without that")
    if not sides:
        raise CheckpointError(f"{name}: it has no function 'main'")
    return Module(text=text, artifact=artifact, inputs=sides[0][0], outputs=sides[0][1])


def exported(module: Module, platform: str) -> Any:
    """The program as an object of `jax.export`, which has `call`. With 64-bit types on."""
    import jax
    import jax.export
    import jax.numpy as jnp

    def avals(ends: Ends) -> tuple[Any, ...]:
        return tuple(jax.core.ShapedArray(extents, jnp.dtype(dtype)) for dtype, extents in ends)

    inputs, outputs = avals(module.inputs), avals(module.outputs)
    return jax.export.Exported(
        fun_name="main",
        in_tree=jax.tree.structure(((0,) * len(inputs), {})),
        in_avals=inputs,
        out_tree=jax.tree.structure((0,) * len(outputs)),
        out_avals=outputs,
        _has_named_shardings=False,
        _in_named_shardings=(None,) * len(inputs),
        _out_named_shardings=(None,) * len(outputs),
        in_shardings_hlo=(None,) * len(inputs),
        out_shardings_hlo=(None,) * len(outputs),
        nr_devices=1,
        platforms=(platform,),
        ordered_effects=(),
        unordered_effects=(),
        disabled_safety_checks=(),
        mlir_module_serialized=module.artifact,
        calling_convention_version=jax.export.maximum_supported_calling_convention_version,
        module_kept_var_idx=tuple(range(len(inputs))),
        uses_global_constants=False,
        _get_vjp=None,
    )


class Strict:
    """The program on the CPU without optimisation, compiled at the first call: tensors by name in and out."""

    def __init__(self, program: Program, module: Module) -> None:
        self._program, self._module = program, module
        self._compiled: Any = None

    def __call__(self, given: "Tensors") -> "Tensors":  # noqa: D102
        import jax
        import numpy as np
        import torch

        with jax.enable_x64(True):
            inner = exported(self._module, "cpu")
            shapes = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in inner.in_avals]
            if self._compiled is None:
                self._compiled = jax.jit(inner.call).lower(*shapes).compile(compiler_options=_STRICT)
            values = (_array(given[spec.name]) for spec in self._program.inputs)
            outputs = self._compiled(*(one.astype(each.dtype) for one, each in zip(values, shapes, strict=True)))
        return {
            spec.name: torch.from_numpy(np.array(one, "float32" if spec.dtype == "bfloat16" else one.dtype))
            for spec, one in zip(self._program.outputs, outputs, strict=True)
        }


def only_on_cpu() -> None:
    """JAX takes no accelerator's memory in this process, and writes no path of it into what it exports."""
    import jax

    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_traceback_in_locations_limit", 0)


def _end(kind: Any) -> tuple[str, tuple[int | str, ...]]:
    """Type and extents of a tensor; another type by its text."""
    from jaxlib.mlir import ir

    if not isinstance(kind, ir.RankedTensorType):
        return str(kind), ()
    extents = ["?" if kind.is_dynamic_dim(at) else kind.get_dim_size(at) for at in range(kind.rank)]
    return _DTYPES.get(str(kind.element_type), str(kind.element_type)), tuple(extents)


def _array(tensor: "torch.Tensor") -> Any:
    import torch

    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
