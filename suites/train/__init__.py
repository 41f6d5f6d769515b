"""The suite `train`: one training step of a model. The step is a program whose parameters are its state."""

import itertools
from collections.abc import Iterator

from steelyard.core.workload import (
    DTYPE_BYTES,
    Axis,
    DType,
    Point,
    Program,
    Selection,
    Suite,
    TensorSpec,
    Weights,
    Work,
)
from steelyard.lowering import choices

from .models import MODELS
from .step import KEPT, batch, state
from .trained import Trained, count

VERSION = 2
_HERE = "steelyard.suites.train.step"
_MEANINGS = {
    "batch": "sequences, images or samples in a step",
    "length": "tokens of a sequence",
    "pooling": "rows of a table that are summed for a sample",
}
_SMALLEST = {"length": 2}  # the token that follows is what a token is to predict


def points(selection: Selection) -> tuple[Point, ...]:
    """A step of every model at every batch, length, optimizer and dtype asked for."""
    chosen = choices.workloads("train", tuple(MODELS), selection)
    sizes = MODELS["gpt2"].sizes
    size = choices.size(selection, sizes) or ("small" if selection.device_kind == "cpu" else "full")
    return tuple(point for name in chosen for point in _points(name, MODELS[name], size, selection))


def _points(name: str, model: Trained, size: str, selection: Selection) -> Iterator[Point]:
    defaults = model.axes[size]
    optimizers = choices.names(selection, "optimizer", tuple(KEPT), (model.optimizer,))
    dtypes = choices.dtypes(selection)
    ranges = [choices.numbers(selection, axis, n, _SMALLEST.get(axis, 1)) for axis, n in defaults.items()]
    for optimizer, dtype, values in itertools.product(optimizers, dtypes, itertools.product(*ranges)):
        yield _point(name, model, size, optimizer, dtype, dict(zip(defaults, values, strict=True)))


def _point(name: str, model: Trained, size: str, optimizer: str, dtype: DType, axes: dict[str, int]) -> Point:
    at = {**model.sizes[size], **axes}
    carried = state(name, at, optimizer, dtype)
    program = Program(
        name="step",
        source=f"{_HERE}:build",
        arguments={"model": name, "at": at, "optimizer": optimizer, "dtype": dtype},
        weights=Weights(source=f"{_HERE}:write", arguments={}, origin="seeded"),
        dtype=dtype,
        inputs=(*batch(name, at, dtype), *carried),
        outputs=(TensorSpec(name="loss", shape=(1,), dtype=dtype), *carried),
        gradients=True,
    )
    return Point(
        suite="train",
        suite_version=VERSION,
        workload=name,
        axes={"size": size, "optimizer": optimizer, **axes, "dtype": dtype},
        driver="train",
        programs={"main": program},
        settings={"below": {key: at[b] if isinstance(b, str) else b for key, b in _bounds(model)}},
        pool=f"{_HERE}:make",
        window=None,
        work=Work(
            flop=3 * model.flop(at),  # backward takes twice the operations of forward
            weight_bytes=count(model.parameters(at)) * DTYPE_BYTES[dtype],
            items=model.items(at),
            unit=model.unit,
        ),
    )


def _bounds(model: Trained) -> Iterator[tuple[str, str | int]]:
    """Below what the whole numbers of each input lie."""
    return ((key, tensor.below) for key, tensor in model.batch.items() if tensor.below is not None)


SUITE = Suite(
    name="train",
    version=VERSION,
    question="How fast does each backend train?",
    headline="gpt2",
    workloads={name: model.meaning for name, model in MODELS.items()},
    sizes=tuple(MODELS["gpt2"].sizes),
    axes=(
        *(
            Axis(
                name=axis,
                kind="int",
                meaning=meaning,
                workloads=tuple(name for name, model in MODELS.items() if axis in model.axes["tiny"]),
            )
            for axis, meaning in _MEANINGS.items()
        ),
        Axis(name="optimizer", kind="str", meaning="how parameters follow from gradients", choices=tuple(KEPT)),
        Axis(name="dtype", kind="str", meaning="type of parameters and state", choices=choices.DTYPES),
    ),
    points=points,
)
