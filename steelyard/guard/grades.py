"""From readings to a grade, with a sentence for everything that spoke against an A."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import cast

from steelyard.core.metrics import Reading, absent
from steelyard.core.result import LaunchRecord
from steelyard.core.run import Grade, Noise
from steelyard.guard import speed

_ORDER = "ABCDF"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The largest value of a reading for A, B, C and D; above the last it is F. `remedy` is what to do."""

    bounds: tuple[float, float, float, float]
    says: str
    remedy: str


# A quiet two-core virtual machine loses 0.1-0.5 % to its timer interrupts. At 15 % lost or 10 %
# stolen a ratio of two programs says more about the background load: verdicts are withheld.
SCALES: Mapping[str, Scale] = {
    "hiccup_share": Scale(
        bounds=(0.01, 0.03, 0.07, 0.15),
        says="a spinning process lost {value:.1%} of the worst CPU's time to others",
        remedy="end other programs, or choose idle CPUs with --cpus",
    ),
    "steal_share": Scale(
        bounds=(0.002, 0.01, 0.03, 0.10),
        says="the hypervisor gave {value:.1%} of the CPU time to other guests",
        remedy="use a host or instance type with dedicated CPUs",
    ),
    "foreign_cpu_share": Scale(
        bounds=(0.03, 0.06, 0.12, 0.25),
        says="other processes used {value:.1%} of the measured CPUs",
        remedy="end other programs, or choose idle CPUs with --cpus",
    ),
    "throttled_share": Scale(
        bounds=(0.0, 0.01, 0.05, 0.20),
        says="the container's CPU quota stopped this process in {value:.1%} of the scheduler periods",
        remedy="raise the quota, or use fewer --threads",
    ),
    "thermal_throttles": Scale(
        bounds=(0.0, 0.0, 1.0, 10.0),
        says="the CPU throttled {value:.0f} times for heat",
        remedy="let it cool, or cap its clock",
    ),
    "cpu_pressure_share": Scale(
        bounds=(0.05, 0.15, 0.30, 0.60),
        says="for {value:.0%} of an idle moment some program had to wait for a CPU",
        remedy="end other programs, or choose idle CPUs with --cpus",
    ),
    # Neither withholds a verdict: the first cancels in the ratio of two launches of a round, and the second falls on
    # all arms at random, so that the intervals know it. Bounds and what was measured: docs/measurement.md.
    speed.LAG: Scale(
        bounds=(0.05, 0.10, 0.25, math.inf),
        says="the clock of the measured CPUs was {value:.1%} slower in the typical launch than in the fastest",
        remedy="cap the clock at what heat and neighbours leave, or use dedicated cores",
    ),
    speed.SPREAD: Scale(
        bounds=(0.03, 0.06, 0.12, math.inf),
        says="between two launches of a round the clock of the measured CPUs differed by {value:.1%}, typically",
        remedy="let launches take turns (--turns on), cap the clock, or use dedicated cores",
    ),
    # Near the 95 to 105 degrees Celsius at which CPUs slow down; below that heat only shows in the clock.
    "temperature_k": Scale(
        bounds=(358.15, 368.15, 378.15, math.inf),
        says="the hottest part is at {value:.0f} K",
        remedy="let it cool, or cap its clock",
    ),
    "gpu_processes": Scale(
        bounds=(0.0, 0.0, 0.0, 1.0),
        says="{value:.0f} other compute processes hold the GPU",
        remedy="end them (nvidia-smi lists them), or choose another GPU with --device",
    ),
    "gpu_slowdowns": Scale(
        bounds=(0.0, 0.0, 1.0, 2.0),
        says="the GPU's clock is held down for {value:.0f} reasons before anything runs (bench doctor names them)",
        remedy="let it cool, or raise its power cap",
    ),
    "gpu_temperature_k": Scale(
        bounds=(343.15, 353.15, 363.15, math.inf),
        says="the GPU is at {value:.0f} K before anything runs",
        remedy="let it cool",
    ),
}

_UNKNOWN_AT_BEST: Grade = "C"
"""Without the spin meter the machine cannot be called quiet."""


def grade(readings: Mapping[str, Reading]) -> tuple[Grade, tuple[str, ...]]:
    """The worst grade of any reading, and the evidence for each that is below A.

    A governor other than `performance`, turbo, a clock below half of its maximum under load or a GPU below its
    default power makes it B at best: they change numbers, but those of all backends alike. Readings that are
    absent do not count, but for the spin meter. The load average does not grade: it lags and counts the
    caller's own work.
    """
    found = _judged(readings)
    spun = readings.get("hiccup_share")
    if spun is None or spun.value is None:
        why = "it was not run" if spun is None else spun.reason
        found.append((_UNKNOWN_AT_BEST, f"{_UNKNOWN_AT_BEST}: no spin meter: {why}"))
    found += [
        ("B", f"B: {says.format(method=reading.method, value=reading.value)}; bench doctor --tune prints the commands")
        for name, speaks, says in _AT_BEST_B
        if (reading := readings.get(name)) is not None and reading.value is not None and speaks(reading.value)
    ]
    found.sort(key=lambda entry: _ORDER.index(entry[0]), reverse=True)
    return (found[0][0] if found else "A"), tuple(sentence for _, sentence in found)


_AT_BEST_B: tuple[tuple[str, Callable[[float], bool], str], ...] = (
    ("governor_performance", lambda value: value == 0.0, "{method}"),
    ("turbo", lambda value: value == 1.0, "turbo is on: the clock follows heat and neighbours ({method})"),
    ("clock_share", lambda value: value < 0.5, "under load the clock stays at {value:.0%} of its maximum ({method})"),
    ("gpu_power_cap_share", lambda value: value < 1.0, "the GPU may use {value:.0%} of its default power ({method})"),
)


def _judged(readings: Mapping[str, Reading]) -> list[tuple[Grade, str]]:
    """The grade of each reading that is below A, with the evidence."""
    found: list[tuple[Grade, str]] = []
    for name, scale in SCALES.items():
        reading = readings.get(name)
        if reading is not None and reading.value is not None:
            letter = letter_of(reading.value, scale.bounds)
            if letter != "A":
                found.append((letter, f"{letter}: {scale.says.format(value=reading.value)}; {scale.remedy}"))
    return found


_LAUNCH_READINGS = ("foreign_cpu_share", "steal_share", "throttled_share")


def graded_at_end(noise: Noise, launches: Sequence[LaunchRecord]) -> Noise:
    """A segment's grade when it has ended: the worse of the preflight's and of that of its typical launch.

    Noise that began after the preflight counts by the median over all launches, contaminated ones included:
    a background load that came and went costs the rounds it touched and not the grade, one that stayed for
    more than half of the launches costs the grade as well. So does a clock that was slow or that moved. A machine
    that was noisy beforehand keeps that grade even if it became quiet.
    """
    readings = {}
    for name in _LAUNCH_READINGS:
        taken = [reading for record in launches if (reading := record.noise.get(f"during/{name}")) is not None]
        values = [reading.value for reading in taken if reading.value is not None]
        if values:
            method = f"median over {len(values)} launches; {taken[0].method}"
            readings[name] = Reading(value=median(values), unit="1", method=method)
        elif taken:
            readings[name] = absent("1", taken[0].reason)
    found = [(letter, f"{sentence} (in the typical launch)") for letter, sentence in _judged(readings)]
    clock = speed.moved(launches)
    found += _judged(clock)
    readings.update(clock)
    worst = max([noise.grade, *(letter for letter, _ in found)], key=_ORDER.index)
    return Noise(
        grade=worst,
        readings={**noise.readings, **{f"during/{name}": reading for name, reading in readings.items()}},
        evidence=(*noise.evidence, *(sentence for _, sentence in found)),
    )


def letter_of(value: float, bounds: tuple[float, float, float, float]) -> Grade:
    """The grade of a value: A up to the first bound, ..., F above the last."""
    for letter, bound in zip("ABCD", bounds, strict=True):
        if value <= bound:
            return cast(Grade, letter)
    return "F"
