"""Text drawn with the fonts that matplotlib carries, by a seed: what the labels of the two OCR models are of."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_WORDS = (
    "anchor", "basket", "cellar", "dagger", "engine", "fabric", "garden", "hammer", "island", "jacket", "kettle",
    "ladder", "marble", "napkin", "object", "parcel", "quarry", "ribbon", "saddle", "tunnel", "umpire", "violin",
    "winter", "yellow", "zephyr",
)  # fmt: skip
_MONO, _ADVANCE = "DejaVuSansMono", 0.602
"""A font whose characters all have this width, of their size."""
_FONTS = ("DejaVuSans", "DejaVuSerif", _MONO)
_SPECK = 12.0
"""The standard deviation of the noise of every pixel, of 255."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A line of text on a page, in pixels: its ends, the height of its middle, the size of its characters."""

    text: str
    left: int
    right: int
    middle: int
    size: int


def texts(index: int, count: int) -> list[str]:
    """So many lines of two words and a number, other ones for each index."""
    source = random.Random(1000 + index)  # noqa: S311 (a seed, no secret)
    return [
        f"{source.choice(_WORDS)} {source.choice(_WORDS).title()} {source.randrange(10000):04d}" for _ in range(count)
    ]


def line(text: str, width: int, height: int) -> "Array":
    """A line of text that fills the height, in an image [height, width] of bytes."""
    import numpy as np
    from PIL import Image, ImageDraw

    source = random.Random(text)  # noqa: S311
    image = Image.new("L", (width, height), 255)
    font = _font(source.choice(_FONTS), source.randint(22, 25))
    ImageDraw.Draw(image).text((6, height // 2), text, fill=source.randrange(0, 90), font=font, anchor="lm")
    return _specked(np.asarray(image), text)


def placed(lines: list[str], side: int) -> list[Placed]:
    """Lines of text below each other on a square page."""
    source = random.Random(" ".join(lines))  # noqa: S311
    found = []
    for place, text in enumerate(lines):
        size = source.randint(20, 30)
        width = round(_ADVANCE * size * len(text))
        left, middle = source.randint(10, side - 10 - width), (2 * place + 1) * side // (2 * len(lines))
        found.append(Placed(text=text, left=left, right=left + width, middle=middle, size=size))
    return found


def page(lines: list[str], side: int) -> "Array":
    """The page as an image [side, side] of bytes."""
    import numpy as np
    from PIL import Image, ImageDraw

    image = Image.new("L", (side, side), 255)
    draw = ImageDraw.Draw(image)
    for each in placed(lines, side):
        draw.text((each.left, each.middle), each.text, fill=40, font=_font(_MONO, each.size), anchor="lm")
    return _specked(np.asarray(image), lines[0])


def _font(name: str, size: int) -> Any:
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"), size)


def _specked(image: "Array", seed: str) -> "Array":
    import numpy as np

    noise = np.random.default_rng(list(seed.encode())).normal(0, _SPECK, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)
