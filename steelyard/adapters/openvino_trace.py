"""OpenVINO's counters as a recording: a model compiled with them anew for each, under what is bound already.

Counters run from compilation on and cannot be set back. So `begin` compiles the model again, moves the bindings to it,
warms them up and reads the counters; `end` reads them once more. Before the first `begin` nothing counts.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean
from time import perf_counter_ns
from typing import Any, Protocol
from weakref import WeakSet

from steelyard.adapters.bound import lowered_graph_of
from steelyard.adapters.openvino_binding import Bound
from steelyard.adapters.openvino_counters import Reading, read, recording, sites
from steelyard.adapters.renewal import renew
from steelyard.core.errors import SteelyardError, Unsupported
from steelyard.core.graph import Site, SourceNode
from steelyard.core.lowered import Artifact
from steelyard.core.runner import Executable
from steelyard.core.trace import Recording
from steelyard.core.tracing import Tracer


class Profilable(Protocol):
    """An executable on a compiled model, with the plugin's counters where it is `profiled`."""

    artifact: Artifact
    compiled: Any
    profiled: bool
    bindings: WeakSet[Bound]

    def compile(self) -> None:
        """Compile the model."""


class CountersTracer(Tracer):
    """See `Tracer`. `load` gives the program as a fresh `Profilable`.

    Raises Unsupported for several streams: each has counters of its own, and a call may run on any.
    """

    def __init__(self, load: Callable[[], Any]) -> None:
        made = load()
        if (streams := made.options.get("NUM_STREAMS", 1)) != 1:
            raise Unsupported(f"OpenVINO counts for each of its {streams} streams apart: trace it with one")
        made.compile()
        self._device = made.options["device"]
        self.executable: Executable = made
        self._program: Profilable = made
        self._load = load
        self._before = self._after = Reading(nodes=(), silent=0)
        self._earlier = 0
        self._lasted: list[int] | None = None

    def begin(self) -> None:
        """A new model with counters."""
        if self._lasted is not None:
            raise SteelyardError("a recording of OpenVINO has begun already: end() comes before the next begin()")
        self._earlier = renew(self._program.bindings, self._compile)
        self._before = read(self._program.compiled)
        self._lasted = []

    def call(self, run: Callable[[], None]) -> None:
        """See `Tracer`. Its time is taken: the counters tell of nodes alone."""
        lasted = self._begun()
        start = perf_counter_ns()
        run()
        lasted.append(perf_counter_ns() - start)

    def end(self) -> Recording:
        """Read the counters."""
        lasted, self._lasted = self._begun(), None
        if not lasted:
            raise SteelyardError("no call was made between begin() and end(): OpenVINO has no averages of it")
        after = self._after = read(self._program.compiled)
        found = recording(self._before, after, earlier=self._earlier, calls=len(lasted), call_ns=fmean(lasted))
        if self._device == "CPU":
            return found
        remark = f"the counters of {self._device} are read as averages, which those of the CPU's plugin are"
        return replace(found, remarks=(*found.remarks, remark))

    def sites(self, recording: Recording, graph: Sequence[SourceNode]) -> tuple[Site, ...]:
        """See `Tracer`: by the friendly names of layers. Raises Unsupported for a model of another origin."""
        artifact = self._program.artifact
        exported = artifact.details.get("exported", {})
        return sites(recording.kernels, self._after, lowered_graph_of(artifact), exported, graph)

    def _begun(self) -> list[int]:
        if self._lasted is None:
            raise SteelyardError("no recording of OpenVINO has begun: begin() comes first")
        return self._lasted

    def _compile(self) -> None:
        self._program.compiled = None
        fresh: Profilable = self._load()
        fresh.profiled = True
        fresh.compile()
        self._program.compiled = fresh.compiled
