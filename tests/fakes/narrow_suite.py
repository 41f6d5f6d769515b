"""The suite `narrow`: one program with inputs and outputs of every integer type and bool, beside a floating one.

Given to the command line as `--suite tests.fakes.narrow_suite:SUITE`.
"""

import dataclasses
from pathlib import Path
from typing import Any

from steelyard.core.workload import Point, Selection, Suite, TensorSpec
from tests.fakes import small_suite

HERE = "tests.fakes.narrow_suite"
DTYPES = ("uint8", "int8", "int16", "int32", "int64", "bool")


def points(selection: Selection) -> tuple[Point, ...]:
    (small,) = small_suite.points(Selection(device_kind="cpu", workloads=("wide",)))
    inputs = tuple(TensorSpec(name=f"{dtype}_in", shape=(4, 8), dtype=dtype) for dtype in DTYPES)  # type: ignore[arg-type]
    outputs = tuple(dataclasses.replace(spec, name=spec.name.replace("_in", "_out")) for spec in inputs)
    main = small.programs["main"]
    program = dataclasses.replace(
        main, name="narrow", source=f"{HERE}:build", inputs=(*main.inputs, *inputs), outputs=(*main.outputs, *outputs)
    )
    return (
        dataclasses.replace(
            small, suite="narrow", workload="narrow", axes={}, programs={"main": program}, pool=f"{HERE}:make"
        ),
    )


def build(*, in_place: bool) -> Any:
    import torch

    class Narrow(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = torch.nn.Parameter(torch.empty(8, 8, device="meta"))

        def forward(self, x: Any, *narrow: Any) -> Any:
            return (x @ self.w, *(~each if each.dtype == torch.bool else each + each for each in narrow))

    return Narrow()


def make(point: Point, modules: Any, tokenizer_dir: Path | None, count: int) -> Any:
    import torch

    from steelyard.lowering.entry import PoolEntry

    generator = torch.Generator().manual_seed(7)
    program = point.programs["main"]
    entries = []
    for _ in range(count):
        x = torch.randn(4, 8, generator=generator)
        numbers = [torch.randint(0, 2, (4, 8), generator=generator) for _ in DTYPES]
        narrow = [each.to(getattr(torch, name)) for each, name in zip(numbers, DTYPES, strict=True)]
        outputs = modules["main"](x.double(), *narrow)
        given = dict(zip((spec.name for spec in program.inputs), (x, *narrow), strict=True))
        entries.append(
            PoolEntry(inputs=given, references=dict(zip((spec.name for spec in program.outputs), outputs, strict=True)))
        )
    return entries


SUITE = Suite(
    name="narrow",
    version=1,
    question="Is every type known to every backend?",
    headline="narrow",
    workloads={"narrow": "y = x @ w, and each of the others doubled"},
    sizes=("tiny",),
    axes=(),
    points=points,
)
