"""The suite `model`: a file of the user's own, on every backend that can read it. `bench run --model FILE`."""

from collections.abc import Mapping
from pathlib import Path

from steelyard import plugins
from steelyard.core.errors import UsageError
from steelyard.core.workload import Axis, Point, Selection, Suite, Work
from steelyard.lowering.foreign import program_of

VERSION = 1


def points(selection: Selection) -> tuple[Point, ...]:
    """The file as one point. Raises UsageError for none, one that nothing reads, and extents that are not known."""
    if selection.weights_dir is None:
        raise UsageError("the suite model measures a file of yours: name it with --model FILE")
    path = Path(selection.weights_dir)
    readers = {suffix: name for name, source in plugins.sources().items() for suffix in source.suffixes}
    if path.suffix not in readers:
        known = ", ".join(sorted(readers))
        raise UsageError(f"--model {path.name}: nothing here reads such a file; give one that ends with {known}")
    if not path.is_file():
        raise UsageError(f"--model {path}: there is no such file")
    program = program_of(readers[path.suffix], path, _shapes(selection.axes.get("shape", ())))
    shapes = ",".join(f"{spec.name}={'x'.join(map(str, spec.shape))}" for spec in program.inputs)
    return (
        Point(
            suite="model",
            suite_version=VERSION,
            workload="model",
            axes={"model": path.name, "shape": shapes},
            driver="call",
            programs={"main": program},
            settings={},
            pool=program.source,
            window=None,
            work=Work(flop=None, weight_bytes=None, items=1, unit="calls"),
        ),
    )


def _shapes(texts: tuple[str, ...]) -> Mapping[str, tuple[int, ...]]:
    """`input=1x3x224x224` as an input's extents."""
    found = {}
    for text in (part for given in texts for part in given.split(",")):
        name, equals, shape = text.rpartition("=")
        extents = shape.split("x") if shape else []  # a scalar has none
        if not equals or not name or not all(extent.isascii() and extent.isdigit() for extent in extents):
            raise UsageError(f"--shape '{text}' is not of the form INPUT=1x3x224x224")
        found[name] = tuple(map(int, extents))
    return found


SUITE = Suite(
    name="model",
    version=VERSION,
    question="How fast is a model of your own on each backend that can read it?",
    headline="model",
    workloads={"model": "one call of the model in the file"},
    sizes=(),
    axes=(Axis(name="shape", kind="str", meaning="extents of an input, INPUT=1x3x224x224"),),
    points=points,
)
