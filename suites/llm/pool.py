"""Input sets and fp64 references of a point."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from steelyard.core.workload import Point, Program, StateWindow
from steelyard.lowering.entry import PoolEntry

from .decoder import Decoder
from .exact import exact
from .prose import Prose

# Rows that a reference run computes together: bounds its memory, changes nothing else.
_PREFILL_TOKENS = 1024
_DECODE_ROWS = 8

State = tuple[Tensor, ...]


def make(point: Point, modules: Mapping[str, nn.Module], tokenizer_dir: Path | None, count: int) -> Sequence[PoolEntry]:
    """`count` input sets of the point, each from prose of its own, with references computed in float64.

    `modules` are the point's programs as functional decoders with float64 parameters. See `PoolEntry` for
    what an entry holds. Decode's state comes from a float64 prefill of `position` tokens of prose, rounded
    to the case's dtype; its reference is computed from the rounded state.
    """
    decoders = cast(Mapping[str, Decoder], modules)
    first = next(iter(point.programs.values()))
    vocabulary = next(spec for spec in first.outputs if spec.name == "logits").shape[1]
    prose = Prose(tokenizer_dir, vocabulary)
    if "tokens" in point.settings:
        return _generate(point, decoders, prose, count)
    one = _decode if "position" in point.settings else _prefill
    return [one(point, decoders["main"], prose, index) for index in range(count)]


def _prefill(point: Point, decoder: Decoder, prose: Prose, index: int) -> PoolEntry:
    ids = _rows(prose.plain, point, index, int(point.settings["prompt"]))
    outputs = _prefilled(decoder, ids)
    return PoolEntry(inputs={"input_ids": ids}, references=_references(point.programs["main"], outputs, point.window))


def _decode(point: Point, decoder: Decoder, prose: Prose, index: int) -> PoolEntry:
    program, position = point.programs["main"], int(point.settings["position"])
    ids = _rows(prose.plain, point, index, position + 1)
    dtype = getattr(torch, program.dtype)
    state = [part.to(dtype) for part in _prefilled(decoder, ids[:, :position])[2:]]
    values = (ids[:, position:].contiguous(), torch.tensor([position]), *state)
    inputs = dict(zip((spec.name for spec in program.inputs), values, strict=True))
    outputs = _decoded(decoder, values[0], position, [part.double() for part in state])
    return PoolEntry(inputs=inputs, references=_references(program, outputs, point.window))


def _generate(point: Point, decoders: Mapping[str, Decoder], prose: Prose, count: int) -> list[PoolEntry]:
    prompt, tokens = int(point.settings["prompt"]), int(point.settings["tokens"])
    prompts = [_rows(prose.question, point, index, prompt) for index in range(count)]
    chunks = torch.cat(prompts).split(_DECODE_ROWS)
    answers = [_greedy(decoders, chunk, prompt, tokens) for chunk in chunks]
    chosen, margins, first, last = (torch.cat(parts) for parts in zip(*answers, strict=True))
    entries = []
    for index, ids in enumerate(prompts):
        rows = slice(index * len(ids), (index + 1) * len(ids))
        entries.append(
            PoolEntry(
                inputs={"input_ids": ids},
                references={"first_logits": first[rows].clone(), "logits": last[rows].clone()},
                tokens=tuple(tuple(row) for row in chosen[rows].tolist()),
                margins=tuple(margins[rows].amin(dim=0).tolist()),
                text=prose.text(chosen[rows][0].tolist()),
            )
        )
    return entries


def _greedy(decoders: Mapping[str, Decoder], ids: Tensor, prompt: int, tokens: int) -> tuple[Tensor, ...]:
    """Tokens and margins [rows, tokens], logits of the first and of the last step [rows, vocab]."""
    token, first, *state = _prefilled(decoders["prefill"], ids)
    logits = first
    chosen, margins = [token], [_margin(logits)]
    for position in range(prompt, prompt + tokens - 1):
        token, logits, *state = _decoded(decoders["decode"], token[:, None], position, state)
        chosen.append(token)
        margins.append(_margin(logits))
    return torch.stack(chosen, dim=1), torch.stack(margins, dim=1), first, logits


def _margin(logits: Tensor) -> Tensor:
    best = logits.topk(2, dim=-1).values
    return best[:, 0] - best[:, 1]


def _prefilled(decoder: Decoder, ids: Tensor) -> State:
    """The outputs of a prefill, computed a few rows at a time."""
    chunks = ids.split(max(1, _PREFILL_TOKENS // ids.shape[1]))
    with exact(decoder):
        parts = [decoder.prefill(chunk) for chunk in chunks]
    return tuple(torch.cat(group) for group in zip(*parts, strict=True))


def _decoded(decoder: Decoder, ids: Tensor, position: int, state: Sequence[Tensor]) -> State:
    with exact(decoder):
        return decoder.decode(ids, torch.tensor([position]), *state)


def _rows(choose: Any, point: Point, index: int, length: int) -> Tensor:
    batch = int(point.axes["batch"])
    return torch.tensor([choose(index * batch + row, length) for row in range(batch)], dtype=torch.int64)


def _references(program: Program, outputs: Sequence[Tensor], window: StateWindow | None) -> dict[str, Tensor]:
    references = {}
    for spec, value in zip(program.outputs, outputs, strict=True):
        if spec.role == "state" and window is not None:
            value = value.narrow(window.axis, window.start, window.length)
        references[spec.name] = value.contiguous().clone()
    return references
