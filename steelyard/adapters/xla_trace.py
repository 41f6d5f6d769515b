"""XLA's own profiler around calls: which HLO instruction ran when, and on which thread.

JAX writes what it recorded into a file `*.xplane.pb` and reads it back as `ProfileData`: planes (the host, each device)
of lines (a thread, a stream) of events. An event of an instruction carries the stat `hlo_op`. On a CPU it ends when its
thread goes on; where other threads still compute, an event `end: NAME` tells when the instruction was complete. To stop
a trace takes about 30 us and 3 kB per instruction recorded, as JAX writes it as JSON too. Tried on CPUs; that on other
devices the events are those of their own planes is untested.
"""

import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from steelyard.adapters import hlo
from steelyard.adapters.recorded import MARK, Events, check_calls, executed, recording
from steelyard.adapters.xla_executable import XlaExecutable
from steelyard.core.errors import SteelyardError, Unsupported
from steelyard.core.graph import Site, SourceNode, as_lowered, joined
from steelyard.core.runner import LaunchContext
from steelyard.core.trace import Kernel, Recording
from steelyard.core.tracing import Tracer

_HOST = "/host:CPU"
_END = "end: "
_NO_FLOW = -1
_RESOLUTION_NS = 1.0
_CALLED = "XLA's profiler"


class XlaTracer(Tracer):
    """A program that `Runner.load` gave, compiled here. Nothing is added to it: XLA can record any program."""

    def __init__(self, executable: XlaExecutable, context: LaunchContext) -> None:
        executable.compile()
        self.executable = executable
        self._context, self._instructions = context, hlo.instructions(executable.call.as_text())
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._made = 0

    def begin(self) -> None:
        """Start a trace. Calls before it are complete, as `Binding.run` waits; what else runs lies in no mark."""
        import jax

        if self._folder is not None:
            raise SteelyardError("begin() of a trace that has begun already: call end() first")
        options = jax.profiler.ProfileOptions()
        options.host_tracer_level, options.python_tracer_level = 2, 0
        folder = tempfile.TemporaryDirectory(prefix="xla-trace-", dir=self._context.scratch)
        jax.profiler.start_trace(folder.name, profiler_options=options)
        self._folder, self._made = folder, 0

    def call(self, run: Callable[[], None]) -> None:
        """One call, between the two ends of an annotation on the profiler's clock."""
        import jax

        with jax.profiler.TraceAnnotation(MARK):
            run()
        self._made += 1

    def end(self) -> Recording:
        """Stop the trace and read its file, which is removed."""
        import jax

        if self._folder is None:
            raise SteelyardError("end() of a trace that has not begun: call begin() first")
        with self._folder as folder:
            self._folder = None
            jax.profiler.stop_trace()
            planes = read_planes(Path(folder))
            return tell(planes, self._instructions, device_kind=self._context.device.kind, made=self._made)

    def sites(self, recording: Recording, graph: Sequence[SourceNode]) -> tuple[Site, ...]:
        """By the scopes in which instructions were traced. Raises Unsupported for a program without any."""
        if not any(each.nodes for each in self._instructions.values()):
            raise Unsupported("its program does not tell which nodes it was made of")
        views = {node.name for node in graph if node.kind == "view"}
        inside = hlo.nodes(self._instructions, (kernel.name for kernel in executed(recording)), views)
        return joined(graph, as_lowered(graph), list(inside))


def read_planes(folder: Path) -> Iterable[Any]:
    """The planes of the one trace in a folder."""
    from jax.profiler import ProfileData

    files = sorted(folder.rglob("*.xplane.pb"))
    if len(files) != 1:
        raise SteelyardError(f"{_CALLED} left {len(files)} files *.xplane.pb instead of one")
    try:
        planes: Iterable[Any] = ProfileData.from_file(str(files[0])).planes
    except RuntimeError as error:
        raise SteelyardError(f"{_CALLED} left a file that JAX cannot read: {error}") from error
    return planes


def tell(planes: Iterable[Any], known: dict[str, hlo.Instruction], *, device_kind: str, made: int) -> Recording:
    """The recording of `made` calls. Raises SteelyardError where the calls or all instructions are missing."""
    found = _read(planes, _HOST if device_kind == "cpu" else "/device:")
    check_calls(len(found.marks), made, _CALLED)
    executed = hlo.kernels(known, found.names.keys())
    kernels = [executed[name] for name in found.names]
    events, late = _complete(found, kernels)
    count, remarks = len(found.kernel), []
    if late:
        remarks.append(
            f"{late} of {count} events end on another thread than they began on, and are told on threads of their own"
        )
    if device_kind == "cpu" and (unended := sum(flow not in found.complete for flow in found.flow)):
        remarks.append(
            f"{unended} of {count} events have no '{_END}NAME' to tell when they were complete: they may be longer"
        )
    if unknown := sorted(kernel.name for kernel in kernels if kernel.kind == "unknown"):
        remarks.append(f"the compiled program's text lacks {', '.join(unknown)}: of what kind they are is not known")
    told = recording(events, kernels, found.marks, resolution_ns=_RESOLUTION_NS, remarks=tuple(remarks))
    if not told.kernels:
        raise SteelyardError(f"{_CALLED} recorded {made} calls and no HLO instruction in them (stat hlo_op)")
    return told


@dataclass(slots=True)
class _Found:
    """The events of instructions, in columns, and what belongs to them; times in nanoseconds.

    `names` gives each name its place, `flow` is what an event shares with its `end: NAME`, and `complete` when each
    flow ended.
    """

    names: dict[str, int] = field(default_factory=dict)
    kernel: list[int] = field(default_factory=list)
    thread: list[int] = field(default_factory=list)
    start: list[float] = field(default_factory=list)
    duration: list[float] = field(default_factory=list)
    flow: list[int] = field(default_factory=list)
    complete: dict[int, float] = field(default_factory=dict)
    marks: list[tuple[float, float]] = field(default_factory=list)


def _read(planes: Iterable[Any], place: str) -> _Found:
    """Marks are looked for on the host, instructions in the planes whose names begin with `place`."""
    found, thread = _Found(), 0
    for plane in planes:
        computes = plane.name.startswith(place)
        if not computes and plane.name != _HOST:
            continue
        for line in plane.lines:
            thread += 1
            for event in line.events:
                name, start, duration = event.name, event.start_ns, event.duration_ns
                if name == MARK:
                    found.marks.append((start, start + duration))
                elif computes:
                    stats = dict(event.stats)
                    if name.startswith(_END):
                        found.complete[stats.get("_c", _NO_FLOW)] = start
                    elif (operator := stats.get("hlo_op")) is not None:
                        found.kernel.append(found.names.setdefault(operator, len(found.names)))
                        found.thread.append(thread)
                        found.start.append(start)
                        found.duration.append(duration)
                        found.flow.append(stats.get("_p", _NO_FLOW))
    found.complete.pop(_NO_FLOW, None)
    found.marks.sort()
    return found


def _complete(found: _Found, kernels: Sequence[Kernel]) -> tuple[Events, int]:
    """The events to the completion of each instruction, and how many outlast what their threads had to do with them.

    Those are put on threads of their own, as theirs may begin the next instruction meanwhile. What surrounds others
    stays as it is: its own time is what its thread spends on it.
    """
    start, duration = np.array(found.start, np.float64), np.array(found.duration, np.float64)
    thread = np.array(found.thread, np.int64)
    ends = start + duration
    finish = np.array([found.complete.get(flow, end) for flow, end in zip(found.flow, ends, strict=True)])
    wrapper = np.array([kernels[place].wrapper for place in found.kernel], dtype=bool)
    late = np.flatnonzero((finish > ends) & ~wrapper)
    late = late[np.argsort(start[late], kind="stable")]
    duration[late] = finish[late] - start[late]
    free: list[float] = []
    lanes = thread.max(initial=0) + 1
    for place in late:
        lane = next((lane for lane, end in enumerate(free) if end <= start[place]), len(free))
        free[lane : lane + 1] = [finish[place]]
        thread[place] = lanes + lane
    return Events(kernel=found.kernel, thread=thread, start_ns=start, duration_ns=duration), len(late)
