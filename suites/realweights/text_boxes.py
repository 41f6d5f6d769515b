"""`text_boxes`: the detection model of PP-OCRv4 (PaddleOCR), a map of where text is on a page. How many of the drawn
lines does it find, each by itself?"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from steelyard.core.workload import Point, TensorSpec

from . import drawn, files

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

MEANING = "PP-OCRv4 detection: where text is on a page (PaddleOCR)"
_PACKAGE, _FILE = "rapidocr-onnxruntime", "models/ch_PP-OCRv4_det_infer.onnx"
_SIDE, _LINES = 640, 8
_MAP = "sigmoid_0.tmp_0"
_PARAMETERS, _FLOP = 1_171_841, 4_603_871_488
# Means and deviations of ImageNet's channels, with which the model was trained.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_TEXT = 0.3
"""Above it a place counts as text, as in the package's own use of the model."""
_NEARLY_ALL, _BESIDE = 0.75, 12
"""The model marks the core of a line, a little shorter than the line is; beyond so many pixels beside it is no text."""


def point(name: str) -> Point:
    """The point of the workload. Raises MissingPackage without the package of the weights."""
    program = files.onnx_program(
        name,
        _PACKAGE,
        _FILE,
        (TensorSpec(name="x", shape=(1, 3, _SIDE, _SIDE), dtype="float32"),),
        (TensorSpec(name=_MAP, shape=(1, 1, _SIDE, _SIDE), dtype="float32"),),
    )
    return files.scored_point(
        program, __name__, scored="lines found", flop=_FLOP, parameters=_PARAMETERS, items=1, unit="pages"
    )


def arrays(point: Point, index: int) -> "dict[str, Array]":
    """A page of lines of text."""
    import numpy as np

    del point
    page = drawn.page(_texts(index), _SIDE)
    channels = [(page / 255.0 - mean) / deviation for mean, deviation in zip(_MEAN, _DEVIATION, strict=True)]
    return {"x": np.stack(channels)[None].astype(np.float32)}


def score(point: Point, index: int, answer: "Mapping[str, Array]") -> tuple[int, int]:
    """How many lines are found: along its middle nearly all of a line is text, and around it there is none."""
    del point
    text = answer[_MAP][0, 0] > _TEXT
    half = _SIDE // (2 * _LINES)
    right = 0
    for each in drawn.placed(_texts(index), _SIDE):
        inside = text[each.middle - 2 : each.middle + 3, each.left : each.right].any(axis=0)
        band = text[each.middle - half : each.middle + half]
        around = [band[0], band[-1], band[:, : max(0, each.left - _BESIDE)], band[:, each.right + _BESIDE :]]
        right += bool(inside.mean() >= _NEARLY_ALL and not any(part.any() for part in around))
    return right, _LINES


def _texts(index: int) -> list[str]:
    return drawn.texts(100 + index, _LINES)
