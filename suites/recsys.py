"""The suite `recsys`: what ranks items for a user, by embeddings and products (DLRM) and by sequences (HSTU)."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from steelyard.lowering import plain
from steelyard.lowering.catalogue import Extents, Model, Size, Tensor, rows_left_alone, suite

if TYPE_CHECKING:
    import torch

_DENSE = 13


def _layers(widths: Sequence[int]) -> list[tuple[int, int]]:
    return list(itertools.pairwise(widths))


def _mlps(at: Extents) -> list[tuple[int, int]]:
    """The products of both multi-layer perceptrons, by their widths."""
    crossed = at["dim"] + (at["tables"] + 1) * at["tables"] // 2
    return _layers([_DENSE, *at["bottom"], at["dim"]]) + _layers([crossed, *at["top"], 1])


def _dlrm_parameters(at: Extents) -> int:
    return sum(a * b + b for a, b in _mlps(at)) + int(at["tables"] * at["rows"] * at["dim"])


def _dlrm_flop(at: Extents) -> float:
    """Perceptrons and the products of all pairs; the sums of embeddings are memory traffic."""
    return 2.0 * (sum(a * b for a, b in _mlps(at)) + int((at["tables"] + 1) ** 2 * at["dim"]))


def _dlrm(tables: int, rows: int, dim: int, bottom: list[int], top: list[int], batch: int, pooling: int) -> Size:
    return Size(
        config={"tables": tables, "rows": rows, "dim": dim, "bottom": bottom, "top": top},
        axes={"batch": batch, "pooling": pooling},
        parameters=_dlrm_parameters,
        flop=_dlrm_flop,
        unread=lambda at: at["tables"] * rows_left_alone(at["rows"], at["dim"], at["batch"] * at["pooling"]),
    )


def _recommender(meaning: str, small: Size, full: Size) -> Model:
    return Model(
        meaning=meaning,
        source=f"{__name__}:dlrm",
        inputs={
            "dense": Tensor(shape=("batch", _DENSE)),
            "rows_in": Tensor(shape=("batch", "tables", "pooling"), dtype="int64", below="rows"),
        },
        outputs={"score": Tensor(shape=("batch", 1))},
        sizes={"tiny": _dlrm(4, 100, 8, [16], [16], 8, 2), "small": small, "full": full},
        unit="samples",
    )


def _hstu(layers: int, width: int, heads: int, length: int, batch: int) -> Size:
    return Size(
        config={"layers": layers, "width": width, "heads": heads, "length": length},
        axes={"batch": batch},
        parameters=lambda at: (
            at["layers"] * (5 * at["width"] ** 2 + 9 * at["width"] + at["heads"] * (2 * at["length"] - 1))
        ),
        flop=lambda at: float(at["layers"] * at["length"] * (10 * at["width"] ** 2 + 4 * at["length"] * at["width"])),
    )


_CRITEO = {"bottom": [512, 256], "top": [1024, 1024, 512, 256]}
MODELS = {
    "dlrm_light": _recommender(
        "DLRM (Naumov et al., 2019) with few tables and small perceptrons",
        small=_dlrm(8, 10_000, 32, [64], [64], 64, 1),
        full=_dlrm(8, 1_000_000, 32, [64], [64], 2048, 1),
    ),
    "dlrm": _recommender(
        "DLRM with the perceptrons and 26 tables that MLPerf trains on the Criteo data",
        small=_dlrm(26, 10_000, 64, **_CRITEO, batch=64, pooling=1),
        full=_dlrm(26, 1_000_000, 128, **_CRITEO, batch=2048, pooling=1),
    ),
    "dlrm_pooled": _recommender(
        "DLRM with 20 rows of each of many tables summed up: memory traffic above all",
        small=_dlrm(40, 10_000, 64, [256], [512, 256], 64, 20),
        full=_dlrm(100, 500_000, 64, [256], [512, 256], 2048, 20),
    ),
    "hstu": Model(
        meaning="layers of HSTU: attention without softmax over a user's actions (Zhai et al., 2024, section 3)",
        source=f"{__name__}:hstu",
        inputs={"x": Tensor(shape=("batch", "length", "width"))},
        outputs={"y": Tensor(shape=("batch", "length", "width"))},
        sizes={"tiny": _hstu(1, 32, 2, 16, 1), "small": _hstu(2, 256, 4, 128, 1), "full": _hstu(8, 512, 8, 1024, 32)},
        unit="sequences",
    ),
}


def dlrm(
    *, in_place: bool, tables: int, rows: int, dim: int, bottom: list[int], top: list[int], dtype: str
) -> "torch.nn.Module":
    """(dense [batch, 13], rows_in [batch, tables, pooling]) -> (score [batch, 1]).

    Rows are looked up and summed: an embedding bag is a loop in ONNX.
    """
    import torch
    from torch import nn

    del in_place
    pairs = torch.tril_indices(tables + 1, tables + 1, offset=-1)

    def perceptron(widths: list[int]) -> nn.Sequential:
        parts = [part for a, b in _layers(widths) for part in (nn.Linear(a, b), nn.ReLU())]
        return nn.Sequential(*parts[:-1])

    class Dlrm(nn.Module):  # type: ignore[misc]
        """See the function."""

        def __init__(self) -> None:
            super().__init__()
            self.tables = nn.ModuleList(nn.Embedding(rows, dim) for _ in range(tables))
            self.bottom = perceptron([_DENSE, *bottom, dim])
            self.top = perceptron([dim + pairs.shape[1], *top, 1])
            self.register_buffer("pairs", pairs[0] * (tables + 1) + pairs[1], persistent=False)

        def forward(self, dense: "torch.Tensor", rows_in: "torch.Tensor") -> "tuple[torch.Tensor, ...]":
            """See the function."""
            first = self.bottom(dense)
            found = [table(rows_in[:, index]).sum(1) for index, table in enumerate(self.tables)]
            features = torch.stack([first, *found], dim=1)
            products = torch.bmm(features, features.transpose(1, 2)).flatten(1)
            crossed = products.index_select(1, self.pairs)
            return (self.top(torch.cat([first, crossed], dim=1)).sigmoid(),)

    return plain.on_meta(Dlrm, dtype)


def hstu(*, in_place: bool, layers: int, width: int, heads: int, length: int, dtype: str) -> "torch.nn.Module":
    """(x [batch, length, width]) -> (y [batch, length, width]).

    The bias by distance is of places alone, not of time. What comes later is masked out, and weights are divided by the
    length, as there is no softmax.
    """
    import torch
    from torch import nn
    from torch.nn import functional

    del in_place
    places = torch.arange(length)
    distance = places[:, None] - places[None, :] + length - 1
    earlier = torch.ones(length, length, dtype=torch.bool).tril()

    class Layer(nn.Module):  # type: ignore[misc]
        """One layer: projection, attention, what was attended to gated and projected back."""

        def __init__(self) -> None:
            super().__init__()
            self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
            self.enter, self.leave = nn.Linear(width, 4 * width), nn.Linear(width, width)
            self.bias = nn.Parameter(torch.empty(heads, 2 * length - 1))
            self.register_buffer("distance", distance, persistent=False)
            self.register_buffer("earlier", earlier, persistent=False)

        def forward(self, x: "torch.Tensor") -> "torch.Tensor":
            """See the class."""
            gate, value, query, key = functional.silu(self.enter(self.before(x))).chunk(4, dim=-1)
            query, key, value = (part.unflatten(2, (heads, -1)).transpose(1, 2) for part in (query, key, value))
            scores = functional.silu(query @ key.transpose(2, 3) + self.bias[:, self.distance]) / length
            seen = (scores.masked_fill(~self.earlier, 0.0) @ value).transpose(1, 2).flatten(2)
            return x + self.leave(self.after(seen) * gate)

    class Hstu(nn.Module):  # type: ignore[misc]
        """See the function."""

        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(*(Layer() for _ in range(layers)))

        def forward(self, x: "torch.Tensor") -> "tuple[torch.Tensor, ...]":
            """See the function."""
            return (self.layers(x),)

    return plain.on_meta(Hstu, dtype)


SUITE = suite(
    name="recsys",
    version=2,
    question="How fast does each backend score what might interest a user?",
    headline="dlrm",
    models=MODELS,
    axes={"batch": "samples or sequences in one call", "pooling": "rows of a table that are summed for a sample"},
)
