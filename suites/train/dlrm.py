"""DLRM in training: embeddings of categories, products of all pairs, two perceptrons (Naumov et al., 2019).

The perceptrons are those that MLPerf trains on the Criteo data; tables are shorter than there.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from steelyard.lowering.catalogue import Extents, Tensor

from .trained import Shapes, Trained

if TYPE_CHECKING:
    import torch

    from .trained import Loss

_DENSE = 13


def _perceptrons(at: Extents) -> Mapping[str, Sequence[tuple[int, int]]]:
    """Width in and out of each layer of both multi-layer perceptrons."""
    crossed = at["dim"] + (at["tables"] + 1) * at["tables"] // 2
    widths = {"bottom": [_DENSE, *at["bottom"], at["dim"]], "top": [crossed, *at["top"], 1]}
    return {name: [*itertools.pairwise(each)] for name, each in widths.items()}


def _parameters(at: Extents) -> Shapes:
    found: dict[str, tuple[int, ...]] = {f"table.{n}.weight": (at["rows"], at["dim"]) for n in range(at["tables"])}
    for name, layers in _perceptrons(at).items():
        for number, (entering, leaving) in enumerate(layers):
            found[f"{name}.{number}.weight"], found[f"{name}.{number}.bias"] = (leaving, entering), (leaving,)
    return found


def _flop(at: Extents) -> float:
    """Perceptrons and the products of all pairs of features; the sums of embeddings are memory traffic."""
    products = sum(a * b for layers in _perceptrons(at).values() for a, b in layers)
    return float(2 * at["batch"] * (products + (at["tables"] + 1) ** 2 * at["dim"]))


def _loss(at: Extents) -> "Loss":
    """(dense, rows_in, clicked) -> (binary cross entropy,)."""
    import torch
    from torch.nn import functional

    layers = {name: len(each) for name, each in _perceptrons(at).items()}
    tables = at["tables"]

    def loss(
        values: Any, dense: "torch.Tensor", rows_in: "torch.Tensor", clicked: "torch.Tensor"
    ) -> "tuple[torch.Tensor, ...]":
        def perceptron(name: str, x: "torch.Tensor") -> "torch.Tensor":
            for number in range(layers[name]):
                x = x.relu() if number else x
                x = functional.linear(x, values[f"{name}.{number}.weight"], values[f"{name}.{number}.bias"])
            return x

        first = perceptron("bottom", dense)
        found = [functional.embedding(rows_in[:, n], values[f"table.{n}.weight"]).sum(1) for n in range(tables)]
        features = torch.stack([first, *found], dim=1)
        products = torch.bmm(features, features.transpose(1, 2))
        pairs = [products[:, n, :n] for n in range(1, tables + 1)]
        score = perceptron("top", torch.cat([first, *pairs], dim=1))
        # Binary cross entropy of logits, by operators that every format has: PyTorch's own makes an empty tensor.
        each = score.relu() - score * clicked.to(score.dtype) + (-score.abs()).exp().log1p()
        return (each.mean(),)

    return loss


MODEL = Trained(
    meaning="one step of DLRM: embeddings of categories, products of all pairs, two perceptrons",
    unit="samples",
    sizes={
        "tiny": {"tables": 4, "rows": 100, "dim": 8, "bottom": [16], "top": [16]},
        "small": {"tables": 8, "rows": 10_000, "dim": 32, "bottom": [128, 64], "top": [256, 128]},
        "full": {"tables": 26, "rows": 100_000, "dim": 128, "bottom": [512, 256], "top": [1024, 1024, 512, 256]},
    },
    axes={
        "tiny": {"batch": 8, "pooling": 2},
        "small": {"batch": 64, "pooling": 1},
        "full": {"batch": 2048, "pooling": 1},
    },
    batch={
        "dense": Tensor(shape=("batch", _DENSE)),
        "rows_in": Tensor(shape=("batch", "tables", "pooling"), dtype="int64", below="rows"),
        "clicked": Tensor(shape=("batch", 1), dtype="int64", below=2),
    },
    parameters=_parameters,
    loss=_loss,
    flop=_flop,
    items=lambda at: at["batch"],
)
