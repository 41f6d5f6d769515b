"""Where a compilation of TVM goes: every pass as TVM announces it, in the steps of the compilation.

What of a step is no pass has the name of the step. TVM hands its functions to LLVM in `tvm.compile`, which makes
machine code of them when they are loaded.
"""

import re
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from time import time_ns
from typing import Any

from steelyard.adapters.compiled_apart import compiled, loaded, most_frequent_first
from steelyard.adapters.machine_code import machine_code
from steelyard.core.compilation import Compilation, MachineCode, PhaseKind, Representation
from steelyard.core.lowered import LoweredProgram
from steelyard.core.runner import Runner
from steelyard.measure.phases import Span, contained, phases

_STEPS: dict[str, tuple[str, PhaseKind]] = {
    "read": ("reading of the module", "load"),
    "lower": ("lowering", "passes"),
    "compile": ("tvm.compile without its passes", "codegen"),
    "load": ("loading into the virtual machine", "native"),
}
_LOWERING = re.compile(r"Legalize|Lower|Make|ToNonDataflow|CallTIRRewrite|Convert|FlattenBuffer|Codegen", re.IGNORECASE)
_CALL = re.compile(r"^\s+(?:\w+(?:: .*?)? = )?(R\.)?([a-z][\w.]*)\(", re.MULTILINE)
"""What a statement calls: an operator of Relax, or a function of loops by its name."""
_NO_WORK = frozenset({"func_attr", "func_ret_ty", "output", "dataflow", "tuple", "shape", "null_value"})
_LOOP = re.compile(r"\bT\.(serial|grid|parallel|vectorized|unroll)\(")


def compilation(runner: Runner, program: LoweredProgram) -> Compilation:
    """See `Runner.tells`; TVM's."""
    import tvm

    executable, load_s = loaded(lambda: runner.load(program))
    found: list[Span] = []
    times: list[tuple[str, int]] = []

    def compile_() -> None:
        times.extend((step, time_ns()) for step in executable.steps())
        times.append(("", time_ns()))

    with tvm.transform.PassContext(instruments=[_announced(found)]):
        window = compiled(compile_)
    for (step, begin_ns), (_, end_ns) in pairwise(times):
        name, kind = _STEPS[step]
        found.append(Span(name=name, begin_ns=begin_ns, end_ns=end_ns, kind=kind))
    return Compilation(
        load_s=load_s,
        compile_s=window.compile_s,
        host_peak=window.host_peak,
        phases=phases(contained(found), window.begin_ns, window.end_ns),
        representations=representations(executable.source(), executable.lowered),
        code=_code(executable.made),
        from_cache=False,
    )


def _announced(found: list[Span]) -> Any:
    """An instrument of TVM that adds a span for each pass."""
    import tvm

    begun: list[int] = []

    @tvm.ir.instrument.pass_instrument
    class Announced:
        def run_before_pass(self, module: Any, info: Any) -> None:
            begun.append(time_ns())

        def run_after_pass(self, module: Any, info: Any) -> None:
            kind: PhaseKind = "lowering" if _LOWERING.search(info.name) else "passes"
            found.append(Span(name=str(info.name), begin_ns=begun.pop(), end_ns=time_ns(), kind=kind))

    return Announced()


def representations(source: Any, lowered: Any) -> tuple[Representation, ...]:
    """The module of Relax as it was imported, as it is executed, and the loops that it calls by then."""
    import tvm

    loops = tvm.IRModule({name: of for name, of in lowered.functions.items() if isinstance(of, tvm.tirx.PrimFunc)})
    calls = tvm.IRModule({name: of for name, of in lowered.functions.items() if not isinstance(of, tvm.tirx.PrimFunc)})
    return (
        _form("Relax, as imported", source.script(), _calls),
        _form("Relax, lowered", calls.script(), _calls),
        _form("TensorIR, lowered", loops.script(), _LOOP.findall),
    )


def _form(name: str, text: str, kinds: Any) -> Representation:
    return Representation(name=name, operators=most_frequent_first(kinds(text)), bytes=len(text.encode()), text=text)


def _calls(text: str) -> Iterator[str]:
    for of_relax, name in _CALL.findall(text):
        if not of_relax:
            yield "call of loops"
        elif name not in _NO_WORK:
            yield name


def _code(made: Any) -> MachineCode:
    """The object file of the functions that LLVM compiled."""
    with tempfile.TemporaryDirectory() as folder:
        objects = []
        for number, module in enumerate(made.mod._collect_dso_modules()):
            path = Path(folder) / f"{number}.o"
            module.write_to_file(str(path))
            objects.append(path.read_bytes())
    return machine_code(objects, "TVM gives no object file of it")
