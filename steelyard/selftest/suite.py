"""The suite of the self-test: y = x @ w and z = tanh(y), so small that a launch costs nothing but its start.

Given by name as `steelyard.selftest.suite:SUITE`; not listed, because it answers no question about a runtime.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.core.workload import Point, Program, Selection, Suite, TensorSpec, Weights, Work

if TYPE_CHECKING:
    from steelyard.lowering.entry import PoolEntry

ROWS, WIDTH = 4, 8
HEADLINE = "product"


def points(selection: Selection) -> tuple[Point, ...]:
    """The one point."""
    module = "steelyard.selftest.suite"
    program = Program(
        name=HEADLINE,
        source=f"{module}:build",
        arguments={},
        weights=Weights(source=f"{module}:write", arguments={"seed": 0}, origin="seeded"),
        dtype="float32",
        inputs=(TensorSpec(name="x", shape=(ROWS, WIDTH), dtype="float32"),),
        outputs=tuple(TensorSpec(name=name, shape=(ROWS, WIDTH), dtype="float32") for name in ("y", "z")),
    )
    point = Point(
        suite="selftest",
        suite_version=1,
        workload=HEADLINE,
        axes={},
        driver="call",
        programs={"main": program},
        settings={},
        pool=f"{module}:make",
        window=None,
        work=Work(flop=2 * ROWS * WIDTH * WIDTH, weight_bytes=4 * WIDTH * WIDTH, items=ROWS, unit="rows"),
    )
    return (point,)


def build(*, in_place: bool) -> Any:
    """The module without its weights."""
    import torch

    class Product(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.w = torch.nn.Parameter(torch.empty(WIDTH, WIDTH, device="meta"))

        def forward(self, x: Any) -> Any:
            y = x @ self.w
            return y, torch.tanh(y)

    return Product()


def write(arguments: Mapping[str, Any], directory: Path, local: Path | None) -> None:
    """Seeded weights."""
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(arguments["seed"])
    save_file({"w": torch.randn(WIDTH, WIDTH, generator=generator)}, directory / "weights.safetensors")


def make(point: Point, modules: Mapping[str, Any], tokenizer_dir: Path | None, count: int) -> Sequence["PoolEntry"]:
    """Seeded inputs with the references of the module in fp64."""
    import torch

    from steelyard.lowering.entry import PoolEntry

    generator = torch.Generator().manual_seed(7)
    entries = []
    for _ in range(count):
        x = torch.randn(ROWS, WIDTH, generator=generator)
        y, z = modules["main"](x.double())
        entries.append(PoolEntry(inputs={"x": x}, references={"y": y, "z": z}))
    return entries


SUITE = Suite(
    name="selftest",
    version=1,
    question="Does the tool see what is known beforehand?",
    headline=HEADLINE,
    workloads={HEADLINE: "y = x @ w and z = tanh(y)"},
    sizes=("tiny",),
    axes=(),
    points=points,
)
