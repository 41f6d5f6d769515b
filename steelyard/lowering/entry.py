"""What a suite's pool function hands to lowering: one input set with its reference, still as tensors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolEntry:
    """One member of a point's pool, made by the function that `Point.pool` names.

    That function is called as `make(point, modules, tokenizer_dir, count)`: `modules` maps the names of
    `point.programs` to their functional torch modules with weights in float64, and it returns `count` entries.

    `inputs` holds every input of the first program by name (`main`, or `prefill` for generate), in the dtype
    of its TensorSpec. `references` holds fp64 outputs by name: data outputs whole (integer outputs as int64),
    state outputs only inside `point.window`. For generate the references are `first_logits` (after the
    prompt) and `logits` (of the last step), both [batch, vocab].

    `tokens` is the reference answer [batch][step], `margins` its distance between the best and the second
    logit [step], the smallest over the batch; both are empty for the driver `call`. `text` is the decoded
    answer of the first sequence where a tokenizer exists.
    """

    inputs: "Mapping[str, Tensor]"
    references: "Mapping[str, Tensor]"
    tokens: tuple[tuple[int, ...], ...] = ()
    margins: tuple[float, ...] = ()
    text: str | None = None
