"""The suite `gelu`: y = gelu(x @ w) by the error function, and a compiler that puts an approximation in its place.

--suite tests.fakes.gelu_suite:SUITE --backend torch_compile:tests.fakes.gelu_suite:by_tanh
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from steelyard.core.workload import Point, Program, Selection, Suite, TensorSpec, Weights, Work

ROWS, WIDTH = 16, 64
HERE = "tests.fakes.gelu_suite"


def points(selection: Selection) -> tuple[Point, ...]:
    program = Program(
        name="gelu",
        source=f"{HERE}:build",
        arguments={},
        weights=Weights(source=f"{HERE}:write", arguments={}, origin="seeded"),
        dtype="float32",
        inputs=(TensorSpec(name="x", shape=(ROWS, WIDTH), dtype="float32"),),
        outputs=(TensorSpec(name="y", shape=(ROWS, WIDTH), dtype="float32"),),
    )
    return (
        Point(
            suite="gelu",
            suite_version=1,
            workload="gelu",
            axes={},
            driver="call",
            programs={"main": program},
            settings={},
            pool=f"{HERE}:make",
            window=None,
            work=Work(flop=None, weight_bytes=None, items=ROWS, unit="rows"),
        ),
    )


def build(*, in_place: bool) -> Any:
    import torch

    class Gelu(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = torch.nn.Parameter(torch.empty(WIDTH, WIDTH, device="meta"))

        def forward(self, x: Any) -> Any:
            return (torch.nn.functional.gelu(x @ self.w),)

    return Gelu()


def write(arguments: Any, directory: Path, local: Path | None) -> None:
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(0)
    save_file({"w": torch.randn(WIDTH, WIDTH, generator=generator) / WIDTH**0.5}, directory / "weights.safetensors")


def make(point: Point, modules: Any, tokenizer_dir: Path | None, count: int) -> Any:
    import torch

    from steelyard.lowering.entry import PoolEntry

    generator = torch.Generator().manual_seed(7)
    inputs = [torch.randn(ROWS, WIDTH, generator=generator) for _ in range(count)]
    return [PoolEntry(inputs={"x": x}, references={"y": modules["main"](x.double())[0]}) for x in inputs]


def by_tanh(graph_module: Any, example_inputs: Sequence[Any]) -> Callable[..., Any]:
    """The torch.compile backend: every GELU by its approximation."""
    import torch

    for node in graph_module.graph.nodes:
        if node.target is torch.nn.functional.gelu:
            node.kwargs = {**node.kwargs, "approximate": "tanh"}
    graph_module.recompile()
    return graph_module.forward


SUITE = Suite(
    name="gelu",
    version=1,
    question="What becomes of an approximation that is meant?",
    headline="gelu",
    workloads={"gelu": "y = gelu(x @ w)"},
    sizes=("tiny",),
    axes=(),
    points=points,
)
