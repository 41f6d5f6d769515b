"""`text_lines`: the recognition model of PP-OCRv4 (PaddleOCR): images of lines to characters. How many of them are
read as they were drawn?"""

import string
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from steelyard.core.workload import Point, TensorSpec

from . import drawn, files

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

MEANING = "PP-OCRv4 recognition: 4 lines of text to characters (PaddleOCR)"
PACKAGE = "rapidocr-onnxruntime"
_FILE = "models/ch_PP-OCRv4_rec_infer.onnx"
_COUNT, _HEIGHT, _WIDTH = 4, 48, 320
_CLASSES, _STRIDE = 6625, 8
_DRAWN = frozenset(string.ascii_letters + string.digits + " ")
_PARAMETERS, _FLOP = 2_690_352, 5_619_755_520


def point(name: str) -> Point:
    """The point of the workload. Raises MissingPackage without the package of the weights."""
    program = files.onnx_program(
        name,
        PACKAGE,
        _FILE,
        (TensorSpec(name="x", shape=(_COUNT, 3, _HEIGHT, _WIDTH), dtype="float32"),),
        (TensorSpec(name="softmax_11.tmp_0", shape=(_COUNT, _WIDTH // _STRIDE, _CLASSES), dtype="float32"),),
    )
    return files.scored_point(
        program,
        __name__,
        scored="characters read",
        flop=_FLOP,
        parameters=_PARAMETERS,
        items=_COUNT,
        unit="lines",
        labels={each: place for place, each in enumerate(_characters(), start=1) if each in _DRAWN},
    )


def arrays(point: Point, index: int) -> "dict[str, Array]":
    """Lines of dark text on white, [-1, 1], the same in all three channels."""
    import numpy as np

    del point
    lines = [drawn.line(text, _WIDTH, _HEIGHT) for text in texts(index)]
    grey = np.stack(lines).astype(np.float32) / 127.5 - 1.0
    return {"x": np.repeat(grey[:, None], 3, axis=1)}


def texts(index: int) -> list[str]:
    """What the lines of an input set say."""
    return drawn.texts(index, _COUNT)


def score(point: Point, index: int, answer: "Mapping[str, Array]") -> tuple[int, int]:
    """How many characters are right: those drawn less the edits that lead from what was read to them."""
    characters = {place: each for each, place in point.settings["labels"].items()}
    right = of = 0
    for text, probabilities in zip(texts(index), answer["softmax_11.tmp_0"], strict=True):
        read = _read(probabilities.argmax(axis=1), characters)
        right += max(0, len(text) - _edits(read, text))
        of += len(text)
    return right, of


def _read(classes: "Array", characters: Mapping[int, str]) -> str:
    """The text behind the likeliest class of each place: repeated classes are one, the first class is none (Graves et
    al., 2006). What is never drawn is read as `?`."""
    kept = [int(each) for place, each in enumerate(classes) if each and (place == 0 or each != classes[place - 1])]
    return "".join(characters.get(each, "?") for each in kept).strip()


def _edits(one: str, other: str) -> int:
    """Insertions, deletions and replacements that lead from one text to the other (Levenshtein, 1966)."""
    row = list(range(len(other) + 1))
    for place, mine in enumerate(one, start=1):
        before, row[0] = row[0], place
        for column, theirs in enumerate(other, start=1):
            before, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, before + (mine != theirs))
    return row[-1]


def _characters() -> list[str]:
    """The model's characters, which its file holds a line each; the last class is a blank."""
    return [*files.metadata(PACKAGE, _FILE, "character").splitlines(), " "]
