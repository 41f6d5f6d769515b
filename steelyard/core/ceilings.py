"""What a machine was seen to reach: bandwidth, latency, arithmetic, overhead, each with its interval."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from steelyard.core.comparison import Estimate

What = Literal[
    "read",
    "copy",
    "triad",
    "chase",
    "dependent",
    "independent",
    "paired",
    "fma",
    "gemm",
    "launch",
    "to_device",
    "to_host",
]
Unit = Literal["1/s", "B/s", "s", "cycles"]
MEANINGS: Mapping[What, str] = {
    "read": "bytes read in order",
    "copy": "bytes read and written, one each, in order",
    "triad": "a[i] = b[i] + s * c[i]: two bytes read for each written",
    "chase": "time of one load whose address the load before it gives, in random order over cache lines",
    "dependent": "time of one vector multiply-add, or named instruction, that needs the result of the one before",
    "independent": "the same among chains that need nothing of each other",
    "paired": "time of the named instruction and a multiply-add, among chains that need nothing of each other",
    "fma": "multiply-adds in registers, two operations each",
    "gemm": "a square matrix product, 2 n^3 operations",
    "launch": "time of one call that computes next to nothing",
    "to_device": "bytes copied from the host to the device",
    "to_host": "bytes copied from the device to the host",
}
"""What is measured, with its meaning. Bytes are those that the loop names: a write counts once, although a cache may
read the line before it."""

BANDWIDTHS: tuple[What, ...] = ("read", "copy", "triad")
ARITHMETIC: tuple[What, ...] = ("gemm", "fma")
INSTRUCTION_WAYS: tuple[What, ...] = ("dependent", "independent", "paired")
"""How an instruction is measured, in the order of the library that does."""
INSTRUCTIONS = "instructions"
"""Who measures single instructions."""
MEMORY = "memory"
"""The level beyond all caches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """One rate or time that was measured, or the `reason` why not.

    `by` did it: `native` (a loop in C, compiled on the machine) or a runtime. `size` is the working set of one thread
    in bytes, of a product the edge of its matrices. `level` is where that working set lies (`L1`, `L2`, `L3`,
    `memory`), empty where it lies in several or nowhere. `dtype` is what it computes in. `instruction` is the one that
    was measured alone, with its registers. `unit` is `1/s` (operations), `B/s`, `s` or `cycles`. The estimate's `n`
    counts rounds.
    """

    what: What
    by: str
    unit: Unit
    threads: int
    dtype: str = ""
    instruction: str = ""
    size: int | None = None
    level: str = ""
    estimate: Estimate | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        if self.estimate is None and not self.reason:
            raise ValueError(f"{self.what} by {self.by}: a ceiling without a value must say why")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceilings:
    """All that was measured of one device under one number of threads, in interleaved rounds.

    `machine` is the device's name, `machine_key` a hash of CPU and memory; neither names the host. `capacity_bytes` is
    what each level of cache holds for all threads together. `versions` are installed distributions, `compiler` what
    compiled the native loops, empty where none did. `grade` and `evidence` are the noise before the first round.
    """

    machine: str
    machine_key: str
    device: str
    threads: int
    created_utc: str
    tool_version: str
    rounds: int
    grade: Literal["A", "B", "C", "D", "F"]
    rows: tuple[Ceiling, ...]
    capacity_bytes: Mapping[str, int] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    compiler: str = ""
    evidence: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def peak(self, dtype: str) -> Ceiling | None:
        """The fastest arithmetic in a dtype, by whoever did it; None if nothing was measured in it."""
        return self._highest(row for row in self.rows if row.what in ARITHMETIC and row.dtype == dtype)

    def bandwidth(self, level: str) -> Ceiling | None:
        """The fastest of the streaming loops at a level; None if none was measured there."""
        return self._highest(row for row in self.rows if row.what in BANDWIDTHS and row.level == level)

    def level(self, traffic_bytes: float) -> str:
        """The level that what each call touches may lie in: the first that holds at least half of it."""
        for name, capacity in sorted(self.capacity_bytes.items(), key=lambda entry: entry[1]):
            if traffic_bytes <= 2 * capacity:
                return name
        return MEMORY

    def _highest(self, rows: Iterable[Ceiling]) -> Ceiling | None:
        known = [(row.estimate.value, row) for row in rows if row.estimate is not None and row.threads == self.threads]
        return max(known, key=lambda pair: pair[0], default=(0.0, None))[1]
