"""Where a compilation of IREE goes: the phases of `iree-compile`, each of which ends with a file of the program.

When these files were written says how long each phase took, to a few milliseconds. MLIR's own report has every pass,
but counts those that others start twice: of it the longest passes are told, and nothing is added up.
"""

import io
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from pathlib import Path

from steelyard.adapters.compiled_apart import compiled, loaded, most_frequent_first
from steelyard.adapters.machine_code import machine_code
from steelyard.core.compilation import Compilation, PhaseKind, Representation
from steelyard.core.lowered import LoweredProgram
from steelyard.core.runner import Runner
from steelyard.measure.phases import Span, phases

_KINDS: dict[str, PhaseKind] = {
    "input": "lowering",
    "abi": "lowering",
    "flow": "lowering",
    "stream": "lowering",
    "executable-targets": "codegen",
    "hal": "native",
    "vm": "lowering",
}
"""Kinds of IREE's phases: all others are passes. In `hal` LLVM makes machine code of the dispatches."""
_REST = "writing of the module"
_PASS = re.compile(r"^ *(?:[\d.]+ \( *[\d.]+%\) +)?(?P<wall>[\d.]+) \( *[\d.]+%\) +(?P<name>\w+)$", re.MULTILINE)
_NO_PASS = frozenset({"Total", "Rest", "DumpModulePass"})
_MOST_PASSES = 8
_OPERATION = re.compile(r"^\s*(?:%[\w:#, %]+ = )?\"?([a-z_]\w*\.[\w.]+)", re.MULTILINE)
"""An operation by dialect and name, at the beginning of its line."""
_NO_WORK = re.compile(r"\.(?:constant|return|yield|func|module)$")


def compilation(runner: Runner, program: LoweredProgram) -> Compilation:
    """See `Runner.tells`; IREE's. Of a module that came from the compile cache nothing is told but the time."""
    executable, load_s = loaded(lambda: runner.load(program))
    with tempfile.TemporaryDirectory(prefix="iree-compilation-", dir=runner.context.scratch) as name:
        stages, objects = Path(name) / "phases", Path(name) / "objects"
        telling = (
            *("--mlir-timing", "--mlir-timing-display=list", f"--dump-compilation-phases-to={stages}"),
            f"--iree-hal-dump-executable-intermediates-to={objects}",
        )
        with redirect_stderr(io.StringIO()) as report:
            window = compiled(lambda: executable.compile(telling))
        files = sorted(stages.glob("*.mlir"), key=lambda path: int(path.name.split(".")[-3]))
        return Compilation(
            load_s=load_s,
            compile_s=window.compile_s,
            host_peak=window.host_peak,
            phases=phases(list(spans_of(files, window.begin_ns, window.end_ns)), window.begin_ns, window.end_ns),
            representations=tuple(map(representation, files)),
            code=machine_code(
                [path.read_bytes() for path in sorted(objects.glob("*.o"))],
                "the module came from the compile cache, which keeps no object file",
            ),
            from_cache=not files,
            remarks=longest_passes(report.getvalue()),
        )


def spans_of(files: Sequence[Path], begin_ns: float, end_ns: float) -> Iterator[Span]:
    """The phases one after the other, each until its file was written."""
    for path in files:
        name, written_ns = _phase_of(path), min(max(path.stat().st_mtime_ns, begin_ns), end_ns)
        yield Span(name=name, begin_ns=begin_ns, end_ns=written_ns, kind=_KINDS.get(name, "passes"))
        begin_ns = written_ns
    if files:
        yield Span(name=_REST, begin_ns=begin_ns, end_ns=end_ns, kind="load")


def representation(path: Path) -> Representation:
    """The program at the end of a phase; operations count by dialect and name."""
    text = path.read_text(errors="replace")
    operators = most_frequent_first(name for name in _OPERATION.findall(text) if not _NO_WORK.search(name))
    return Representation(
        name=f"MLIR after {_phase_of(path)}", operators=operators, bytes=len(text.encode()), text=text
    )


def longest_passes(report: str) -> tuple[str, ...]:
    """Those of MLIR's report of times, in a sentence; none where there is no report."""
    found = {match["name"]: float(match["wall"]) for match in _PASS.finditer(report) if match["name"] not in _NO_PASS}
    longest = sorted(found.items(), key=lambda entry: -entry[1])[:_MOST_PASSES]
    told = ", ".join(f"{name} {wall_s:.3g} s" for name, wall_s in longest)
    return (f"longest passes, some of which are part of others: {told}",) if told else ()


def _phase_of(path: Path) -> str:
    return path.name.split(".")[-2]
