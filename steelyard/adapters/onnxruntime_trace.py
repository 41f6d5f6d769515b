"""The profiler of ONNX Runtime: each recording is made by a session of its own, under what is bound already.

A session records from its creation on and writes its file once. So `begin` compiles the program anew with the profiler,
moves the bindings to the new session and warms them up; `end` writes the file, after which the session runs on without
a profiler. Before the first `begin` there is none either.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Protocol
from weakref import WeakSet

from steelyard.adapters.bound import lowered_graph_of
from steelyard.adapters.onnxruntime_binding import Bound
from steelyard.adapters.onnxruntime_graph import named
from steelyard.adapters.onnxruntime_profile import parse
from steelyard.adapters.recorded import executed
from steelyard.adapters.renewal import renew
from steelyard.core.errors import SteelyardError
from steelyard.core.graph import Site, SourceNode, joined
from steelyard.core.lowered import Artifact
from steelyard.core.runner import Executable
from steelyard.core.trace import Recording
from steelyard.core.tracing import Tracer


class Profilable(Protocol):
    """An executable on a session that can be compiled with the profiler; its file's path begins with `profile`. The
    graph that it executes is written to `optimised`."""

    artifact: Artifact
    session: Any
    profile: Path | None
    optimised: Path | None
    bindings: WeakSet[Bound]

    def compile(self) -> None:
        """Open the session."""


class SessionTracer(Tracer):
    """See `Tracer`. `load` gives the program as a fresh `Profilable`; files lie in `scratch` until they are read."""

    def __init__(self, load: Callable[[], Any], scratch: Path) -> None:
        made, self._graph = load(), Path(mkdtemp(prefix="graph-", dir=scratch)) / "optimised.onnx"
        made.optimised = self._graph
        made.compile()
        self._provider = made.options["provider"]
        self.executable: Executable = made
        self._program: Profilable = made
        self._load, self._scratch = load, scratch
        self._skipped = 0
        self._calls: int | None = None

    def begin(self) -> None:
        """A new session with the profiler."""
        if self._calls is not None:
            raise SteelyardError("a recording of ONNX Runtime has begun already: end() comes before the next begin()")
        self._skipped = renew(self._program.bindings, self._compile)
        self._calls = 0

    def call(self, run: Callable[[], None]) -> None:  # noqa: D102
        made = self._begun()
        run()
        self._calls = made + 1

    def end(self) -> Recording:
        """Write the file and read it."""
        made, self._calls = self._begun(), None
        file = Path(self._program.session.end_profiling())
        try:
            recording = parse(file.read_bytes(), self._skipped)
            file.unlink()
        except OSError as error:
            raise SteelyardError(f"{file}: the profile of ONNX Runtime cannot be read: {error.strerror}") from error
        found = len(recording.calls)
        if found != made and (recording.dropped == 0 or found > made):
            raise SteelyardError(f"{made} calls were recorded, the profile of ONNX Runtime has {found}")
        if self._provider == "CPUExecutionProvider":
            return recording
        remark = f"the time of a node is the host's, which for {self._provider} may be that of handing it to the device"
        return replace(recording, remarks=(*recording.remarks, remark))

    def sites(self, recording: Recording, graph: Sequence[SourceNode]) -> tuple[Site, ...]:
        """See `Tracer`: by the values that nodes write. Raises Unsupported for a model of another origin."""
        import onnx

        artifact = self._program.artifact
        lowered = lowered_graph_of(artifact)
        model = onnx.load(self._graph, load_external_data=False)
        written = named(model, artifact.details["exported"], lowered)
        return joined(graph, lowered, [(each.name, written.get(each.name, ())) for each in executed(recording)])

    def _begun(self) -> int:
        if self._calls is None:
            raise SteelyardError("no recording of ONNX Runtime has begun: begin() comes first")
        return self._calls

    def _compile(self) -> None:
        self._program.session = None
        fresh: Profilable = self._load()
        fresh.profile = Path(mkdtemp(prefix="profile-", dir=self._scratch)) / "events"
        fresh.compile()
        self._program.session = fresh.session
