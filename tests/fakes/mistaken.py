"""The suite `mistaken`: each workload is `small`'s, with one mistake that an author of suites makes; `right` has none.

Given to the command line as `--suite tests.fakes.mistaken:SUITE`.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from steelyard.core.workload import Axis, Point, Selection, Suite, TensorSpec
from tests.fakes import small_suite

HERE = "tests.fakes.mistaken"


FORWARDS: Mapping[str, Callable[[Any], Any]] = {
    "right": lambda y: (y,),
    "bare tensor": lambda y: y,
    "dict": lambda y: {"y": y},
    "bare tensor for two": lambda y: y,
    "none": lambda y: (None,),
    "shape": lambda y: (y,),
    "dtype": lambda y: (y,),
    "raises": lambda y: (y.missing(),),
    "dropout": lambda y: (_dropout(y),),
    "minus infinity": lambda y: (_masked(y),),
    "other weights": lambda y: (y,),
    "no module": lambda y: (y,),
    "no reference": lambda y: (y, y + 1),
    "reference shape": lambda y: (y,),
    "reference text": lambda y: (y,),
    "nan": lambda y: (y / 0 * 0,),
    "overflow": lambda y: (y * 1e30 * 1e30 - y * 1e30 * 1e30 + y,),
    "input": lambda y: (y,),
    "in place": lambda y: (y,),
    "no such pool": lambda y: (y,),
    "pool raises": lambda y: (y,),
}
"""What the forward makes of y = x @ w."""


def _dropout(y: Any) -> Any:
    import torch

    return torch.nn.functional.dropout(y, 0.5)


def _masked(y: Any) -> Any:
    import torch

    return torch.where(torch.eye(*y.shape, dtype=torch.bool), float("-inf"), y)


def point(name: str) -> Point:
    """The point with this mistake."""
    (small,) = small_suite.points(Selection(device_kind="cpu", workloads=("wide",)))
    y = small.programs["main"].outputs[0]
    outputs: tuple[TensorSpec, ...] = (y,)
    if name in ("no reference", "bare tensor for two"):
        outputs = (y, dataclasses.replace(y, name="z"))
    if name == "shape":
        outputs = (dataclasses.replace(y, shape=(4, 7)),)
    if name == "dtype":
        outputs = (dataclasses.replace(y, dtype="int64"),)
    weights = dataclasses.replace(small.programs["main"].weights, source=f"{HERE}:write", arguments={"kind": name})
    program = dataclasses.replace(
        small.programs["main"],
        name="forward",
        source=f"{HERE}:build",
        arguments={"kind": name},
        weights=weights if name == "other weights" else small.programs["main"].weights,
        outputs=outputs,
    )
    pool = f"{HERE}:absent" if name == "no such pool" else f"{HERE}:make"
    return dataclasses.replace(
        small, suite="mistaken", workload=name, axes={}, programs={"main": program}, settings={}, pool=pool
    )


def build(*, in_place: bool, kind: str) -> Any:
    import torch

    if kind == "no module":
        return kind

    class Product(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = torch.nn.Parameter(torch.empty(8, 8, device="meta"))

        def forward(self, x: Any) -> Any:
            y = x @ self.w
            if kind == "in place":
                x.mul_(2)
            return FORWARDS[kind](y)

    return Product()


def write(arguments: Any, directory: Path, local: Path | None) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"v": torch.ones(8, 8)}, directory / "weights.safetensors")


def make(point: Point, modules: Any, tokenizer_dir: Path | None, count: int) -> Any:
    import torch

    from steelyard.lowering.entry import PoolEntry

    kind = point.workload
    if kind == "pool raises":
        raise ValueError("there are no inputs to be had")
    generator = torch.Generator().manual_seed(7)
    entries = []
    for _ in range(count):
        x = torch.randn(4, 8, generator=generator)
        returned = modules["main"](x.double())
        y = returned if isinstance(returned, torch.Tensor) else returned[0]
        given = {"reference shape": y[:2], "reference text": "y"}.get(kind, y)
        inputs = {"input": {"x": x[:2]}}.get(kind, {"x": x})
        entries.append(PoolEntry(inputs=inputs, references={"y": given}))
    return entries


def points(selection: Selection) -> tuple[Point, ...]:
    return tuple(point(name) for name in FORWARDS if not selection.workloads or name in selection.workloads)


SUITE = Suite(
    name="mistaken",
    version=1,
    question="Who is told of an author's mistake?",
    headline="right",
    workloads={name: name for name in FORWARDS},
    sizes=("tiny",),
    axes=(
        Axis(name="batch", kind="int", meaning="rows"),
        Axis(name="kind", kind="str", meaning="kind", choices=("a",)),
    ),
    points=points,
)
