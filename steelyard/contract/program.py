"""The tiny language model of the contract tests: one layer of attention, tied embeddings, a cache.

Small enough to be compiled in seconds and to be stated a second time in numpy, which is the
reference. It has what a runner can get wrong: a program that creates state, one that updates it in
place, weights that are tied, integer inputs, an output of another dtype.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from steelyard.core.workload import DType, Point, Program, StateWindow, TensorSpec, Weights, Work

if TYPE_CHECKING:
    import torch

    from steelyard.lowering.entry import PoolEntry

    Array = np.ndarray[Any, np.dtype[Any]]

VOCABULARY, WIDTH, CAPACITY, PROMPT, TOKENS, BATCH = 23, 8, 16, 5, 4, 2
_SEED = 7


def weights_arrays() -> "dict[str, Array]":
    """The parameters by name, float32: `embed.weight` [vocabulary, width] and `key.weight` [width, width]."""
    random = np.random.default_rng(_SEED)
    shapes = {"embed.weight": (VOCABULARY, WIDTH), "key.weight": (WIDTH, WIDTH)}
    return {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def write_weights(arguments: Mapping[str, Any], directory: Path, local: Path | None = None) -> None:
    """Write `weights.safetensors`; the source of `Weights`."""
    from safetensors.numpy import save_file

    save_file(weights_arrays(), directory / "weights.safetensors")


def program(name: str, dtype: DType = "float32") -> Program:
    """`prefill` (creates the cache from a prompt) or `decode` (one token more, the cache updated)."""
    cache = TensorSpec(name="cache.0.k", shape=(BATCH, 1, CAPACITY, WIDTH), dtype=dtype, role="state")
    length = PROMPT if name == "prefill" else 1
    inputs = [TensorSpec(name="input_ids", shape=(BATCH, length), dtype="int64")]
    if name == "decode":
        inputs += [TensorSpec(name="position", shape=(1,), dtype="int64"), cache]
    return Program(
        name=name,
        source=f"{__name__}:build",
        arguments={"kind": name, "dtype": dtype},
        weights=Weights(source=f"{__name__}:write_weights", arguments={"seed": _SEED}, origin="seeded"),
        dtype=dtype,
        inputs=tuple(inputs),
        outputs=(
            TensorSpec(name="next_token", shape=(BATCH,), dtype="int64"),
            TensorSpec(name="logits", shape=(BATCH, VOCABULARY), dtype=dtype),
            cache,
        ),
    )


def point() -> Point:
    """Both programs as one point, so that lowering makes whatever formats a runner consumes."""
    return Point(
        suite="contract",
        suite_version=1,
        workload="generate",
        axes={},
        driver="generate",
        programs={name: program(name) for name in ("prefill", "decode")},
        settings={"prompt": PROMPT, "tokens": TOKENS},
        pool=f"{__name__}:pool",
        window=StateWindow(axis=2, start=0, length=PROMPT),
        work=Work(flop=None, weight_bytes=None, items=BATCH * TOKENS, unit="tokens"),
    )


def prompt_ids(seed: int) -> "Array":
    """Token ids [batch, prompt], int64."""
    return np.random.default_rng(seed).integers(0, VOCABULARY, (BATCH, PROMPT), dtype=np.int64)


def decode_inputs(seed: int) -> "dict[str, Array]":
    """The inputs of `decode` after a prompt: its last answer, its state in float32, the next position."""
    after = prefill_reference(prompt_ids(seed))
    return {
        "input_ids": after["next_token"][:, None],
        "position": np.array([PROMPT], dtype=np.int64),
        "cache.0.k": after["cache.0.k"].astype(np.float32),
    }


def prefill_reference(input_ids: "Array") -> "dict[str, Array]":
    """The outputs of `prefill` in float64, stated in numpy."""
    weights = {name: array.astype(np.float64) for name, array in weights_arrays().items()}
    cache = np.zeros((BATCH, 1, CAPACITY, WIDTH))
    cache[:, 0, : input_ids.shape[1]] = weights["embed.weight"][input_ids] @ weights["key.weight"].T
    return _answer(weights, weights["embed.weight"][input_ids[:, -1]], cache, input_ids.shape[1] - 1)


def decode_reference(input_ids: "Array", position: int, cache: "Array") -> "dict[str, Array]":
    """The outputs of `decode` in float64, stated in numpy; `cache` is left as it is."""
    weights = {name: array.astype(np.float64) for name, array in weights_arrays().items()}
    cache = cache.astype(np.float64)
    hidden = weights["embed.weight"][input_ids[:, 0]]
    cache[:, 0, position] = hidden @ weights["key.weight"].T
    return _answer(weights, hidden, cache, position)


def pool(
    point: Point, modules: "Mapping[str, torch.nn.Module]", tokenizer: Path | None, count: int
) -> "list[PoolEntry]":
    """Input sets with their answers by greedy decoding; see `steelyard.lowering.entry`."""
    import torch

    from steelyard.lowering.entry import PoolEntry

    entries = []
    for seed in range(count):
        prompt = prompt_ids(seed)
        outputs = first = prefill_reference(prompt)
        steps, margins = [first["next_token"]], [_margin(first["logits"])]
        for step in range(1, TOKENS):
            outputs = decode_reference(steps[-1][:, None], PROMPT + step - 1, outputs["cache.0.k"])
            steps.append(outputs["next_token"])
            margins.append(_margin(outputs["logits"]))
        entries.append(
            PoolEntry(
                inputs={"input_ids": torch.from_numpy(prompt)},
                references={
                    "first_logits": torch.from_numpy(first["logits"]),
                    "logits": torch.from_numpy(outputs["logits"]),
                },
                tokens=tuple(tuple(int(token) for token in row) for row in np.stack(steps, axis=1)),
                margins=tuple(margins),
            )
        )
    return entries


def build(*, in_place: bool, kind: str, dtype: DType) -> "torch.nn.Module":
    """The torch module of a program, parameters on the meta device."""
    import torch
    from torch import nn

    class Attention(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            kinds = {"dtype": getattr(torch, dtype), "device": "meta"}
            self.embed = nn.Embedding(VOCABULARY, WIDTH, **kinds)
            self.key = nn.Linear(WIDTH, WIDTH, bias=False, **kinds)
            self.head = nn.Linear(WIDTH, VOCABULARY, bias=False, **kinds)
            self.head.weight = self.embed.weight

        def answer(self, hidden: Any, cache: Any, position: Any) -> Any:
            scores = (hidden[:, None, None] @ cache.transpose(-1, -2)) * WIDTH**-0.5
            visible = torch.arange(CAPACITY, device=cache.device) <= position
            shares = torch.softmax(scores.masked_fill(~visible, float("-inf")), dim=-1)
            logits = self.head(hidden + (shares @ cache)[:, 0, 0])
            return logits.argmax(dim=-1), logits, cache

    class Prefill(Attention):
        def forward(self, input_ids: Any) -> Any:
            hidden = self.embed(input_ids)
            cache = nn.functional.pad(self.key(hidden)[:, None], (0, 0, 0, CAPACITY - PROMPT))
            return self.answer(hidden[:, -1], cache, PROMPT - 1)

    class Decode(Attention):
        def forward(self, input_ids: Any, position: Any, cache: Any) -> Any:
            hidden = self.embed(input_ids)
            place = cache.index_copy_ if in_place else cache.index_copy
            return self.answer(hidden[:, 0], place(2, position, self.key(hidden)[:, None]), position)

    return Prefill() if kind == "prefill" else Decode()


def _answer(weights: "Mapping[str, Array]", hidden: "Array", cache: "Array", position: int) -> "dict[str, Array]":
    keys = cache[:, 0, : position + 1]
    scores = np.einsum("bw,bsw->bs", hidden, keys) * WIDTH**-0.5
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    logits = (hidden + np.einsum("bs,bsw->bw", shares, keys)) @ weights["embed.weight"].T
    return {"next_token": logits.argmax(axis=1), "logits": logits, "cache.0.k": cache}


def _margin(logits: "Array") -> float:
    ordered = np.sort(logits, axis=1)
    return float((ordered[:, -1] - ordered[:, -2]).min())
