"""Relax, the program of TVM: from the exported program, with its weights as arguments behind the inputs.

Buffers (tables, masks, statistics of a batch norm) are constants of the module. `details["weights"]` names the stored
tensor of each further argument, in order.
"""

from pathlib import Path
from typing import Any

from steelyard.core.errors import LoweringError
from steelyard.lowering.format import Draft, Exported, Format, check_ends


def convert(source: Exported, directory: Path, option: str | None) -> Draft:
    """Write `program.json`, the module as TVM serialises it."""
    import tvm
    from torch.export.graph_signature import InputKind
    from tvm.relax.frontend.torch import from_exported_program

    program = source.program
    lowered = source.exported.run_decompositions()
    signature = lowered.graph_signature
    if signature.buffers_to_mutate or signature.user_inputs_to_mutate:
        raise LoweringError(f"{program.name} as tvm: the program changes its inputs or buffers in place")
    module = from_exported_program(
        lowered, keep_params_as_input=True, run_ep_decomposition=False, custom_convert_map=_MENDED
    )
    main = module["main"].without_attr("params")  # the values, which are stored beside it
    module["main"] = main
    count = len(program.inputs)
    check_ends(program, "tvm", "input", [_end(each.ty) for each in main.params[:count]])
    check_ends(program, "tvm", "output", [_end(each) for each in main.ret_ty.fields])
    targets = {spec.arg.name: spec.target for spec in signature.input_specs if spec.kind == InputKind.PARAMETER}
    weights = [source.stored[targets[each.name]] for each in main.params[count:]]
    file = directory / "program.json"
    file.write_text(tvm.ir.save_json(module))
    return Draft(
        entry=file.name,
        weight_bytes=sum(source.tensors[name].nbytes for name in dict.fromkeys(weights)),
        weight_note="buffers are constants of the module",
        details={"weights": weights},
    )


def _put(node: Any, importer: Any) -> Any:
    """Rows written at places along one axis, as a cache is; TVM's own translation fails beside axes that are whole."""
    from tvm.relax import op

    data, indices, values, *adds = importer.retrieve_args(node)
    given = [(axis, index) for axis, index in enumerate(indices) if index is not None]
    (axis, index), shape = given[0], importer.shape_of(values)
    if len(given) > 1 or index.ty.ndim != 1 or len(shape) != data.ty.ndim or any(adds):
        return importer._index_put(node)
    along = [shape[axis] if place == axis else 1 for place in range(len(shape))]
    everywhere = op.broadcast_to(op.reshape(index, along), shape)
    return importer.block_builder.emit(op.scatter_elements(data, everywhere, values, axis=axis))


def _select(node: Any, importer: Any) -> Any:
    """One place of an axis. TVM's own translation takes a place that is counted from the end as it is, and reads what
    lies before the tensor in memory (docs/upstream.md)."""
    from tvm import relax

    data, axis, place = importer.retrieve_args(node)
    extent = int(importer.shape_of(data)[axis])
    return importer.block_builder.emit(relax.op.take(data, relax.const(place % extent, "int64"), axis))


_MENDED = {"index_put.default": _put, "select.int": _select}


def _end(kind: Any) -> tuple[tuple[int, ...], str]:
    """Shape and type of an argument or a result."""
    return tuple(int(extent) for extent in kind.shape.values), str(kind.dtype)


FORMAT = Format(name="tvm", packages=("apache-tvm",), extra="tvm", convert=convert)
