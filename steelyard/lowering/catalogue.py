"""A suite that is a table of models: what each is at each size gives its configurations. Imports no framework."""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from steelyard.core.citation import Citation
from steelyard.core.errors import SuiteError, UsageError
from steelyard.core.workload import Axis, DType, Json, Point, Selection, Suite, Sweep, TensorSpec, Work
from steelyard.lowering import choices, plain

Extent = int | str
Extents = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """An input or an output of a model.

    `shape` holds numbers and names: of axes, and of numbers in the arguments and extents of the size. `dtype` None is
    the one that the model computes in. `below` bounds random whole numbers; inputs of whole numbers without it are
    ones.
    """

    shape: tuple[Extent, ...]
    dtype: DType | None = None
    below: Extent | None = None

    def spec(self, name: str, extents: Extents, dtype: DType) -> TensorSpec:
        """With numbers for names."""
        try:
            shape = tuple(_number(each, extents) for each in self.shape)
        except SuiteError as error:
            raise SuiteError(f"'{name}': {error}") from None
        return TensorSpec(name=name, shape=shape, dtype=self.dtype or dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A model at a size.

    `config` are the arguments of its class, `axes` the axes that a user can choose on, each with its default, `extents`
    further numbers that its shapes have, or how they follow from the axes. `parameters` counts the model's; `flop` are
    the floating-point operations of one item, a product and a sum counted as two: a number, a function of config,
    extents and axes, or None for a model whose work is not arithmetic. `unread` are parameters that a call leaves
    alone: rows of tables that nothing looks up (`rows_left_alone`).
    """

    config: Mapping[str, Json]
    axes: Mapping[str, int]
    extents: Mapping[str, int] | Callable[[Mapping[str, int]], Mapping[str, int]] = field(default_factory=dict)
    parameters: int | Callable[[Extents], int] = 0
    flop: float | Callable[[Extents], float] | None = None
    unread: Callable[[Extents], int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A workload: a model at every size.

    `source` is `module:function` that builds the module, called with the size's `config`, `dtype` and `in_place`; for
    a class of transformers it is the default, and `kind` the name of the class. Where `weights` are given, their shapes
    are an argument too, and their number counts as parameters. `items` names the axis that counts items, and `unit` is
    the plural of one; without such an axis a call is one item.
    """

    meaning: str
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]
    sizes: Mapping[str, Size]
    kind: str = ""
    source: str = plain.TRANSFORMERS
    weights: Mapping[str, Tensor] = field(default_factory=dict)
    items: str | None = "batch"
    unit: str = "items"


def suite(
    name: str,
    version: int,
    question: str,
    headline: str,
    models: Mapping[str, Model],
    axes: Mapping[str, str],
    citations: Mapping[str, Citation] | None = None,
    together: int = 1,
) -> Suite:
    """The suite of the models, of which `together` share a launch (`Suite`); `axes` gives the meaning of each axis.
    Every axis can be searched for its largest value."""
    having = {axis: tuple(key for key, model in models.items() if _has(model, axis)) for axis in axes}
    unknown = {axis for model in models.values() for size in model.sizes.values() for axis in size.axes} - {*axes}
    if unknown:
        raise UsageError(f"suite {name}: the axis '{min(unknown)}' has no meaning given")
    sizes = tuple(next(iter(models.values())).sizes)
    if not sizes:
        raise UsageError(f"suite {name}: its first model has no size: give at least one")

    def points(selection: Selection) -> tuple[Point, ...]:
        usual = "small" if selection.device_kind == "cpu" else "full"
        size = choices.size(selection, sizes) or (usual if usual in sizes else sizes[-1])
        chosen = choices.workloads(name, tuple(models), selection)
        return tuple(point for key in chosen for point in of_model(key, size, selection))

    def of_model(key: str, size: str, selection: Selection) -> tuple[Point, ...]:
        try:
            return tuple(_points(name, version, key, models[key], size, selection))
        except SuiteError as error:
            raise SuiteError(f"suite error: suite '{name}', workload '{key}': {error}") from None

    return Suite(
        name=name,
        version=version,
        question=question,
        headline=headline,
        workloads={key: model.meaning for key, model in models.items()},
        sizes=sizes,
        axes=(
            *(Axis(name=axis, kind="int", meaning=text, workloads=having[axis]) for axis, text in axes.items()),
            Axis(name="dtype", kind="str", meaning="type of weights and inputs", choices=choices.DTYPES),
        ),
        points=points,
        sweeps=tuple(_sweep(axis, text) for axis, text in axes.items()),
        citations=citations or {},
        together=together,
    )


def _has(model: Model, axis: str) -> bool:
    return any(axis in size.axes for size in model.sizes.values())


def _sweep(axis: str, meaning: str) -> Sweep:
    return Sweep(name=axis, meaning=meaning, start=1, axes=lambda workload, selection, value: {axis: value})


def _points(suite_name: str, version: int, name: str, model: Model, size: str, selection: Selection) -> Iterator[Point]:
    if size not in model.sizes:
        raise SuiteError(f"it has no size '{size}', which the first workload of the suite has")
    at = model.sizes[size]
    ranges = [choices.numbers(selection, axis, default) for axis, default in at.axes.items()]
    for dtype, values in itertools.product(choices.dtypes(selection), itertools.product(*ranges)):
        chosen = dict(zip(at.axes, values, strict=True))
        extents = {**at.config, **(at.extents(chosen) if callable(at.extents) else at.extents), **chosen}
        weights = {key: each.spec(key, extents, dtype).shape for key, each in model.weights.items()}
        parameters = at.parameters(extents) if callable(at.parameters) else at.parameters
        parameters += sum(math.prod(shape) for shape in weights.values())
        items = extents[model.items] if model.items else 1
        flop = at.flop(extents) if callable(at.flop) else at.flop
        inputs = tuple(each.spec(key, extents, dtype) for key, each in model.inputs.items())
        outputs = tuple(each.spec(key, extents, dtype) for key, each in model.outputs.items())
        below = {key: _number(each.below, extents) for key, each in model.inputs.items() if each.below is not None}
        yield Point(
            suite=suite_name,
            suite_version=version,
            workload=name,
            axes={"size": size, **chosen, "dtype": dtype},
            driver="call",
            programs={
                "main": plain.program(name, model.source, _arguments(model, at, weights), dtype, inputs, outputs)
            },
            settings={"below": below} if below else {},
            pool=plain.POOL,
            window=None,
            work=Work(
                flop=None if flop is None else items * flop,
                weight_bytes=plain.weight_bytes(parameters, dtype),
                items=items,
                unit=model.unit,
                read_bytes=plain.weight_bytes(parameters - at.unread(extents), dtype) if at.unread else None,
            ),
        )


def _arguments(model: Model, at: Size, weights: Mapping[str, Sequence[int]]) -> Mapping[str, Json]:
    if model.kind:
        return {"model": model.kind, "config": dict(at.config)}
    return {**at.config, **({"weights": {name: list(shape) for name, shape in weights.items()}} if weights else {})}


def _number(extent: Extent, extents: Extents) -> int:
    if isinstance(extent, int):
        return extent
    if extent not in extents:
        raise SuiteError(f"the extent '{extent}' is neither an axis nor in the size's numbers: {', '.join(extents)}")
    return int(extents[extent])


def rows_left_alone(rows: int, width: int, looked_up: int) -> int:
    """Parameters of a table of so many rows that a call does not read: it looks up `looked_up` rows, or fewer."""
    return width * max(0, rows - looked_up)


def encoder_flop(extents: Extents) -> float:
    """Of one sequence through an encoder of transformers (Vaswani et al., 2017) with BERT's names: per layer four
    products with square matrices, two with those of the feed-forward part, two of attention."""
    width, inner, length = extents["hidden_size"], extents["intermediate_size"], extents["length"]
    return float(extents["num_hidden_layers"] * length * (8 * width**2 + 4 * width * inner + 4 * width * length))
