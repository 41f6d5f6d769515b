"""Tolerance levels: from -10 to 4, how close an output has to be, element by element.

At level t an element is close enough where |out - ref| <= a + r |ref|, with a = 10^t and r = 10^(k t / 5), k by dtype:
level -5 is what `torch.testing.assert_close` asks for unless told otherwise, level 0 hardly asks for anything. The
levels, and the scores S(t) and ES(t) on them, are those of GraphNet (arXiv 2510.24035).
"""

from collections.abc import Mapping

LEVELS = range(-10, 5)

BEYOND = LEVELS.stop
"""In place of a level: not close enough at any."""

_DIGITS: Mapping[str, float] = {"float16": 3.0, "bfloat16": 1.796, "float32": 5.886, "float64": 7.0}
"""k: decimal digits of the relative tolerance at level -5."""


def has_levels(dtype: str) -> bool:
    """Whether there are levels for a dtype: for floating-point numbers of 16 bits and more."""
    return dtype in _DIGITS


def allowed(level: int, dtype: str) -> tuple[float, float]:
    """The absolute and the relative tolerance at a level. Raises KeyError for a dtype without levels."""
    relative = 10.0 ** (level * _DIGITS[dtype] / 5)
    return (relative if dtype == "float64" else 10.0**level), relative
