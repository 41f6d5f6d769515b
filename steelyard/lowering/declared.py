"""What a suite's code gives, held against what its points declare, before any backend is asked for anything.

Each difference is a SuiteError that names the program and the input or output. A backend that was given such a point
would only repeat it in words of its own.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from steelyard.core.errors import SuiteError
from steelyard.core.suites_code import suites_code
from steelyard.core.workload import CHOSEN_FROM, Point, Program, TensorSpec
from steelyard.lowering.entry import PoolEntry
from steelyard.lowering.source import example_inputs
from steelyard.lowering.tolerance import BOUNDS, relative_l2
from steelyard.measure.driver import driver_of

if TYPE_CHECKING:
    import torch

    Tensors = Mapping[str, torch.Tensor]


def outputs_of(program: Program, returned: Any) -> "dict[str, torch.Tensor]":
    """What a forward returned, by output name: a tuple of tensors in order, or the tensor itself where it is one.

    Raises SuiteError for any other form, type or shape than is declared.
    """
    import torch

    names = ", ".join(spec.name for spec in program.outputs)
    values = (returned,) if isinstance(returned, torch.Tensor) else returned
    if not isinstance(values, tuple | list):
        raise SuiteError(
            f"program '{program.name}': its forward returns a {type(returned).__name__}; return a tuple of tensors in "
            f"the order of the outputs: {names}"
        )
    if len(values) != len(program.outputs):
        raise SuiteError(
            f"program '{program.name}': the module gave {len(values)} outputs instead of {len(program.outputs)} "
            f"({names}); return a tuple with each of them, or declare what it returns"
        )
    for spec, value in zip(program.outputs, values, strict=True):
        _check_tensor(value, spec, f"program '{program.name}', output '{spec.name}'")
    return {spec.name: value for spec, value in zip(program.outputs, values, strict=True)}


def run(program: Program, module: "torch.nn.Module", inputs: "Tensors") -> "dict[str, torch.Tensor]":
    """The outputs by name. Raises SuiteError for what the forward raises, and for outputs unlike those declared."""
    import torch

    mode = torch.no_grad() if program.gradients else torch.inference_mode()
    with mode, suites_code(f"program '{program.name}': its forward"):
        returned = module(*(inputs[spec.name] for spec in program.inputs))
    return outputs_of(program, returned)


def check_forward(point: Point, modules: "Mapping[str, torch.nn.Module]") -> None:
    """Call every program with zeros, with which it is also traced, and look at what comes back."""
    for role, program in point.programs.items():
        inputs = {spec.name: value for spec, value in zip(program.inputs, example_inputs(program), strict=True)}
        run(program, modules[role], inputs)


def check_pool(point: Point, pool: Sequence[Any]) -> None:
    """Raises SuiteError for input sets and references that are not those of the point's programs."""
    driver = driver_of(point)
    first = point.programs[driver.programs[0]]
    for index, entry in enumerate(pool):
        if not isinstance(entry, PoolEntry):
            raise SuiteError(f"{point.pool} gave a {type(entry).__name__}, not a PoolEntry")
        for spec in driver.inputs_of_set(point, index):
            if spec.name not in entry.inputs:
                raise SuiteError(f"{point.pool}: the input set lacks '{spec.name}' of program '{first.name}'")
            _check_tensor(entry.inputs[spec.name], spec, f"{point.pool}, input '{spec.name}'")
        wanted = dict(driver.references(point, index, entry.references))
        for name, shape in wanted.items():
            _check_reference(point, entry, name, shape)
        known = {*wanted, *CHOSEN_FROM}
        if stray := [name for name in entry.references if name not in known]:
            raise SuiteError(f"{point.pool} gives a reference for '{stray[0]}', which is no output")


def check_repeatable(
    program: Program, given: "Tensors", inputs: "Tensors", outputs: "Tensors", again: "Tensors"
) -> None:
    """Raises SuiteError where a call changed its inputs (`given` as they were), or a second one gave something else."""
    for name, before in given.items():
        if not _same(before, inputs[name]):
            raise SuiteError(
                f"program '{program.name}' changes its input '{name}' in place, though its source was not asked for "
                "in_place: clone it in the forward"
            )
    for name, value in outputs.items():
        apart = 0.0 if _same(again[name], value) else relative_l2(again[name], value)
        if apart > (BOUNDS[program.dtype][0] if value.is_floating_point() else 0.0):
            raise SuiteError(
                f"program '{program.name}', output '{name}': not deterministic: two calls with the same inputs differ "
                f"by {apart:.2g} (relative), so that no reference is right; draw nothing at random in the forward (a "
                "dropout must see that the module is in eval mode)"
            )


def _same(one: "torch.Tensor", other: "torch.Tensor") -> bool:
    """Whether all elements are equal; NaN is equal to NaN here."""
    return bool(((one == other) | (one.isnan() & other.isnan())).all())


def _check_tensor(value: Any, spec: TensorSpec, where: str) -> None:
    import torch

    if not isinstance(value, torch.Tensor):
        raise SuiteError(f"{where} is a {type(value).__name__}, not a tensor")
    found = f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
    if found != spec.declared:
        raise SuiteError(f"{where} is {found}, and declared as {spec.declared}: correct its TensorSpec or the code")


def _check_reference(point: Point, entry: PoolEntry, name: str, shape: tuple[int, ...]) -> None:
    import torch

    where = f"{point.pool}, output '{name}'"
    if name not in entry.references:
        raise SuiteError(f"{where} has no reference: give it in PoolEntry.references")
    value: Any = entry.references[name]
    if not isinstance(value, torch.Tensor):
        raise SuiteError(f"{where}: its reference is a {type(value).__name__}, not a tensor")
    if tuple(value.shape) != shape:
        raise SuiteError(f"{where}: its reference is {list(value.shape)}, the output {list(shape)}")
    if value.is_floating_point() and bool(value.isnan().any()):
        raise SuiteError(f"{where}: its reference holds NaN, with which nothing can be compared")
