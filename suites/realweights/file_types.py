"""`file_types`: Magika (Fratantonio et al., 2025), the type of a file from the bytes at its beginning and end. How many
files are called what they are?"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from steelyard.core.workload import Point, TensorSpec

from . import files, specimens

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

MEANING = "Magika: the types of 16 files from their bytes (Fratantonio et al., 2025)"
_PACKAGE, _FOLDER = "magika", "models/standard_v3_3"
_COUNT, _HALF, _BLOCK, _PADDING = 16, 1024, 4096, 256
"""config.min.json of the package: so many bytes from each end, of those read there without blank ones around them."""
_LABELS = 214
_PARAMETERS, _FLOP = 784_223, 11_734_974_464


def point(name: str) -> Point:
    """The point of the workload. Raises MissingPackage without the package of the weights."""
    program = files.onnx_program(
        name,
        _PACKAGE,
        f"{_FOLDER}/model.onnx",
        (TensorSpec(name="bytes", shape=(_COUNT, 2 * _HALF), dtype="int32"),),
        (TensorSpec(name="target_label", shape=(_COUNT, _LABELS), dtype="float32"),),
    )
    names = files.told(_PACKAGE, f"{_FOLDER}/config.min.json")["target_labels_space"]
    return files.scored_point(
        program,
        __name__,
        scored="file types named",
        flop=_FLOP,
        parameters=_PARAMETERS,
        items=_COUNT,
        unit="files",
        labels={label: names.index(label) for label in specimens.MAKERS},
    )


def arrays(point: Point, index: int) -> "dict[str, Array]":
    """The bytes that the model sees of each file."""
    import numpy as np

    del point
    return {"bytes": np.array([_seen(data) for _, data in specimens.files(index, _COUNT)], dtype=np.int32)}


def score(point: Point, index: int, answer: "Mapping[str, Array]") -> tuple[int, int]:
    """How many files have their own type as the likeliest."""
    places = point.settings["labels"]
    wanted = [places[label] for label, _ in specimens.files(index, _COUNT)]
    return int((answer["target_label"].argmax(axis=1) == wanted).sum()), _COUNT


def _seen(data: bytes) -> list[int]:
    """Both ends, each cut to its length or filled up on the side of the other."""
    first, last = data[:_BLOCK].lstrip(), data[-_BLOCK:].rstrip()
    if len(data) <= _BLOCK:
        first = last = data.strip()
    first, last = first[:_HALF], last[-_HALF:]
    return [*first, *[_PADDING] * (_HALF - len(first)), *[_PADDING] * (_HALF - len(last)), *last]
