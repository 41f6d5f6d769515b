"""Reads of a meter while something else runs: a thread that sleeps, and marks in between."""

import random
import threading
from types import TracebackType

from steelyard.guard.energy_source import EnergySource
from steelyard.guard.meter_readings import Counts


class Sampler:
    """Reads a source about every `interval_s` at random distances, so that no rhythm of the work is followed.

    A context manager. `mark` reads at once, in order with the others.
    """

    def __init__(self, source: EnergySource, interval_s: float, seed: int = 0) -> None:
        self.reads: list[Counts] = []
        self._source = source
        self._interval_s = interval_s
        self._random = random.Random(seed)  # noqa: S311 (design of experiment)
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="steelyard-meter", daemon=True)

    def mark(self) -> int:
        """Read now; returns the place of this read among `reads`."""
        with self._lock:
            self.reads.append(self._source.read())
            return len(self.reads) - 1

    def __enter__(self) -> "Sampler":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._interval_s * self._random.uniform(0.5, 1.5)):
            self.mark()
