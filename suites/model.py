"""The suite `model`: a model of the user's own, on every backend that can read it. `bench run --model MODEL`."""

import re
from pathlib import Path

from steelyard import plugins
from steelyard.core.errors import UsageError
from steelyard.core.workload import Axis, Point, Selection, Suite, Work
from steelyard.lowering.foreign import program_of
from steelyard.lowering.own.files import shapes_of
from steelyard.lowering.own.inputs import digest_of

VERSION = 1


def points(selection: Selection) -> tuple[Point, ...]:
    """The model as one point. Raises UsageError for none, one that nothing reads, and extents that are not known."""
    if selection.weights_dir is None:
        raise UsageError("the suite model measures a model of yours: name it with --model FILE")
    path = Path(selection.weights_dir)
    inputs = selection.axes.get("inputs", ())
    if len(inputs) > 1:
        raise UsageError(f"--inputs: {len(inputs)} files; a run has one, with all arrays in it")
    digest = {"inputs": digest_of(inputs[0])} if inputs else {}
    extents = shapes_of(selection.axes.get("shape", ()))
    program = program_of(_reader(path), path, extents, inputs[0] if inputs else "")
    shapes = ",".join(f"{spec.name}={'x'.join(map(str, spec.shape))}" for spec in program.inputs)
    return (
        Point(
            suite="model",
            suite_version=VERSION,
            workload="model",
            axes={"model": path.name, "shape": shapes, **digest},
            driver="call",
            programs={"main": program},
            settings=digest,
            pool=program.arguments.get("factory", program.source),  # the user's own code is part of the identity
            window=None,
            work=Work(flop=None, weight_bytes=None, items=1, unit="calls"),
        ),
    )


def _reader(path: Path) -> str:
    """The source that takes what was named."""
    sources = plugins.sources()
    for name, source in sources.items():
        if source.pattern and re.fullmatch(source.pattern, str(path)):
            return name
    for name, source in sources.items():
        if source.marker and (path / source.marker).is_file():
            return name
    readers = {suffix: name for name, source in sources.items() for suffix in source.suffixes}
    if path.suffix not in readers:
        examples = " or ".join(source.example for source in sources.values() if source.example)
        known = f"{', '.join(sorted(readers))}{f', or {examples}' if examples else ''}"
        raise UsageError(f"--model {path.name}: nothing here reads such a file; give one that ends with {known}")
    if not path.is_file():
        raise UsageError(f"--model {path}: there is no such file")
    return readers[path.suffix]


SUITE = Suite(
    name="model",
    version=VERSION,
    question="How fast is a model of your own on each backend that can read it?",
    headline="model",
    workloads={"model": "one call of the model"},
    sizes=(),
    axes=(
        Axis(name="shape", kind="str", meaning="extents of an input, INPUT=1x3x224x224"),
        Axis(name="inputs", kind="str", meaning="arrays of the inputs, FILE.npz"),
    ),
    points=points,
)
