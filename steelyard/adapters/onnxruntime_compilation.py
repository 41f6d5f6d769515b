"""Where the making of an ONNX Runtime session goes: two events of its profile, and its log, which has every pass.

The log has a line before each graph transformer and one after it, with nanoseconds; ONNX Runtime writes it to the
process's standard error, which goes to a file meanwhile.
"""

import os
import re
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec

from steelyard.adapters.bound import artifact_of
from steelyard.adapters.compiled_apart import compiled, loaded, most_frequent_first
from steelyard.adapters.machine_code import machine_code
from steelyard.adapters.onnxruntime_session import opened
from steelyard.core.backend import BackendSpec
from steelyard.core.compilation import Compilation, Phase, Representation
from steelyard.core.errors import SteelyardError
from steelyard.core.lowered import LoweredProgram
from steelyard.core.runner import LaunchContext
from steelyard.measure.phases import folded

_READ, _MADE = "model_loading_uri", "session_initialization"
_LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\.(\d{9}) \[.*?\] (.*)")
_LEVEL = re.compile(r"Applying \d+ graph transformer\(s\) for level (\d+) ")
_BEGUN = re.compile(r"Applying graph transformer (\S+) on step ")
_ENDED = re.compile(r"GraphTransformer (\S+) modified: ([01]) ")
_STEPS = (
    ("initialized tensors", "Saving initialized tensors", "Done saving initialized tensors"),
    ("kernels and packed weights", "Done saving initialized tensors", "Session successfully initialized"),
)
"""What a session does after its passes, and between which lines of its log, each of which comes once but for graphs
within nodes. Only these names are not ONNX Runtime's own."""

_VERBOSE, _WARNINGS = 0, 2


class OnnxRunner(Protocol):
    """What is needed of the runner."""

    context: LaunchContext
    provider: str

    @classmethod
    def needs(cls, backend: BackendSpec) -> tuple[str, ...]:
        """The formats this backend consumes."""

    def load(self, program: LoweredProgram) -> Any:
        """An executable; `profile` is how the path of its profiler's file begins, `session` there once compiled."""

    def session_options(self) -> Any:
        """Those of every session."""

    def provider_options(self) -> Mapping[str, str]:
        """Options of the provider."""


class _Event(msgspec.Struct):
    name: str
    dur: int


def compilation(runner: OnnxRunner, program: LoweredProgram) -> Compilation:
    """See `Runner.tells`; a second session writes the optimised graph. Raises SteelyardError for a profile that cannot
    be read."""
    import onnxruntime

    executable, load_s = loaded(lambda: runner.load(program))
    artifact = artifact_of(program, runner.needs(runner.context.backend)[-1])
    entry = Path(artifact.directory) / artifact.entry
    with tempfile.TemporaryDirectory(prefix="compilation-", dir=runner.context.scratch) as folder:
        executable.profile = Path(folder) / "profile"
        onnxruntime.set_default_logger_severity(_VERBOSE)
        try:
            with _standard_error_in(Path(folder) / "log"):
                window = compiled(executable.compile)
                written = Path(executable.session.end_profiling())
        finally:
            onnxruntime.set_default_logger_severity(_WARNINGS)
        log = (Path(folder) / "log").read_text(errors="replace")
        made = phases_of(written.read_bytes(), log)
        executable.session = None
        after = Path(folder) / "optimised.onnx"
        optimised(runner, entry, after)
        found = (_representation("ONNX, as exported", entry), _representation("ONNX, optimised", after))
    return Compilation(
        load_s=load_s,
        compile_s=window.compile_s,
        host_peak=window.host_peak,
        phases=folded(made, window.compile_s),
        representations=found,
        code=machine_code((), "ONNX Runtime's kernels are compiled beforehand"),
        from_cache=False,
        remarks=(_changed(log),),
    )


def optimised(runner: OnnxRunner, entry: Path, path: Path) -> None:
    """The graph that a session executes, as a file with its weights beside it."""
    options = runner.session_options()
    options.optimized_model_filepath = str(path)
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", f"{path.name}.weights")
    opened(entry, options, runner.provider, runner.provider_options(), path.stem)


@contextmanager
def _standard_error_in(path: Path) -> Iterator[None]:
    """What native code writes to standard error meanwhile goes to a file."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with path.open("wb") as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def phases_of(profile: bytes, log: str) -> tuple[Phase, ...]:
    """Reading of the model, and making of the session with the passes in it. Raises SteelyardError for a profile that
    lacks one of them, or a log whose passes do not fit."""
    try:
        events = msgspec.json.decode(profile, type=list[_Event])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SteelyardError(f"not a whole profile of ONNX Runtime: {error}") from error
    seconds = {event.name: event.dur * 1e-6 for event in events if event.name in (_READ, _MADE)}
    if missing := {_READ, _MADE} - seconds.keys():
        raise SteelyardError(
            f"not a profile of a session of ONNX Runtime: it has no event {', '.join(sorted(missing))}"
        )
    passes = (*passes_of(log), *steps_of(log))
    inside_s = sum(each.seconds for each in passes)
    if inside_s > seconds[_MADE]:
        raise SteelyardError(f"ONNX Runtime's log has {inside_s} s of passes in {seconds[_MADE]} s of {_MADE}")
    return (
        Phase(name=_READ, kind="load", own_s=seconds[_READ]),
        Phase(name=_MADE, kind="other", own_s=seconds[_MADE] - inside_s, parts=passes),
    )


def passes_of(log: str) -> tuple[Phase, ...]:
    """The graph transformers by level, each with the time between its two lines; one whose second line is missing is
    left out."""
    seconds: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    times: Counter[tuple[str, str]] = Counter()
    level, name, begun_ns = "", "", 0
    for line in log.splitlines():
        if (told := _LINE.search(line)) is None:
            continue
        now_ns = _ns(told)
        if found := _LEVEL.search(told[3]):
            level = found[1]
        elif found := _BEGUN.search(told[3]):
            name, begun_ns = found[1], now_ns
        elif (found := _ENDED.search(told[3])) and found[1] == name:
            seconds[level][name] += max(now_ns - begun_ns, 0) * 1e-9
            times[level, name] += 1
            name = ""
    return tuple(
        Phase(
            name=f"graph transformers of level {level}",
            kind="passes",
            own_s=0.0,
            parts=tuple(
                Phase(name=name, kind="passes", own_s=own_s, times=times[level, name]) for name, own_s in passes.items()
            ),
        )
        for level, passes in seconds.items()
    )


def steps_of(log: str) -> tuple[Phase, ...]:
    """What comes after the passes; without the steps whose lines come several times, or not at all."""
    times: dict[str, list[int]] = defaultdict(list)
    for line in log.splitlines():
        if told := _LINE.search(line):
            for text in {text for _, *texts in _STEPS for text in texts if text in told[3]}:
                times[text].append(_ns(told))
    return tuple(
        Phase(name=name, kind="load", own_s=max(times[last][0] - times[first][0], 0) * 1e-9)
        for name, first, last in _STEPS
        if len(times[first]) == len(times[last]) == 1
    )


def _ns(told: re.Match[str]) -> int:
    """When a line was written."""
    return int(datetime.fromisoformat(told[1]).timestamp()) * 10**9 + int(told[2])


def _changed(log: str) -> str:
    ended = [found for line in log.splitlines() if (found := _ENDED.search(line))]
    names = Counter(found[1] for found in ended if found[2] == "1")
    told = ", ".join(names) or "none"
    return f"of {len(ended)} runs of graph transformers {names.total()} changed the graph: {told}"


def _representation(name: str, path: Path) -> Representation:
    """Without its weights where they are in a file of their own. Graphs within nodes count, too."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    graphs, kinds = [model.graph], []
    model_bytes = path.stat().st_size
    while graphs:
        for node in graphs.pop().node:
            kinds.append(node.op_type)
            for attribute in node.attribute:
                graphs += [attribute.g] if attribute.HasField("g") else attribute.graphs
    text = onnx.printer.to_text(model)
    return Representation(name=name, operators=most_frequent_first(kinds), bytes=model_bytes, text=text)
