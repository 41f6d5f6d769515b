"""The suite `small`: y = x @ w as a torch module, small enough that a whole run takes seconds.

Given to the command line as `--suite tests.fakes.small_suite:SUITE`; two workloads, the first the headline.
"""

import dataclasses
from pathlib import Path
from typing import Any

from steelyard.core.workload import Point, Program, Selection, Suite, TensorSpec, Weights, Work

WORKLOADS = {"wide": "y = x @ w", "narrow": "the same, as another program"}


def points(selection: Selection) -> tuple[Point, ...]:
    chosen = [name for name in WORKLOADS if name not in selection.exclude]
    return tuple(_point(name) for name in chosen if not selection.workloads or name in selection.workloads)


def _point(name: str) -> Point:
    program = Program(
        name=name,
        source="tests.fakes.small_suite:build",
        arguments={},
        weights=Weights(source="tests.fakes.small_suite:write", arguments={"seed": 0}, origin="seeded"),
        dtype="float32",
        inputs=(TensorSpec(name="x", shape=(4, 8), dtype="float32"),),
        outputs=(TensorSpec(name="y", shape=(4, 8), dtype="float32"),),
    )
    return Point(
        suite="small",
        suite_version=1,
        workload=name,
        axes={"batch": 4},
        driver="call",
        programs={"main": program},
        settings={},
        pool="tests.fakes.small_suite:make",
        window=None,
        work=Work(flop=512, weight_bytes=256, items=4, unit="rows"),
    )


def build(*, in_place: bool) -> Any:
    import torch

    class Product(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = torch.nn.Parameter(torch.empty(8, 8, device="meta"))

        def forward(self, x: Any) -> Any:
            return (x @ self.w,)

    return Product()


def write(arguments: Any, directory: Path, local: Path | None) -> None:
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(arguments["seed"])
    save_file({"w": torch.randn(8, 8, generator=generator)}, directory / "weights.safetensors")


def make(point: Point, modules: Any, tokenizer_dir: Path | None, count: int) -> Any:
    import torch

    from steelyard.lowering.entry import PoolEntry

    generator = torch.Generator().manual_seed(7)
    entries = []
    for _ in range(count):
        x = torch.randn(4, 8, generator=generator)
        entries.append(PoolEntry(inputs={"x": x}, references={"y": modules["main"](x.double())[0]}))
    return entries


def refuse(point: Point, modules: Any, tokenizer_dir: Path | None, count: int) -> Any:
    raise ValueError("there are no inputs to be had")


def _narrow_refused(selection: Selection) -> tuple[Point, ...]:
    wide, narrow = points(selection)
    return wide, dataclasses.replace(narrow, pool="tests.fakes.small_suite:refuse")


SUITE = Suite(
    name="small",
    version=1,
    question="Does the whole way work?",
    headline="wide",
    workloads=WORKLOADS,
    sizes=("tiny",),
    axes=(),
    points=points,
)
HALF = dataclasses.replace(SUITE, points=_narrow_refused)
"""The same, with one point that cannot be lowered."""
