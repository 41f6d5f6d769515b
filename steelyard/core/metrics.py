"""The quantities that are measured: unit, direction, and what the number includes."""

from dataclasses import dataclass
from typing import Literal

Direction = Literal["lower", "higher"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A named quantity. Values are in the base SI unit; only reports scale them."""

    name: str
    unit: str
    direction: Direction
    meaning: str


METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            name="latency_s",
            unit="s",
            direction="lower",
            meaning="one call, inputs bound beforehand, every output complete (layer bound_wall); "
            "for generate the whole answer, prefill and all tokens",
        ),
        Metric(name="ttft_s", unit="s", direction="lower", meaning="from the call to the first token on the host"),
        Metric(
            name="tpot_s",
            unit="s",
            direction="lower",
            meaning="from one token on the host to the next, each step timed by itself",
        ),
        Metric(name="import_s", unit="s", direction="lower", meaning="importing the runtime into a fresh process"),
        Metric(name="load_s", unit="s", direction="lower", meaning="reading the program and its weights"),
        Metric(name="compile_s", unit="s", direction="lower", meaning="tracing, lowering and compiling"),
        Metric(name="first_run_s", unit="s", direction="lower", meaning="the first call after compiling"),
        Metric(name="second_run_s", unit="s", direction="lower", meaning="the second call after compiling"),
        Metric(name="host_peak_bytes", unit="B", direction="lower", meaning="peak resident memory of the process"),
        Metric(name="planned_bytes", unit="B", direction="lower", meaning="memory the compiler planned for a call"),
        Metric(name="allocator_peak_bytes", unit="B", direction="lower", meaning="peak of the runtime's allocator"),
        Metric(name="device_peak_bytes", unit="B", direction="lower", meaning="peak device memory seen by the driver"),
        Metric(name="energy_j", unit="J", direction="lower", meaning="energy of one call"),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One number, or the reason why there is none. Unknown is `None`, never 0."""

    value: float | None
    unit: str
    method: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        if self.value is None and not self.reason:
            raise ValueError("a reading without a value must say why")


def absent(unit: str, reason: str) -> Reading:
    """The reading of a quantity that could not be observed."""
    return Reading(value=None, unit=unit, reason=reason)
