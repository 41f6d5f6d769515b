"""Where a compilation of torch.compile goes: the records that Dynamo and Inductor write for their structured trace.

A phase is a pair of records `chromium_event`, and graphs are records of their own. Writing them, mostly the graphs,
is part of the phases that do. A C++ compiler runs in a process of its own: its time is that of waiting for it.
"""

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from steelyard.adapters.compiled_apart import compiled, loaded, most_frequent_first
from steelyard.adapters.machine_code import machine_code
from steelyard.adapters.ptx import kernels
from steelyard.adapters.torch_executable import TorchExecutable
from steelyard.adapters.torch_module import TorchRunner
from steelyard.core.compilation import Compilation, PhaseKind, Representation
from steelyard.core.errors import Unsupported
from steelyard.core.lowered import LoweredProgram
from steelyard.measure.phases import Span, phases

_GRAPHS = {
    "dynamo_output_graph": "FX, as captured",
    "aot_inference_graph": "FX, ATen operators",
    "inductor_post_grad_graph": "FX, after all passes",
}
_OUTPUT_CODE = "inductor_output_code"
_PTX = "*.ptx"
"""What Triton keeps of a kernel, in a folder of Inductor's cache."""
_ON_OTHER_THREADS = ("compile_file",)
"""Phases that go on beside the one in which they began: nothing is part of them."""

_OPERATOR = re.compile(
    r'^\s+(?:\w+(?:: "[^"]*")? = (?:(?P<call>[A-Za-z_][\w.]*)\(|\S+ (?P<infix>[-+*/@%&|^<>=!]+) \S|\w+(?P<item>\[))|'
    r"\w+ (?P<inplace>[-+*/@%&|^<>]+=) )",
    re.MULTILINE,
)
"""A node of a graph that is printed as Python: a call, an operator between two values, an item, or one in place."""

_LAUNCHES = re.compile(
    r"^\s+(?:\w+ = )?((?:cpp_|triton_)\w+(?:\.run)?|extern_kernels\.\w+|torch\.ops\.[\w.]+)\(", re.MULTILINE
)

_KINDS: tuple[tuple[str, PhaseKind], ...] = (
    (r"pass\.|_recursive_\w+_passes|.*_passes$", "passes"),
    (r"compile_file|async_compile\.wait|.*precompile", "native"),
    (r"PyCodeCache|.*[cC]ache|inductor_codecache|TritonBundler|.*inductor_load", "load"),
    (r"GraphLowering\.run|create_aot_dispatcher_function|aot_", "lowering"),
    (r"fx_codegen_and_compile|GraphLowering\.|code_gen|Scheduler|PythonWrapperCodegen|inductor_compile", "codegen"),
    (r"dynamo|entire_frame_compile|compile_attempt|bytecode_tracing|build_guards|insert_deferred", "trace"),
    (r"backend_compile|compile_fx|gc|additional_fake_tensor_prop", "other"),
)


class _Records(logging.Handler):
    """Keeps what is needed of the structured trace: events, and the graphs that were written last."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Mapping[str, Any]] = []
        self.texts: dict[str, str] = {}
        self.hits: list[bool] = []

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler; a record is a mapping with one key for its kind, and a text."""
        metadata, payload = getattr(record, "metadata", {}), getattr(record, "payload", None)
        if "chromium_event" in metadata and payload:
            self.events.append(json.loads(payload))
            return
        artifact = metadata.get("artifact")
        kind = (
            artifact["name"] if artifact else next((name for name in metadata if name in (*_GRAPHS, _OUTPUT_CODE)), "")
        )
        if kind in (*_GRAPHS, _OUTPUT_CODE) and payload:
            self.texts[kind] = str(payload)
        elif re.fullmatch(r"(fx_graph|aotautograd)_cache_(hit|miss|bypass)", kind):
            self.hits.append(kind.endswith("hit"))


@contextmanager
def _recorded() -> Iterator[_Records]:
    from torch._logging._internal import trace_log

    records = _Records()
    trace_log.addHandler(records)
    try:
        yield records
    finally:
        trace_log.removeHandler(records)


def compilation(runner: TorchRunner, program: LoweredProgram) -> Compilation:
    """See `Runner.tells`. Raises Unsupported for a runner that calls the module as it is."""
    from torch._inductor.codecache import cache_dir

    if runner.executable is TorchExecutable:
        raise Unsupported("PyTorch eager compiles nothing")
    executable, load_s = loaded(lambda: runner.load(program))
    folder = Path(cache_dir())
    before, ptx_before = _kernels(folder), set(folder.rglob(_PTX))
    with _recorded() as records:
        window = compiled(executable.compile)
    made = _kernels(folder) - before
    return Compilation(
        load_s=load_s,
        compile_s=window.compile_s,
        host_peak=window.host_peak,
        phases=phases(spans_of(records.events, window.end_ns), window.begin_ns, window.end_ns),
        representations=tuple(representations(records.texts)),
        code=machine_code(
            [path.read_bytes() for path in sorted(made)],
            "no kernel in C++ was compiled: it came from the compile cache, or is none",
        ),
        kernels=kernels(sorted(set(folder.rglob(_PTX)) - ptx_before)),
        from_cache=any(records.hits) if records.hits else None,
    )


def spans_of(events: Sequence[Mapping[str, Any]], end_ns: float) -> list[Span]:
    """Phases from begins and ends in their order; what has not ended by `end_ns` ends there. An end without its begin
    is left out: that came before the records."""
    found: list[Span] = []
    open_: list[int] = []
    for event in events:
        name, sort, at_us = event.get("name"), event.get("ph"), event.get("ts")
        if not isinstance(name, str) or not isinstance(at_us, int | float):
            continue
        at_ns = at_us * 1e3
        if sort == "B":
            around = [place for place in open_ if found[place].name not in _ON_OTHER_THREADS]
            parent = around[-1] if around else None
            open_.append(len(found))
            found.append(Span(name=name, begin_ns=at_ns, end_ns=max(end_ns, at_ns), parent=parent, kind=_kind(name)))
        elif sort == "E" and (own := [place for place in open_ if found[place].name == name]):
            open_.remove(own[-1])
            found[own[-1]] = replace(found[own[-1]], end_ns=max(at_ns, found[own[-1]].begin_ns))
    return found


def _kind(name: str) -> PhaseKind | None:
    return next((kind for pattern, kind in _KINDS if re.match(pattern, name)), None)


def representations(texts: Mapping[str, str]) -> Iterator[Representation]:
    """The graphs that were written, and what the generated Python calls."""
    for kind, name in _GRAPHS.items():
        if kind in texts:
            operators = most_frequent_first(_named(found) for found in _OPERATOR.finditer(texts[kind]))
            text = texts[kind]
            yield Representation(name=name, operators=operators, bytes=len(text.encode()), text=text)
    if code := texts.get(_OUTPUT_CODE):
        _, _, call = code.partition("def call(")
        kinds = (
            "generated kernel" if found.startswith(("cpp_", "triton_")) else found for found in _LAUNCHES.findall(call)
        )
        operators = most_frequent_first(kinds)
        yield Representation(name="generated code", operators=operators, bytes=len(code.encode()), text=code)


def _named(node: re.Match[str]) -> str:
    """An operator without its overload, a method of a value by its name alone, or a sign of Python."""
    target = node["call"]
    if target is None:
        return node["infix"] or node["inplace"] or "getitem"
    if target.startswith("torch.ops."):
        return ".".join(target.removeprefix("torch.ops.").split(".")[:2])
    return target if target.startswith("torch.") else target.rpartition(".")[2]


def _kernels(folder: Path) -> set[Path]:
    """Libraries of generated kernels in a cache folder; those that only try the compiler have other names."""
    return set(folder.glob("*/*.main.so"))
