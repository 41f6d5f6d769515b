"""A compilation with its time and its memory, around which a runtime's own record of it is taken."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from time import perf_counter_ns, time_ns
from typing import Any

from steelyard.core.metrics import Reading
from steelyard.measure.process_memory import HostMemory

ALONE = "; without that of child processes, such as a C++ compiler"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """One compilation: `begin_ns` on the system's clock (time.time_ns), how long it took, and the process's peak."""

    begin_ns: int
    compile_s: float
    host_peak: Reading

    @property
    def end_ns(self) -> float:
        """On the system's clock."""
        return self.begin_ns + self.compile_s * 1e9


def loaded(load: Callable[[], Any]) -> tuple[Any, float]:
    """What `Runner.load` gives, and the seconds that it took."""
    begun = perf_counter_ns()
    executable = load()
    return executable, (perf_counter_ns() - begun) * 1e-9


def compiled(compile_: Callable[[], None]) -> Compiled:
    """Compile, by `Executable.compile`."""
    memory = HostMemory()
    begin_ns, begun = time_ns(), perf_counter_ns()
    compile_()
    lasted = (perf_counter_ns() - begun) * 1e-9
    peak = memory.readings()["host_peak_bytes"]
    if peak.value is not None:
        peak = replace(peak, method=peak.method + ALONE)
    return Compiled(begin_ns=begin_ns, compile_s=lasted, host_peak=peak)


def most_frequent_first(kinds: Iterable[str]) -> Mapping[str, int]:
    """How often each kind of operator occurs."""
    return dict(Counter(kinds).most_common())
