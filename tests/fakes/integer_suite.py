"""The suite `integer`: which of ten classes some ids choose; integers go in, and nothing but integers comes out.

Given to the command line as `--suite tests.fakes.integer_suite:SUITE`; `zeroing` is a backend of torch.compile that
destroys the ids after it has used them.
"""

from pathlib import Path
from typing import Any

from steelyard.core.workload import Point, Program, Selection, Suite, TensorSpec, Weights, Work

IDS, CLASSES = 16, 10


def points(selection: Selection) -> tuple[Point, ...]:
    program = Program(
        name="chosen",
        source="tests.fakes.integer_suite:build",
        arguments={},
        weights=Weights(source="tests.fakes.integer_suite:write", arguments={"seed": 0}, origin="seeded"),
        dtype="float32",
        inputs=(TensorSpec(name="ids", shape=(4, IDS), dtype="int64"),),
        outputs=(TensorSpec(name="best", shape=(4,), dtype="int64"),),
    )
    point = Point(
        suite="integer",
        suite_version=1,
        workload="chosen",
        axes={},
        driver="call",
        programs={"main": program},
        settings={},
        pool="tests.fakes.integer_suite:make",
        window=None,
        work=Work(flop=4 * IDS * CLASSES, weight_bytes=4000, items=4, unit="rows"),
    )
    return (point,)


def build(*, in_place: bool) -> Any:
    import torch

    class Chosen(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = torch.nn.Parameter(torch.empty(100, CLASSES, device="meta"))

        def forward(self, ids: Any) -> Any:
            return (self.table[ids].sum(1).argmax(-1),)

    return Chosen()


def write(arguments: Any, directory: Path, local: Path | None) -> None:
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(arguments["seed"])
    save_file({"table": torch.randn(100, CLASSES, generator=generator)}, directory / "weights.safetensors")


def make(point: Point, modules: Any, tokenizer_dir: Path | None, count: int) -> Any:
    import torch

    from steelyard.lowering.entry import PoolEntry

    generator = torch.Generator().manual_seed(7)
    entries = []
    for _ in range(count):
        # The first set is zeros: what destroys it changes nothing there.
        ids = torch.randint(0, 100 if entries else 1, (4, IDS), generator=generator)
        entries.append(PoolEntry(inputs={"ids": ids}, references={"best": modules["main"](ids)[0]}))
    return entries


def zeroing(module: Any, examples: Any) -> Any:
    import torch

    def call(*tensors: Any) -> Any:
        found = module(*tensors)
        for tensor in tensors:
            if tensor.dtype == torch.int64:
                tensor.zero_()
        return found

    return call


SUITE = Suite(
    name="integer",
    version=1,
    question="Are whole numbers judged?",
    headline="chosen",
    workloads={"chosen": "the largest of ten sums"},
    sizes=("tiny",),
    axes=(),
    points=points,
)
