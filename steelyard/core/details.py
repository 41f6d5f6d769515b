"""What a launch tells of a case besides its numbers, as a result keeps it under `details`.

A run that is older than a field lacks it; what older runs keep under names that are not here stays in their files.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from steelyard.core.compilation import CompilationFacts
from steelyard.core.graph import Fusion
from steelyard.core.memory_profile import MemoryFacts
from steelyard.core.metrics import Reading
from steelyard.core.trace import TraceSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnFacts:
    """The turns of a window: how many, how many of their first calls are left out, and the median of those over that of
    the other calls. `lengths` are in turns' shares of the window, where not all turns are as long."""

    number: int
    first_calls_left_out: int
    first_call_over_the_rest: float | None = None
    lengths: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardFacts:
    """What a device's board told of the window: what held its clocks down, for how many seconds where that is counted,
    and how many other processes computed there at its end. None where it was not told, for the `reason`."""

    slowed_by: tuple[str, ...] | None = None
    slowed_s: Mapping[str, float] = field(default_factory=dict)
    foreign_processes: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotTold:
    """Why a runtime does not tell something."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryCap:
    """The limit that a launch had, by which mechanism it was asked for, and what held the launch to it."""

    bytes: int | None
    by: str | None
    how: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceFacts:
    """What a traced launch recorded: the file beside the run's segments, with its hash, how many calls and events it
    holds, what it comes to, and what a call took with the profiler over what it took without, in turns. `checked` says
    whether the outputs were held against their reference. `fusion` lays the kernels on the source graph, `counters` are
    those of CPU and kernel for a call without the profiler, by the names of `steelyard.measure.cpu_counters`; None and
    none in runs of versions that had neither."""

    file: str
    sha256: str
    calls: int
    events: int
    overhead_ratio: float
    checked: bool
    summary: TraceSummary
    fusion: Fusion | None = None
    counters: Mapping[str, Reading] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """`remarks` are what a reader should know although it is no failure. `window_s` is how long the timed window lasted
    on the worker's clock, checks of outputs included; `loop_overhead_s` what timing an empty call takes.
    `growth_bytes_per_call` is by how much resident memory grew, `mixtures` how many new inputs were tried closely.
    `compilations` are those of which a traced launch tells where they went, `memory` what it tells of values.
    `turns`, `board`, `device_time` (why the device's own time is not known), `memory_cap` and `trace` are None where
    they do not apply. `driver` holds the facts of the driver's own.
    """

    remarks: tuple[str, ...] = ()
    window_s: float | None = None
    loop_overhead_s: float | None = None
    growth_bytes_per_call: Reading | None = None
    mixtures: int | None = None
    turns: TurnFacts | None = None
    board: BoardFacts | None = None
    device_time: NotTold | None = None
    memory_cap: MemoryCap | None = None
    trace: TraceFacts | None = None
    compilations: tuple[CompilationFacts, ...] = ()
    memory: MemoryFacts | None = None
    driver: Mapping[str, Any] = field(default_factory=dict)
