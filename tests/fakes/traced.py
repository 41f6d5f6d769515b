"""A backend with a profiler of which it is known what it tells: 40 % of every call is a product, 20 % an addition, 20 %
the call around them, and of the rest it tells nothing."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import ClassVar

from steelyard.core.compilation import Compilation, MachineCode, Phase, Representation
from steelyard.core.errors import SteelyardError
from steelyard.core.lowered import LoweredProgram
from steelyard.core.memory_profile import MemoryProfile, Value
from steelyard.core.metrics import Reading, absent
from steelyard.core.result import Proof
from steelyard.core.runner import Arrays
from steelyard.core.trace import Kernel, Recording
from steelyard.core.tracing import Tracer
from steelyard.selftest.backends import Known, KnownProgram

PATH = "tests.fakes.traced:Traced"
KERNELS = (
    Kernel(name="run", kind="call", wrapper=True),
    Kernel(name="product_1", kind="MatMul", sources=("aten.mm",)),
    Kernel(name="sum_2", kind="Frobnicate", sources=("aten.add",)),
)


class Traced(Known):
    """`Known`, with such a profiler; `told` is how it fails, `cost` the seconds that it adds to a call."""

    tells: ClassVar[Mapping[str, str]] = dict.fromkeys(("compilation", "memory"), "tests.fakes.traced")
    accepts: ClassVar[Mapping[str, str]] = {**Known.accepts, "told": "what the profiler gets wrong", "cost": "seconds"}

    def tracer(self, program: LoweredProgram) -> Tracer:
        """See the module."""
        if self.context.backend.options.get("told", "") == "no profile":
            return super().tracer(program)
        return KnownTracer(self, program)


def compilation(runner: Traced, program: LoweredProgram) -> Compilation:
    """Half of a second is spent on passes, a tenth of it on one with markup in its name, and a quarter is not told."""
    if runner.context.backend.options.get("told", "") == "no compilation":
        raise SteelyardError("the record of passes is cut off")
    fold = Phase(name="fold<b>&_%", kind="passes", own_s=0.05)
    passes = Phase(name="passes", kind="passes", own_s=0.2, parts=(fold,))
    return Compilation(
        load_s=0.1,
        compile_s=0.5,
        host_peak=absent("B", "nobody looked"),
        phases=(passes, Phase(name="emit", kind="codegen", own_s=0.125, times=7)),
        representations=(
            Representation(name="before", operators={"product": 2, "sum": 1}, bytes=2048, text="product<b>(x)\n"),
            Representation(name="after", operators={"fused": 1}),
        ),
        code=MachineCode(
            bytes=Reading(value=4096.0, unit="B", method="known"), objects=1, instructions={"ymm": 30, "rest": 10}
        ),
        from_cache=False,
    )


def memory(runner: Traced, program: LoweredProgram, executable: KnownProgram, inputs: Arrays) -> MemoryProfile:
    """The plan needs half as much again as it had to."""
    if runner.context.backend.options.get("told", "") == "no compilation":
        raise SteelyardError("the plan is written in a language that nobody knows")
    mebibyte = 2.0**20
    return MemoryProfile(
        weights=Reading(value=8 * mebibyte, unit="B", method="known"),
        inputs=2**20,
        outputs=2**19,
        each_apart=Reading(value=6 * mebibyte, unit="B", method="known"),
        least=Reading(value=2 * mebibyte, unit="B", method="known"),
        reached=Reading(value=3 * mebibyte, unit="B", method="known"),
        workspace=absent("B", "nobody looked for it"),
        largest=(Value(name="<i>product</i>", operator="MatMul", bytes=2**20, made=0, read_last=1),),
    )


class _Elsewhere(KnownProgram):
    """It tells of other threads than were asked for."""

    def proof(self) -> Proof:
        """See the class."""
        return dataclasses.replace(super().proof(), threads=9)


class KnownTracer(Tracer):
    """Tells what the wall clock says of each call, divided as the module has it."""

    def __init__(self, runner: Traced, program: LoweredProgram) -> None:
        options = runner.context.backend.options
        self._told, self._cost_s = options.get("told", ""), float(options.get("cost", "0"))
        self.executable = (_Elsewhere if self._told == "threads" else KnownProgram)(
            runner, runner.load(program).weights
        )
        self.executable.compile()
        self._calls: list[tuple[float, float]] = []

    def begin(self) -> None:
        """Forget what was before."""
        self._calls = []

    def call(self, run: Callable[[], None]) -> None:
        """Note when it began and ended."""
        begun = time.perf_counter_ns()
        run()
        time.sleep(self._cost_s)
        self._calls.append((float(begun), float(time.perf_counter_ns())))

    def end(self) -> Recording:
        """Three events a call."""
        if self._told == "crash":
            raise SteelyardError("the profiler's file is cut off after 17 bytes")
        calls = self._calls[:1] if self._told == "too few" else self._calls
        starts, lengths = [], []
        for begin, end in calls:
            lasted = end - begin
            starts += [begin + 0.1 * lasted, begin + 0.1 * lasted, begin + 0.6 * lasted]
            lengths += [0.8 * lasted, 0.4 * lasted, 0.2 * lasted]
        return Recording(
            kernels=KERNELS,
            kernel=[0, 1, 2] * len(calls),
            start_ns=starts,
            duration_ns=lengths,
            thread=[0] * (3 * len(calls)),
            calls=tuple(calls),
            resolution_ns=1.0,
            dropped=0,
        )
