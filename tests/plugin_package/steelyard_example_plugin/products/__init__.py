"""A suite that is a folder: y = x @ w, timed in pairs of calls."""

from steelyard.core.workload import Point, Program, Selection, Suite, TensorSpec, Weights, Work

_HERE = "steelyard_example_plugin.products.model"


def points(selection: Selection) -> tuple[Point, ...]:
    """One point."""
    program = Program(
        name="product",
        source=f"{_HERE}:build",
        arguments={},
        weights=Weights(source=f"{_HERE}:write", arguments={"seed": 0}, origin="seeded"),
        dtype="float32",
        inputs=(TensorSpec(name="x", shape=(4, 8), dtype="float32"),),
        outputs=(TensorSpec(name="y", shape=(4, 8), dtype="float32"),),
    )
    return (
        Point(
            suite="products",
            suite_version=1,
            workload="twice",
            axes={},
            driver="pair",
            programs={"main": program},
            settings={},
            pool=f"{_HERE}:make",
            window=None,
            work=Work(flop=1024, weight_bytes=256, items=8, unit="rows"),
        ),
    )


SUITE = Suite(
    name="products",
    version=1,
    question="How fast are two products?",
    headline="twice",
    workloads={"twice": "two calls of y = x @ w"},
    sizes=("tiny",),
    axes=(),
    points=points,
)
