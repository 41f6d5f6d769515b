"""The suite `memory`: what fits. Programs with a large intermediate value, and the same in chunks.

`--largest rows` searches for the largest that completes; out of memory is a result. A compiler that fuses a product
with what follows it needs no chunks.
"""

from typing import TYPE_CHECKING

from steelyard.lowering import plain
from steelyard.lowering.catalogue import Extents, Model, Size, Tensor, suite

if TYPE_CHECKING:
    import torch

_CHUNKS = 8
_NEAREST = 10


def _flop(at: Extents) -> float:
    """The products of all pairs, of one row."""
    return 2.0 * int(at["columns"] * at["width"])


def _sizes(chunks: int, what: str) -> dict[str, Size]:
    def size(rows: int, columns: int, width: int) -> Size:
        return Size(
            config={"what": what, "chunks": chunks}, axes={"rows": rows, "columns": columns, "width": width}, flop=_flop
        )

    return {"tiny": size(32, 64, 8), "small": size(2048, 4096, 32), "full": size(32_768, 65_536, 64)}


def _nearest(meaning: str, chunks: int) -> Model:
    return Model(
        meaning=meaning,
        source=f"{__name__}:pairs",
        inputs={"x": Tensor(shape=("rows", "width")), "y": Tensor(shape=("columns", "width"))},
        outputs={"distances": Tensor(shape=("rows", _NEAREST))},
        sizes=_sizes(chunks, "nearest"),
        items="rows",
        unit="rows",
    )


def _product(meaning: str, chunks: int) -> Model:
    return Model(
        meaning=meaning,
        source=f"{__name__}:pairs",
        inputs={
            "x": Tensor(shape=("rows", "width")),
            "y": Tensor(shape=("columns", "width")),
            "values": Tensor(shape=("columns",)),
        },
        outputs={"product": Tensor(shape=("rows",))},
        sizes=_sizes(chunks, "product"),
        items="rows",
        unit="rows",
    )


MODELS = {
    "nearest": _nearest("squared distances to the ten nearest neighbours, all pairs at once", 1),
    "nearest_chunked": _nearest(f"the same, {_CHUNKS} parts of the rows one after the other", _CHUNKS),
    "kernel_product": _product("a Gaussian kernel matrix times a vector, all pairs at once", 1),
    "kernel_product_chunked": _product(f"the same, {_CHUNKS} parts of the rows one after the other", _CHUNKS),
}


def pairs(*, in_place: bool, what: str, chunks: int, dtype: str) -> "torch.nn.Module":
    """Over the squared distances of all pairs of x [rows, width] and y [columns, width], in chunks of rows.

    `nearest`: (x, y) -> (the ten smallest of each row [rows, 10]). `product`: (x, y, values [columns]) ->
    (exp(-distance / width) times values [rows]).
    """
    import torch
    from torch import nn

    del in_place

    class Pairs(nn.Module):  # type: ignore[misc]
        """See the function."""

        def forward(self, x: torch.Tensor, y: torch.Tensor, *values: torch.Tensor) -> "tuple[torch.Tensor, ...]":
            """See the function."""
            lengths = (y * y).sum(1)[None, :]
            found = []
            for part in x.chunk(chunks):
                distances = (part * part).sum(1)[:, None] - 2 * (part @ y.T) + lengths
                if what == "nearest":
                    found.append(distances.topk(_NEAREST, largest=False).values)
                else:
                    found.append(torch.exp(-distances / x.shape[1]) @ values[0])
            return (torch.cat(found),)

    return plain.on_meta(Pairs, dtype)


SUITE = suite(
    name="memory",
    version=1,
    question="How much fits into memory with each backend, and at what speed?",
    headline="nearest",
    models=MODELS,
    axes={
        "rows": "points for which something is computed",
        "columns": "points that each of them meets",
        "width": "coordinates of a point",
    },
)
