"""The suite `rnn`: networks whose steps follow one another, over sequences and over trees.

The layers are modules of PyTorch. What a backend makes of them differs: PyTorch has one operator for a layer of
LSTM, ONNX one for LSTM and for GRU, all others get the steps one by one.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from steelyard.lowering import plain
from steelyard.lowering.catalogue import Extents, Model, Size, Tensor, suite

if TYPE_CHECKING:
    import torch

_GATES = {"rnn": 1, "gru": 3, "lstm": 4}


def _parameters(kind: str) -> Callable[[Extents], int]:
    """Of a layer: for each gate two matrices and two vectors, as PyTorch has them."""
    return lambda at: at["layers"] * _GATES[kind] * (2 * at["width"] ** 2 + 2 * at["width"])


def _flop(kind: str) -> Callable[[Extents], float]:
    """Products with matrices, of one sequence."""
    return lambda at: 4.0 * at["layers"] * at["length"] * _GATES[kind] * at["width"] ** 2


def _recurrent(meaning: str, kind: str) -> Model:
    def size(layers: int, width: int, batch: int, length: int) -> Size:
        return Size(
            config={"kind": kind, "layers": layers, "width": width},
            axes={"batch": batch, "length": length},
            parameters=_parameters(kind),
            flop=_flop(kind),
        )

    return Model(
        meaning=meaning,
        source=f"{__name__}:recurrent",
        inputs={"x": Tensor(shape=("batch", "length", "width"))},
        outputs={"y": Tensor(shape=("batch", "length", "width")), "last": Tensor(shape=("layers", "batch", "width"))},
        sizes={"tiny": size(1, 32, 1, 8), "small": size(2, 128, 1, 32), "full": size(2, 512, 32, 64)},
        unit="sequences",
    )


def _characters(width: int, batch: int, length: int) -> Size:
    return Size(
        config={"width": width, "characters": 128},
        axes={"batch": batch, "length": length},
        parameters=lambda at: _parameters("lstm")({**at, "layers": 1}) + at["characters"] * (2 * at["width"] + 1),
        flop=lambda at: _flop("lstm")({**at, "layers": 1}) + 2.0 * at["length"] * at["width"] * at["characters"],
    )


def _tree(width: int, batch: int, depth: int) -> Size:
    return Size(
        config={"width": width, "depth": depth},
        axes={"batch": batch},
        extents={"leaves": 2**depth, "nodes": 2 ** (depth + 1) - 1},
        parameters=lambda at: 7 * at["width"] ** 2 + 4 * at["width"],
        # A leaf has three gates of its input; an inner node four products with the sums of its children or, for the
        # gate that forgets, with each of the two.
        flop=lambda at: 2.0 * at["width"] ** 2 * (3 * at["leaves"] + 5 * (at["nodes"] - at["leaves"])),
    )


MODELS = {
    "rnn": _recurrent("Elman networks (Elman, 1990), tanh", "rnn"),
    "gru": _recurrent("gated recurrent units (Cho et al., 2014)", "gru"),
    "lstm": _recurrent("long short-term memory (Hochreiter and Schmidhuber, 1997; Gers et al., 2000)", "lstm"),
    "char_rnn": Model(
        meaning="a language model over characters: embedding, LSTM, projection",
        source=f"{__name__}:char_rnn",
        inputs={"characters_in": Tensor(shape=("batch", "length"), dtype="int64", below="characters")},
        outputs={"logits": Tensor(shape=("batch", "length", "characters"))},
        sizes={"tiny": _characters(32, 1, 8), "small": _characters(128, 1, 32), "full": _characters(512, 32, 64)},
        unit="sequences",
    ),
    "tree_lstm": Model(
        meaning="a child-sum Tree-LSTM over a full binary tree (Tai et al., 2015, equations 2 to 8)",
        source=f"{__name__}:tree_lstm",
        inputs={"leaf": Tensor(shape=("batch", "leaves", "width"))},
        outputs={"root": Tensor(shape=("batch", "width"))},
        sizes={"tiny": _tree(16, 1, 3), "small": _tree(128, 1, 4), "full": _tree(512, 32, 6)},
        unit="trees",
    ),
}


def recurrent(*, in_place: bool, kind: str, layers: int, width: int, dtype: str) -> "torch.nn.Module":
    """(x [batch, length, width]) -> (y [batch, length, width] of the last layer, last [layers, batch, width])."""
    from torch import nn

    del in_place
    kinds = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}

    class Recurrent(nn.Module):  # type: ignore[misc]
        """See the function."""

        def __init__(self) -> None:
            super().__init__()
            self.steps = kinds[kind](width, width, layers, batch_first=True)

        def forward(self, x: "torch.Tensor") -> "tuple[torch.Tensor, ...]":
            """See the function."""
            y, state = self.steps(x)
            return y, state[0] if kind == "lstm" else state

    return plain.on_meta(Recurrent, dtype)


def char_rnn(*, in_place: bool, width: int, characters: int, dtype: str) -> "torch.nn.Module":
    """(characters_in [batch, length]) -> (logits [batch, length, characters])."""
    from torch import nn

    del in_place

    class CharRnn(nn.Module):  # type: ignore[misc]
        """See the function."""

        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(characters, width)
            self.steps = nn.LSTM(width, width, batch_first=True)
            self.projection = nn.Linear(width, characters)

        def forward(self, characters_in: "torch.Tensor") -> "tuple[torch.Tensor, ...]":
            """See the function."""
            return (self.projection(self.steps(self.embedding(characters_in))[0]),)

    return plain.on_meta(CharRnn, dtype)


def tree_lstm(*, in_place: bool, width: int, depth: int, dtype: str) -> "torch.nn.Module":
    """(leaf [batch, 2 ** depth, width]) -> (root [batch, width]), level by level. Inner nodes have no input."""
    from torch import nn

    del in_place

    class TreeLstm(nn.Module):  # type: ignore[misc]
        """See the function."""

        def __init__(self) -> None:
            super().__init__()
            self.of_input = nn.Linear(width, 3 * width)
            self.of_children = nn.Linear(width, 3 * width, bias=False)
            self.of_child = nn.Linear(width, width)

        def forward(self, leaf: "torch.Tensor") -> "tuple[torch.Tensor, ...]":
            """See the function."""
            enter, leave, new = self.of_input(leaf).chunk(3, dim=-1)
            cell = enter.sigmoid() * new.tanh()
            hidden = leave.sigmoid() * cell.tanh()
            for _ in range(depth):
                pairs, cells = hidden.unflatten(1, (-1, 2)), cell.unflatten(1, (-1, 2))
                enter, leave, new = self.of_children(pairs.sum(2)).chunk(3, dim=-1)
                kept = (self.of_child(pairs).sigmoid() * cells).sum(2)
                cell = enter.sigmoid() * new.tanh() + kept
                hidden = leave.sigmoid() * cell.tanh()
            return (hidden[:, 0],)

    return plain.on_meta(TreeLstm, dtype)


SUITE = suite(
    name="rnn",
    version=1,
    question="How fast does each backend run steps that wait for one another?",
    headline="lstm",
    models=MODELS,
    axes={"batch": "sequences or trees in one call", "length": "steps of a sequence"},
)
