"""What a source that meters joules is: it says how its meters are read, and every reading passes the gate."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

from steelyard.core.energy import Kind
from steelyard.guard.gate import Gate
from steelyard.guard.meter_readings import Counts, Domain, Fault


class EnergySource(ABC):
    """Meters behind one interface: a source gives `domains` and `_read`, and others call `read` and `settled`.

    `update_period_s` is how often the meters move: declared, until `steelyard.guard.period` has measured it.
    `resolution_j` is one step of the counter and `range_j` where it begins again; None where there is no such thing.
    """

    name: ClassVar[str]
    kind: ClassVar[Kind]
    update_period_s: float
    resolution_j: float | None = None
    range_j: float | None = None

    def __init__(self, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._gate = Gate()

    @abstractmethod
    def domains(self) -> tuple[Domain, ...]:
        """What it can meter here."""

    @abstractmethod
    def _read(self) -> Counts:
        """Every domain's counter now, as the meter tells it; called within the lock. May raise what its driver does."""

    def _settled(self, reads: Sequence[Counts]) -> Sequence[Counts]:
        """The reads with their joules, for a source that learns them later only (a log)."""
        return reads

    def read(self) -> Counts:
        """Every domain's counter now, without a number where it is not to be believed. Thread safe; never raises."""
        with self._lock:
            try:
                counts = self._read()
            except Exception as error:  # noqa: BLE001 (drivers raise what they like, and no work may fail for a meter)
                return self._gate.failed(self.domains(), self._clock_ns(), error)
            return self._gate.passed(counts)

    def settled(self, reads: Sequence[Counts]) -> Sequence[Counts]:
        """The reads, in time order, with all that is known of them now. Never raises."""
        gate = Gate()
        try:
            return [gate.passed(counts) for counts in self._settled(reads)]
        except Exception as error:  # noqa: BLE001 (as above)
            return [gate.failed(self.domains(), next(iter(counts.values())).t_ns, error) for counts in reads if counts]

    @property
    def longest_gap_s(self) -> float:
        """Reads must not lie further apart than this, or a counter may have wrapped twice unseen."""
        return float("inf")

    def close(self) -> None:  # noqa: B027 (optional)
        """Release the meter."""


class Absent(EnergySource):
    """The source of a machine without a meter: every window is null with this reason."""

    name: ClassVar[str] = "none"
    kind: ClassVar[Kind] = "counter"

    def __init__(self, fault: Fault) -> None:
        super().__init__()
        self.fault = fault
        self.update_period_s = 0.0

    def domains(self) -> tuple[Domain, ...]:
        """None."""
        return ()

    def _read(self) -> Counts:
        """Nothing."""
        return {}
