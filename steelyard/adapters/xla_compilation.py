"""Where a compilation of XLA goes: JAX's profiler around it, which records every pass of HLO and MLIR by its name.

Work that XLA hands to a pool is part of what hands it over, by the numbers that both ends of it carry (`_p`, `_c`).
"""

import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import compress
from pathlib import Path
from typing import Any

from steelyard.adapters.compiled_apart import compiled, loaded, most_frequent_first
from steelyard.adapters.machine_code import embedded, machine_code
from steelyard.adapters.xla_trace import read_planes
from steelyard.core.compilation import Compilation, MachineCode, PhaseKind, Representation
from steelyard.core.errors import SteelyardError
from steelyard.core.lowered import LoweredProgram
from steelyard.core.runner import Runner
from steelyard.measure.phases import Span, contained, phases

_MARK = "steelyard compilation"
_HANDED_OVER, _TAKEN, _DONE = "ThreadpoolListener::Record", "StartRegion", "StopRegion"
_CACHE_HIT, _CACHE_MISS = "/jax/compilation_cache/cache_hits", "/jax/compilation_cache/cache_misses"
_UNINTERESTING = ("PythonRefManager::", "ParseArguments", "RunInvariantCheckers")

_KINDS: tuple[tuple[str, PhaseKind], ...] = (
    ("trace_to_jaxpr", "trace"),
    ("lower_sharding_computation", "lowering"),
    ("JitCompiler::", "native"),
    ("Codegen", "native"),
    ("CpuCompiler::RunBackend", "codegen"),
    ("GpuCompiler::RunBackend", "codegen"),
    ("FusionCompiler::", "codegen"),
    ("PjRtCpuClient::Load", "load"),
    ("PjRtCpuClient::Deserialize", "load"),
)
_PASSES_IN = "hlo_pass_pipeline"
_NO_WORK = frozenset({"constant", "return"})
_SKIPPED = frozenset({"parameter", "constant", "tuple", "get-tuple-element"})
_STABLEHLO = re.compile(r"^\s*(?:%[\w:#, %]+ = )?\"?(?:stablehlo|chlo)\.(\w+)", re.MULTILINE)
"""An operation, at the beginning of its line: elsewhere the same words are attributes, and what a reduction applies."""
_HLO = re.compile(r"^\s+(?:ROOT )?%?[\w.-]+ = (?:\(.*?\)|\S+) ([a-z][\w-]*)\(", re.MULTILINE)
_ENTRY = re.compile(r"^ENTRY .*?^}", re.MULTILINE | re.DOTALL)


def compilation(runner: Runner, program: LoweredProgram) -> Compilation:
    """See `Runner.tells`; XLA's. Raises SteelyardError for a record that cannot be read."""
    import jax

    executable, load_s = loaded(lambda: runner.load(program))
    heard: list[str] = []

    def marked() -> None:
        with jax.profiler.TraceAnnotation(_MARK):
            executable.compile()

    def hear(event: str, **facts: Any) -> None:
        heard.append(event)

    options = jax.profiler.ProfileOptions()
    options.host_tracer_level, options.python_tracer_level = 2, 0
    with tempfile.TemporaryDirectory(prefix="xla-compilation-", dir=runner.context.scratch) as folder:
        jax.monitoring.register_event_listener(hear)
        jax.profiler.start_trace(folder, profiler_options=options)
        try:
            window = compiled(marked)
        finally:
            jax.profiler.stop_trace()
            jax.monitoring.unregister_event_listener(hear)
        spans = spans_of(read_planes(Path(folder)))
    (mark,) = (span for span in spans if span.name == _MARK)
    hit, miss = _CACHE_HIT in heard, _CACHE_MISS in heard
    return Compilation(
        load_s=load_s,
        compile_s=window.compile_s,
        host_peak=window.host_peak,
        phases=phases(_without_mark(spans), mark.begin_ns, mark.end_ns),
        representations=representations(executable.exported_text(), executable.call.as_text()),
        code=_code(executable.call.runtime_executable()),
        from_cache=hit if hit or miss else None,
    )


def spans_of(planes: Iterable[Any]) -> list[Span]:
    """What the host did, each span after the one that it is part of. Raises SteelyardError where the mark of the
    compilation is missing."""
    found: list[Span] = []
    handed: dict[str, int] = {}
    waiting: list[tuple[str, list[Span]]] = []
    for plane in planes:
        if plane.name != "/host:CPU":
            continue
        for line in plane.lines:
            for flow, spans in _regions(line.events):
                waiting.append((flow, spans))
    while waiting:
        known = [not flow or flow in handed for flow, _ in waiting]
        ready = known if any(known) else [True] * len(waiting)
        for flow, spans in compress(waiting, ready):
            _add(found, contained(spans), handed, handed.get(flow))
        waiting = [each for each, done in zip(waiting, ready, strict=True) if not done]
    if sum(span.name == _MARK for span in found) != 1:
        raise SteelyardError("JAX's profiler lost where the compilation began and ended")
    return found


def _add(found: list[Span], spans: list[Span], handed: dict[str, int], part_of: int | None) -> None:
    """Add spans of a thread whose outermost are part of one that is there. What only hands work over is no span: it
    tells which span the work is part of."""
    places: list[int | None] = []
    for span in spans:
        parent = part_of if span.parent is None else places[span.parent]
        if not span.name.startswith(_HANDED_OVER):
            places.append(len(found))
            found.append(replace(span, parent=parent))
            continue
        places.append(parent)
        if parent is not None:
            handed[span.name.removeprefix(_HANDED_OVER)] = parent


def _regions(events: Iterable[Any]) -> Iterable[tuple[str, list[Span]]]:
    """Events of a thread, apart by the work of others that they belong to: its number, empty where it is its own."""
    regions: dict[str, list[Span]] = {"": []}
    flow = ""
    for event in sorted(events, key=lambda event: (event.start_ns, -event.duration_ns)):
        name = event.name
        if name.startswith(_UNINTERESTING):
            continue
        if name.startswith("ThreadpoolListener::"):
            stats = dict(event.stats)
            if name.endswith(_TAKEN):
                flow = str(stats.get("_c", ""))
                regions.setdefault(flow, [])
                continue
            if name.endswith(_DONE):
                flow = ""
                continue
            name = f"{_HANDED_OVER}{stats.get('_p', '')}"
        end = event.start_ns + event.duration_ns
        regions[flow].append(Span(name=_plain(name), begin_ns=event.start_ns, end_ns=end, kind=_kind(event)))
    return regions.items()


def _kind(event: Any) -> PhaseKind | None:
    for beginning, kind in _KINDS:
        if event.name.startswith(beginning):
            return kind
    source = dict(event.stats).get("_src", "")
    return "passes" if _PASSES_IN in str(source) else None


def _plain(name: str) -> str:
    """A pipeline's name without that of the module that it works on."""
    return re.sub(r" \([^)]*\)$", "", name)


def _without_mark(spans: list[Span]) -> list[Span]:
    """The spans, those directly in the mark being outermost."""
    (place,) = (number for number, span in enumerate(spans) if span.name == _MARK)

    def moved(parent: int | None) -> int | None:
        return None if parent is None or parent == place else parent - (parent > place)

    return [replace(span, parent=moved(span.parent)) for span in spans if span.name != _MARK]


def representations(stablehlo: str, hlo: str) -> tuple[Representation, ...]:
    """The program as it was exported, as it is after XLA's passes, and of that what is executed one by one."""
    (entry,) = _ENTRY.findall(hlo) or ("",)
    return (
        Representation(
            name="StableHLO, as exported",
            operators=most_frequent_first(kind for kind in _STABLEHLO.findall(stablehlo) if kind not in _NO_WORK),
            bytes=len(stablehlo.encode()),
            text=stablehlo,
        ),
        Representation(name="HLO, optimised", operators=_counted(hlo), bytes=len(hlo.encode()), text=hlo),
        Representation(name="HLO, optimised: entry computation", operators=_counted(entry), bytes=len(entry.encode())),
    )


def _counted(hlo: str) -> Mapping[str, int]:
    return most_frequent_first(kind for kind in _HLO.findall(hlo) if kind not in _SKIPPED)


def _code(executable: Any) -> MachineCode:
    """The object files in the executable as JAX's cache keeps it."""
    return machine_code(
        tuple(embedded(executable.serialize())),
        "XLA gives no object files of it: it came from the compile cache, or is for a device",
    )
