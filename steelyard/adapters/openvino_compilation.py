"""Where a compilation of OpenVINO goes: the file that its pass managers write where OV_ENABLE_PROFILE_PASS names one.

A manager's passes come in their order, and after the last the manager itself, which may be part of a pass of another
manager. Passes that take less than about a microsecond are not written. What the plugin does after the passes, such as
choosing primitives and packing weights, has no name.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from steelyard.adapters.bound import artifact_of
from steelyard.adapters.compiled_apart import compiled, loaded, most_frequent_first
from steelyard.adapters.machine_code import machine_code
from steelyard.core.backend import BackendSpec
from steelyard.core.compilation import Compilation, Phase, Representation
from steelyard.core.errors import SteelyardError
from steelyard.core.lowered import LoweredProgram
from steelyard.core.runner import LaunchContext
from steelyard.measure.phases import folded

_VARIABLE = "OV_ENABLE_PROFILE_PASS"
_TOLD = ("layerType", "primitiveType", "runtimePrecision", "outputLayouts", "originalLayersNames")
"""What of a node of the compiled model is shown of it."""
_NOT_COUNTED = frozenset({"Parameter", "Result", "Constant", "Input", "Output", "Const"})


class OpenVinoRunner(Protocol):
    """What is needed of the runner."""

    context: LaunchContext
    core: Any

    def needs(self, backend: BackendSpec) -> tuple[str, ...]:
        """The formats; the last is what it reads."""

    def load(self, program: LoweredProgram) -> Any:
        """Read the IR."""


def compilation(runner: OpenVinoRunner, program: LoweredProgram) -> Compilation:
    """See `Runner.tells`. Raises SteelyardError for a record of passes that cannot be read."""
    executable, load_s = loaded(lambda: runner.load(program))
    artifact = artifact_of(program, runner.needs(runner.context.backend)[-1])
    entry = Path(artifact.directory) / artifact.entry
    before = [str(each.get_type_name()) for each in runner.core.read_model(entry).get_ops()]
    with tempfile.TemporaryDirectory(prefix="compilation-", dir=runner.context.scratch) as folder:
        file = Path(folder) / "passes.csv"
        with _recorded_in(file):
            window = compiled(executable.compile)
        passes = passes_of(file.read_text()) if file.is_file() else ()
    nodes = executable.compiled.get_runtime_model().get_ops()
    runtime = [str(node.get_rt_info()["layerType"].astype(str)) for node in nodes]
    return Compilation(
        load_s=load_s,
        compile_s=window.compile_s,
        host_peak=window.host_peak,
        phases=folded(passes, window.compile_s),
        representations=(
            Representation(
                name="OpenVINO IR",
                operators=most_frequent_first(_kinds(before)),
                bytes=entry.stat().st_size,
                text=entry.read_text(),
            ),
            Representation(
                name="OpenVINO, as compiled",
                operators=most_frequent_first(_kinds(runtime)),
                text="".join(map(_line, nodes)),
            ),
        ),
        code=machine_code((), "OpenVINO does not hand out what it generates at run time"),
        from_cache=bool(executable.compiled.get_property("LOADED_FROM_CACHE")),
    )


def _line(node: Any) -> str:
    """A node of the compiled model: its kind, name and inputs, what the plugin computes it with, and what it gives."""
    told = {name: str(value.astype(str)) for name, value in node.get_rt_info().items() if name in _TOLD}
    inputs = ", ".join(each.get_source_output().get_node().get_friendly_name() for each in node.inputs())
    outputs = ", ".join(
        f"{each.get_element_type().get_type_name()}{each.get_partial_shape()}" for each in node.outputs()
    )
    about = ", ".join(told[name] for name in _TOLD if told.get(name))
    return f"{node.get_friendly_name()}({inputs}) -> {outputs}  # {about}\n"


def _kinds(kinds: list[str]) -> Iterator[str]:
    return (kind for kind in kinds if kind not in _NOT_COUNTED)


@contextmanager
def _recorded_in(path: Path) -> Iterator[None]:
    """Pass managers that are made meanwhile write to a file."""
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = str(path)
    try:
        yield
    finally:
        if before is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = before


@dataclass(slots=True)
class _Done:
    """Something that is over, the `place`-th of all. Of a manager `begin_ns` says when it began."""

    place: int
    phase: Phase
    manager: str = ""
    begin_ns: int = 0


def passes_of(text: str) -> tuple[Phase, ...]:
    """The outermost managers, each with its passes. Raises SteelyardError for a line that is none of OpenVINO's, and
    for a file that is cut off."""
    managers: list[_Done] = []  # those that are over, and part of no pass so far
    passes: list[_Done] = []  # those that are over, of managers that go on
    begun = 0
    lasted: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        kind, *rest = line.split(";")
        try:
            if kind == "t":
                name, manager, taken, _ = rest
                own = Phase(name=name.removeprefix("ov::pass::"), kind="passes", own_s=int(taken) * 1e-9)
                passes.append(_Done(place=number, phase=own, manager=manager))
            elif kind == "m":
                name, taken, _ = rest
                lasted[name] = int(taken)
            elif kind == "m_start":
                _, begun = rest[0], int(rest[1])
            elif kind == "m_end":
                phase = _manager(rest[0], lasted.pop(rest[0]) * 1e-9, begun, passes, managers)
                managers.append(_Done(place=number, phase=phase, begin_ns=begun))
            else:
                raise ValueError(f"it begins with {kind[:20]!r}")
        except (ValueError, KeyError, IndexError) as error:
            raise SteelyardError(f"line {number} of {_VARIABLE}'s file is not one of OpenVINO's: {error}") from error
    if passes or lasted:
        raise SteelyardError(f"{_VARIABLE}'s file ends before a manager of passes does: it is cut off")
    return _merged(each.phase for each in managers)


def _manager(name: str, seconds: float, begin_ns: int, passes: list[_Done], managers: list[_Done]) -> Phase:
    """A manager with its passes, the last ones of its name as far as they fit, and in each the managers that began
    after it did and ended before that pass did."""
    own: list[_Done] = []
    left = seconds
    while passes and passes[-1].manager == name and passes[-1].phase.seconds <= left:
        own.append(passes.pop())
        left -= own[-1].phase.seconds
    parts = []
    before = 0
    for each in reversed(own):
        inside = [other for other in managers if other.begin_ns >= begin_ns and before < other.place < each.place]
        inside_s = sum(other.phase.seconds for other in inside)
        if inside and inside_s <= each.phase.own_s:
            managers[:] = [other for other in managers if other not in inside]
            merged = _merged(other.phase for other in inside)
            parts.append(replace(each.phase, own_s=each.phase.own_s - inside_s, parts=merged))
        else:
            parts.append(each.phase)
        before = each.place
    return Phase(name=name, kind="passes", own_s=left, parts=_merged(parts))


def _merged(parts: Iterable[Phase]) -> tuple[Phase, ...]:
    """Phases of one name as one."""
    found: dict[str, Phase] = {}
    for part in parts:
        known = found.get(part.name)
        if known is None:
            found[part.name] = part
            continue
        found[part.name] = Phase(
            name=part.name,
            kind=part.kind,
            own_s=known.own_s + part.own_s,
            times=known.times + part.times,
            parts=_merged((*known.parts, *part.parts)),
        )
    return tuple(found.values())
