"""How fast the measured CPUs were: for a launch, and how much that moved from launch to launch.

A covariate, shown beside the times and never used to correct one. What it cannot see: the loop of the spin meter lies
in the nearest cache, so that a program that takes memory bandwidth or the last cache alone does not slow it.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import mean, median

from steelyard.core.metrics import Reading, absent
from steelyard.core.result import LaunchRecord

LAG, SPREAD = "clock_lag_share", "clock_spread_share"


def between_turns(readings: Sequence[Reading]) -> dict[str, Reading]:
    """`spin_hz`, the median of the readings just before and after the turns of a launch, and `spin_hz_low`, the lowest
    of them; empty for a launch that had no turns."""
    if not readings:
        return {}
    known = [reading for reading in readings if reading.value is not None]
    values = [reading.value for reading in known if reading.value is not None]
    if not values:
        return {name: absent("Hz", readings[0].reason) for name in ("spin_hz", "spin_hz_low")}
    method = f"{len(values)} readings before and after its turns; {known[0].method}"
    return {
        "spin_hz": Reading(value=median(values), unit="Hz", method=f"median of {method}"),
        "spin_hz_low": Reading(value=min(values), unit="Hz", method=f"lowest of {method}"),
    }


def speed_hz(noise: Mapping[str, Reading]) -> float | None:
    """The speed of the measured CPUs in a launch, from its record's readings: between its turns; of one that had none
    the mean of just before and just after it. None where it was not read."""
    turns = _value(noise, "during/spin_hz")
    if turns is not None:
        return turns
    ends = [value for when in ("before", "after") if (value := _value(noise, f"{when}/spin_hz")) is not None]
    return mean(ends) if ends else None


def over_fastest(launches: Sequence[LaunchRecord]) -> dict[str, float]:
    """The speed in each launch of a segment over that in the fastest, by the launch's name, where it was read. A
    segment has one process of the spin meter: speeds of two are not held against each other."""
    speeds = {record.launch: speed for record in launches if (speed := speed_hz(record.noise)) is not None}
    fastest = max(speeds.values(), default=1.0)
    return {launch: speed / fastest for launch, speed in speeds.items()}


def moved(launches: Sequence[LaunchRecord]) -> dict[str, Reading]:
    """What the speed did over a segment. Empty where no launch read it.

    `clock_lag_share`: by how much the typical launch was slower than the fastest one. All arms of a round share that,
    and the ratio of two does not know it. `clock_spread_share`: by how much the slower of two launches of one round was
    slower than the other, the median over all such pairs: that is in the ratio of the two.
    """
    speeds = over_fastest(launches)
    if not speeds:
        return {}
    rounds: dict[int, list[float]] = {}
    for record in launches:
        if record.launch in speeds:
            rounds.setdefault(record.round, []).append(speeds[record.launch])
    method = f"spin meter, {len(speeds)} launches in {len(rounds)} rounds"
    found = {LAG: Reading(value=1 - median(speeds.values()), unit="1", method=method)}
    apart = [1 - min(pair) / max(pair) for members in rounds.values() for pair in combinations(members, 2)]
    if apart:
        found[SPREAD] = Reading(value=median(apart), unit="1", method=method)
    return found


def _value(noise: Mapping[str, Reading], key: str) -> float | None:
    reading = noise.get(key)
    return None if reading is None else reading.value
