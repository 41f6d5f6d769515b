"""What steps of lowering cost on this machine: as earlier ones did, or where none of a kind was seen, as on the machine
that the rates here are from, scaled by how fast this one is."""

import contextlib
import json
import statistics
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from steelyard.lowering.steps import REFERENCES, WEIGHTS, Step

_FILE = "costs.jsonl"
_NEWEST = 6
"""So many earlier steps of a kind count: a machine changes, and so do the packages that make them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rate:
    """Seconds whatever the size, per gigabyte of weights, and per gigabyte and call."""

    s: float
    s_per_gb: float
    s_per_gb_call: float = 0.0

    def s_of(self, step: Step) -> float:
        return self.s + step.gigabytes * (self.s_per_gb + step.calls * self.s_per_gb_call)


# They add up to the CPU seconds of lowering SmolLM2-135M (0.54 GB) in float32 with an empty cache and one thread, on a
# virtual machine with 2 cores of an AMD EPYC. What of them is the same for any size, imports above all, is a guess.
_RATES = {
    WEIGHTS: _Rate(s=4.0, s_per_gb=28.0),
    REFERENCES: _Rate(s=1.0, s_per_gb=18.0, s_per_gb_call=1.3),
    "onnx": _Rate(s=3.0, s_per_gb=24.0),
    "stablehlo": _Rate(s=3.0, s_per_gb=8.0),
    "openvino": _Rate(s=2.0, s_per_gb=8.0),
    "pt2": _Rate(s=2.0, s_per_gb=4.0),
    "graph": _Rate(s=2.0, s_per_gb=2.0),  # made for traced runs alone, and in no sum
}
_OTHER_FORMAT = _RATES["onnx"]
_TASK_S = 0.040
"""What `task_s` took there."""


class LoweringCosts:
    """The seconds of steps that were made through one cache, kept in `costs.jsonl` under its root.

    Several processes may append at once: each line is short and written whole. `measure` is `task_s`, or stands for it.
    """

    def __init__(self, root: Path, measure: Callable[[], float] | None = None) -> None:
        self._file = root / _FILE
        self._measure = measure

    def add(self, step: Step, seconds: float) -> None:
        """Keep what a step took."""
        line = {"makes": step.makes, "gigabytes": step.gigabytes, "calls": step.calls, "seconds": seconds}
        # In a cache that is another's nothing can be kept.
        with contextlib.suppress(PermissionError), self._file.open("a") as stream:
            stream.write(json.dumps(line) + "\n")

    def expected_s(self, step: Step) -> float:
        """What a step will take."""
        seen = self._seen.get(step.makes)
        return _rate(step.makes).s_of(step) * (statistics.median(seen) if seen else self._slowness)

    @cached_property
    def _seen(self) -> dict[str, deque[float]]:
        """By what was made how many times its rate the newest steps took."""
        found: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_NEWEST))
        with contextlib.suppress(FileNotFoundError, PermissionError), self._file.open() as stream:
            for line in stream:
                with contextlib.suppress(ValueError, KeyError, TypeError):  # cut short by a full disk
                    kept = json.loads(line)
                    size = {"gigabytes": kept["gigabytes"], "calls": kept["calls"]}
                    step = Step(kind="programs", key="", label="", makes=kept["makes"], **size)
                    found[step.makes].append(kept["seconds"] / _rate(step.makes).s_of(step))
        return found

    @cached_property
    def _slowness(self) -> float:
        return slowness(self._measure)


def slowness(measure: Callable[[], float] | None = None) -> float:
    """How many times as long as the machine that the rates are from this one takes; see `task_s`."""
    return (measure or task_s)() / _TASK_S


def task_s() -> float:
    """Seconds of a short task of the two things that lowering consists of, the better of three: plain Python, and
    memory that is copied."""
    return min(_task_s() for _ in range(3))


def _task_s() -> float:
    started = time.perf_counter()
    table: dict[int, int] = {}
    for number in range(150_000):
        table[number % 997] = table.get(number % 991, 0) + number
    block = bytearray(1 << 25)
    bytes(block)
    return time.perf_counter() - started


def _rate(makes: str) -> _Rate:
    return _RATES.get(makes.partition("@")[0], _OTHER_FORMAT)
