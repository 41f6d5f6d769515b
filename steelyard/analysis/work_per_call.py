"""The work of one call of a point: the suite's own count, what compilers count, and the bytes that it cannot avoid."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from steelyard.core.lowered import WorkCount
from steelyard.core.run import LoweredFacts
from steelyard.core.workload import DTYPE_BYTES, Point, Program
from steelyard.measure.driver import driver_of

Agreement = Literal["agrees", "differs", "not counted"]
TOLERANCE = 0.10
"""How far a compiler's count may lie from the suite's. Compilers count what the program computes: attention over the
whole cache and over masked places, and (XLA) every elementwise operation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One compiler's count for one call of a point beside the suite's; `ratio` is theirs over ours."""

    origin: str
    flop: float | None
    bytes: float | None
    ratio: float | None
    agreement: Agreement
    reason: str = ""


def checks(point: Point, facts: LoweredFacts | None) -> tuple[Check, ...]:
    """Every compiler's count of a point, by origin."""
    counts = {} if facts is None else facts.work
    origins = dict.fromkeys(key.partition("/")[2] for key in counts)
    return tuple(_check(point, counts, origin) for origin in origins)


def traffic_bytes(point: Point, facts: LoweredFacts | None) -> float | None:
    """The bytes that one call has to move at least if nothing stays in a cache between programs; None where the suite
    does not count the weights.

    Of each program that runs: its weights once (of tables the rows that are looked up), inputs and outputs once, of
    the state the places that are filled when it runs and those that it writes. No weight is counted that no
    multiply-add can have used: with `f` operations counted there are at most `f / 2` (experts that serve no token are
    not read).
    """
    work = point.work
    weights = work.weight_bytes if work.read_bytes is None else work.read_bytes
    driver = driver_of(point)
    runs = driver.runs(point)
    if weights is None or not runs:
        return None
    total = 0.0
    for role, times in runs.items():
        program = point.programs[role]
        total += times * (_weights(point, role, weights, facts) + _data(program) + driver.state_bytes(point, role))
    return total


def _check(point: Point, counts: Mapping[str, WorkCount], origin: str) -> Check:
    flop, moved = 0.0, 0.0
    known = True
    for role, times in driver_of(point).runs(point).items():
        count = counts.get(f"{role}/{origin}")
        if count is None or count.flop is None:
            reason = "it was not counted" if count is None else count.reason
            return Check(origin=origin, flop=None, bytes=None, ratio=None, agreement="not counted", reason=reason)
        flop += times * count.flop
        known = known and count.bytes is not None
        moved += times * (count.bytes or 0.0)
    ours = point.work.flop
    if not flop or not ours:
        reason = "the suite has no count" if flop else "it counts no operation"
        return Check(origin=origin, flop=flop, bytes=None, ratio=None, agreement="not counted", reason=reason)
    ratio = flop / ours
    return Check(
        origin=origin,
        flop=flop,
        bytes=moved if known else None,
        ratio=ratio,
        agreement="agrees" if abs(ratio - 1) <= TOLERANCE else "differs",
    )


def _weights(point: Point, role: str, weights: int, facts: LoweredFacts | None) -> float:
    count = None if facts is None else facts.work.get(f"{role}/torch")
    alone = sum(driver_of(point).runs(point).values()) == 1
    flop = point.work.flop if alone else None
    if count is not None and count.flop is not None:
        flop = count.flop
    used = weights if flop is None else flop / 2 * DTYPE_BYTES[point.programs[role].dtype]
    return min(float(weights), used)


def _data(program: Program) -> float:
    return float(sum(spec.bytes for spec in (*program.inputs, *program.outputs) if spec.role == "data"))
