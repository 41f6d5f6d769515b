"""The axes of the suite and the values that a user may set on them."""

from collections.abc import Mapping
from dataclasses import dataclass

from steelyard.core.errors import UsageError, unknown_name
from steelyard.core.workload import Axis, DType, Selection, Sweep
from steelyard.lowering import choices

from .families import FAMILIES

WORKLOADS: Mapping[str, str] = {
    "prefill": "the whole prompt in one call: the first token, its logits and the KV cache",
    "decode": "one token against a KV cache that already holds `position` tokens",
    "generate": "prefill and greedy decoding up to `tokens` tokens, each fed back through the host",
}
_ALL = tuple(WORKLOADS)

AXES = (
    Axis(name="model", kind="str", meaning="model family", choices=(*FAMILIES, "all"), workloads=_ALL),
    Axis(name="batch", kind="int", meaning="sequences in one call", workloads=_ALL),
    Axis(name="prompt", kind="int", meaning="tokens in the prompt", workloads=("prefill", "generate")),
    Axis(name="position", kind="int", meaning="tokens in the KV cache before the call", workloads=("decode",)),
    Axis(name="capacity", kind="int", meaning="places in the KV cache, equal for all points", workloads=_ALL),
    Axis(name="tokens", kind="int", meaning="tokens in the answer", workloads=("generate",)),
    Axis(
        name="dtype",
        kind="str",
        meaning="type of weights, states and logits",
        choices=choices.DTYPES,
        workloads=_ALL,
    ),
)
_BY_NAME = {axis.name: axis for axis in AXES}
_SMALLEST = {"tokens": 2}  # with one token there is no decode step to time

_DEFAULTS = {"batch": 1, "prompt": 128, "position": 256, "capacity": 512, "tokens": 32}
_TINY_DEFAULTS = {"batch": 1, "prompt": 16, "position": 32, "capacity": 64, "tokens": 8}


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """The values chosen on every axis, checked against each other. `models` empty means the suite's default."""

    models: tuple[str, ...]
    batch: tuple[int, ...]
    prompt: tuple[int, ...]
    position: tuple[int, ...]
    capacity: tuple[int, ...]
    tokens: tuple[int, ...]
    dtype: tuple[DType, ...]


def _context(workload: str, selection: Selection, value: int) -> Mapping[str, int]:
    """A sequence of so many tokens that fills its KV cache to the last place."""
    if workload == "prefill":
        return {"prompt": value, "capacity": value}
    if workload == "decode":
        return {"position": value - 1, "capacity": value}
    tokens = int((selection.axes.get("tokens") or (str(_defaults(selection)["tokens"]),))[0])
    return {"prompt": value - tokens, "capacity": value}


SWEEPS = (
    Sweep(
        name="batch", meaning="sequences in one call", start=1, axes=lambda workload, selection, value: {"batch": value}
    ),
    Sweep(
        name="context",
        meaning="tokens of a sequence, the KV cache filled to the last place",
        start=128,
        smallest=2,
        axes=_context,
    ),
)


def values(selection: Selection, chosen: tuple[str, ...]) -> Values:
    """Every axis with the user's values or the defaults. Raises UsageError for what makes no sense."""
    for name in selection.axes:
        if name not in _BY_NAME:
            raise unknown_name("axis", name, _BY_NAME)
        if not set(_BY_NAME[name].workloads) & set(chosen):
            raise UsageError(
                f"axis '{name}' belongs to {' and '.join(_BY_NAME[name].workloads)}, none of which was chosen; "
                f"choose one with --workload or leave --set {name}=... out"
            )
    defaults = _defaults(selection)
    numbers = {
        name: choices.numbers(selection, name, default, _SMALLEST.get(name, 1)) for name, default in defaults.items()
    }
    if "capacity" not in selection.axes:
        numbers["capacity"] = (_capacity(numbers, chosen),)
    _fits(numbers, chosen)
    return Values(
        models=choices.names(selection, "model", (*FAMILIES, "all"), ()),
        dtype=choices.dtypes(selection),
        **numbers,
    )


def _defaults(selection: Selection) -> Mapping[str, int]:
    return _TINY_DEFAULTS if selection.size == "tiny" else _DEFAULTS


def _needs(numbers: Mapping[str, tuple[int, ...]], chosen: tuple[str, ...]) -> dict[str, int]:
    needs = {}
    if "prefill" in chosen:
        needs[f"prompt={max(numbers['prompt'])}"] = max(numbers["prompt"])
    if "decode" in chosen:
        needs[f"position={max(numbers['position'])}"] = max(numbers["position"]) + 1
    if "generate" in chosen:
        prompt, tokens = max(numbers["prompt"]), max(numbers["tokens"])
        needs[f"prompt={prompt} and tokens={tokens}"] = prompt + tokens
    return needs


def _capacity(numbers: Mapping[str, tuple[int, ...]], chosen: tuple[str, ...]) -> int:
    """The default, or the next power of two that holds the longest sequence asked for: one for all points."""
    return max(numbers["capacity"][0], *(1 << (need - 1).bit_length() for need in _needs(numbers, chosen).values()))


def _fits(numbers: Mapping[str, tuple[int, ...]], chosen: tuple[str, ...]) -> None:
    smallest = min(numbers["capacity"])
    for what, need in _needs(numbers, chosen).items():
        if need > smallest:
            raise UsageError(
                f"a KV cache of capacity={smallest} is too small for {what}, which needs {need} places; "
                f"raise it with --set capacity={need} or leave capacity out"
            )
