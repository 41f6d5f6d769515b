"""The points that a suite makes of what was asked for, held against what the suite itself declares.

Whatever is wrong with a suite before anything was lowered is told here, once: to the user where a name was given that
the suite does not have, and to its author where the suite could not be measured on any backend.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from steelyard.core.errors import SteelyardError, SuiteError, UsageError, unknown_name
from steelyard.core.pointers import refuse_pointers
from steelyard.core.reason import reason_of
from steelyard.core.workload import (
    ARRAYS,
    DTYPE_BYTES,
    SCORE,
    SCORED,
    Point,
    Program,
    Role,
    Selection,
    Suite,
    TensorSpec,
)  # fmt: skip
from steelyard.lowering import streams
from steelyard.measure.driver import driver_of

_FLOATING = tuple(name for name in DTYPE_BYTES if "float" in name)
_SPEC_ROLES = get_args(Role)


def points_of(suite: Suite, selection: Selection) -> tuple[Point, ...]:
    """The points of a selection.

    Raises UsageError for names that the suite does not have, CheckpointError for weights that were not pulled, and
    SuiteError for points that cannot be what is meant.
    """
    if suite.headline not in suite.workloads:
        raise SuiteError(
            f"suite error: suite '{suite.name}': its headline '{suite.headline}' is none of its workloads: "
            f"{', '.join(suite.workloads)}"
        )
    counts = streams.asked(suite, selection)
    if counts:
        selection = streams.without(selection)
    _check_names(suite, selection)
    if selection.weights_dir is not None:
        refuse_pointers(Path(selection.weights_dir))
    try:
        points = tuple(suite.points(selection))
    except SteelyardError:
        raise
    except Exception as error:  # whatever the author's code raises
        raise SuiteError(f"suite error: suite '{suite.name}': points() failed: {reason_of(error)}") from error
    for point in points:
        if not isinstance(point, Point):
            raise SuiteError(f"suite error: suite '{suite.name}': points() gave a {type(point).__name__}, not a Point")
        if fault := next(_faults(point), ""):
            raise of_point(point, fault)
    return streams.spread(points, counts) if counts else points


def of_point(point: Point, fault: str) -> SuiteError:
    """The error of a suite's author, with the names of suite and workload."""
    return SuiteError(f"suite error: suite '{point.suite}', workload '{point.title}': {fault}")


def _check_names(suite: Suite, selection: Selection) -> None:
    for name in (*selection.workloads, *selection.exclude):
        if name not in suite.workloads:
            raise unknown_name("workload", name, suite.workloads)
    if selection.size is not None and selection.size not in suite.sizes:
        raise unknown_name("size", selection.size, suite.sizes)
    axes = {axis.name: axis for axis in suite.axes}
    for name, texts in selection.axes.items():
        if name not in axes:
            raise unknown_name("axis", name, axes)
        for text in texts:
            if axes[name].choices and text not in axes[name].choices:
                raise unknown_name(f"value of axis '{name}'", text, axes[name].choices)
            if axes[name].kind == "int" and not text.strip().lstrip("-").isdecimal():
                raise UsageError(f"axis '{name}': '{text}' is not a whole number")


def _faults(point: Point) -> Iterator[str]:
    """What no backend could make good, as sentences for the author."""
    try:
        lacking = [role for role in driver_of(point).programs if role not in point.programs]
    except UsageError as error:
        yield str(error)
    else:
        if lacking:
            yield f"the driver '{point.driver}' runs the program {lacking[0]}, which is not among its programs"
        if SCORE in point.settings and not driver_of(point).counts_answers:
            yield f"the driver '{point.driver}' counts no right answers: leave out the setting '{SCORE}'"
    if (SCORE in point.settings) != (SCORED in point.settings):
        yield f"the settings '{SCORE}', a function, and '{SCORED}', what it counts in words, belong together"
    for role, program in point.programs.items():
        for fault in _program_faults(program):
            yield f"program '{role}'{fault}"
    for name, path in _code(point):
        if not all(path.partition(":")):
            yield f"{name} is '{path}': write it as module:function"
    try:
        _ = point.key
    except (TypeError, ValueError) as error:
        yield f"its definition has no JSON form ({error}): arguments, settings and axes take plain numbers and texts"


def _code(point: Point) -> Iterator[tuple[str, str]]:
    yield "pool", point.pool
    for name in (ARRAYS, SCORE):
        if name in point.settings:
            yield f"the setting '{name}'", str(point.settings[name])
    for role, program in point.programs.items():
        yield f"source of program '{role}'", program.source
        yield f"source of the weights of program '{role}'", program.weights.source


def _program_faults(program: Program) -> Iterator[str]:
    if program.dtype not in _FLOATING:
        yield f": its dtype is '{program.dtype}', the type it computes in: give one of {', '.join(_FLOATING)}"
    if not program.outputs:
        yield " declares no output: nothing could be checked"
    for side, specs in (("input", program.inputs), ("output", program.outputs)):
        for spec in specs:
            for fault in _spec_faults(spec):
                yield f", {side} '{spec.name}': {fault}"
        names = [spec.name for spec in specs]
        if twice := next((name for name in names if names.count(name) > 1), ""):
            yield f" declares two {side}s '{twice}': give each a name of its own"


def _spec_faults(spec: TensorSpec) -> Iterator[str]:
    if spec.dtype not in DTYPE_BYTES:
        hint = ", and complex numbers as two outputs, their parts" if spec.dtype.startswith("complex") else ""
        yield f"its dtype is '{spec.dtype}', which is not known here: give one of {', '.join(DTYPE_BYTES)}{hint}"
    if not all(_is_extent(extent) for extent in spec.shape):
        yield f"its shape is {list(spec.shape)}: shapes are static, give every extent as a number from 0"
    if spec.role not in _SPEC_ROLES:
        yield f"its role is '{spec.role}': give one of {', '.join(_SPEC_ROLES)}"


def _is_extent(extent: Any) -> bool:
    return isinstance(extent, int) and not isinstance(extent, bool) and extent >= 0
