"""The suite of the self-test: y = x @ w and z = tanh(y), so small that a launch costs nothing but its start.

Given by name as `steelyard.selftest.suite:SUITE`; not listed, because it answers no question about a runtime.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.core.errors import UsageError, unknown_name
from steelyard.core.workload import Axis, Point, Program, Selection, Suite, Sweep, TensorSpec, Weights, Work

if TYPE_CHECKING:
    from steelyard.lowering.entry import PoolEntry

ROWS, WIDTH = 4, 8
HEADLINE = "product"


def points(selection: Selection) -> tuple[Point, ...]:
    """One point, of ROWS rows; with the axis `batch` one for each of its values. Raises UsageError for other axes."""
    for name in selection.axes:
        if name != "batch":
            raise unknown_name("axis", name, ("batch",))
    texts = selection.axes.get("batch", ())
    if wrong := [text for text in texts if not text.isdecimal() or int(text) < 1]:
        raise UsageError(f"axis 'batch': '{wrong[0]}' is not a whole number of at least 1")
    return tuple(_point(int(text), {"batch": int(text)}) for text in texts) or (_point(ROWS, {}),)


def _point(rows: int, axes: Mapping[str, int]) -> Point:
    module = "steelyard.selftest.suite"
    program = Program(
        name=HEADLINE,
        source=f"{module}:build",
        arguments={},
        weights=Weights(source=f"{module}:write", arguments={"seed": 0}, origin="seeded"),
        dtype="float32",
        inputs=(TensorSpec(name="x", shape=(rows, WIDTH), dtype="float32"),),
        outputs=tuple(TensorSpec(name=name, shape=(rows, WIDTH), dtype="float32") for name in ("y", "z")),
    )
    return Point(
        suite="selftest",
        suite_version=1,
        workload=HEADLINE,
        axes=axes,
        driver="call",
        programs={"main": program},
        settings={},
        pool=f"{module}:make",
        window=None,
        work=Work(flop=2 * rows * WIDTH * WIDTH, weight_bytes=4 * WIDTH * WIDTH, items=rows, unit="rows"),
    )


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
    rows = point.programs["main"].inputs[0].shape[0]
    entries = []
    for _ in range(count):
        x = torch.randn(rows, WIDTH, generator=generator)
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
    axes=(Axis(name="batch", kind="int", meaning="rows of the input"),),
    points=points,
    sweeps=(
        Sweep(
            name="batch", meaning="rows of the input", start=1, axes=lambda workload, selection, value: {"batch": value}
        ),
    ),
)
