"""Where the compilation of a program goes, as its runtime tells: phases, representations, machine code."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from steelyard.core.metrics import Reading

PhaseKind = Literal["trace", "lowering", "passes", "codegen", "native", "load", "other"]

PHASE_KINDS: Mapping[PhaseKind, str] = {
    "trace": "capturing the program: Python, bytecode, guards",
    "lowering": "translation into another representation",
    "passes": "what changes the program within one representation",
    "codegen": "writing of code for the native compiler",
    "native": "LLVM or a C++ compiler, to machine code",
    "load": "caches, files, loading of code and weights",
    "other": "what the runtime names without telling what it is for",
}
"""Kinds of phases, in the order in which they come, and what each holds."""

Occasion = Literal["cold", "warm", "again"]

OCCASIONS: Mapping[Occasion, str] = {
    "cold": "a fresh process with empty caches",
    "warm": "a fresh process with the caches that an earlier launch has filled",
    "again": "once more in the process of a cold compilation, with the caches that it has filled",
}


INSTRUCTION_SORTS = {
    "zmm": "512 bits",
    "ymm": "256 bits",
    "xmm": "128 bits",
    "float": "scalar floating point",
    "rest": "the rest",
}
"""Sorts of instructions of x86-64, by the widest vector register among their operands. The scalar floating-point ones
have an xmm register and use its lowest element alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Something that a compiler did, under the name that the runtime has for it, and what of it has names of its own.

    `own_s` are seconds that belong to none of its `parts`; `times` is how often it was done.
    """

    name: str
    kind: PhaseKind
    own_s: float
    times: int = 1
    parts: tuple["Phase", ...] = ()

    @property
    def seconds(self) -> float:
        """All of it, its parts included."""
        return self.own_s + sum(part.seconds for part in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Representation:
    """The program at one point of its compilation: how many operators of each kind it has, and the bytes of its text or
    file without weights; None where it is not written.

    A runtime gives the `text` to read, without weights. Its launch writes that to a file beside the run's segments and
    keeps the name of the `file` and its hash instead; empty where there is none.
    """

    name: str
    operators: Mapping[str, int]
    bytes: int | None = None
    text: str = ""
    file: str = ""
    sha256: str = ""

    @property
    def count(self) -> int:
        """All of its operators."""
        return sum(self.operators.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineCode:
    """What the compiler generated for the processor: bytes of executable sections, in how many objects.

    `instructions` counts those of each of the `INSTRUCTION_SORTS`; empty for the reason `instructions_untold`.
    """

    bytes: Reading
    objects: int = 0
    instructions: Mapping[str, int] = field(default_factory=dict)
    instructions_untold: str = ""


PTX_SORTS = {
    "tensor": "tensor cores",
    "float": "floating point",
    "global": "global memory",
    "shared": "shared memory",
    "control": "branches and barriers",
    "rest": "the rest",
}
"""Sorts of instructions of PTX, the assembly of NVIDIA GPUs before registers are given out, by what executes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuKernel:
    """A kernel that the compiler generated for an NVIDIA GPU.

    `instructions` counts those of its PTX by `PTX_SORTS`. `registers` are those of a thread, `spilled` the bytes that a
    thread writes to and reads from memory for want of registers, `shared` the bytes of shared memory of a block; None
    for the reason `untold`.
    """

    name: str
    target: str
    instructions: Mapping[str, int]
    registers: int | None = None
    spilled: int | None = None
    shared: int | None = None
    untold: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """One compilation of a program, with what tells of it switched on, which costs time itself.

    `compile_s` is what `Executable.compile` took, `load_s` what `Runner.load` took before. Own times of all phases
    add up to `compile_s` or less: what is left has no name. `host_peak` is the peak memory of the process
    meanwhile. `from_cache`: whether a compile cache had the program; None where the runtime does not tell. `kernels`
    are those that were generated for a GPU, where that is told.
    """

    load_s: float
    compile_s: float
    host_peak: Reading
    phases: tuple[Phase, ...]
    representations: tuple[Representation, ...]
    code: MachineCode
    kernels: tuple[GpuKernel, ...] = ()
    from_cache: bool | None = None
    remarks: tuple[str, ...] = ()

    @property
    def unnamed_s(self) -> float:
        """Seconds of `compile_s` that no phase accounts for."""
        return self.compile_s - sum(phase.seconds for phase in self.phases)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompilationFacts:
    """What a launch tells of a compilation at one of the `OCCASIONS`; without `told`: for this `reason`."""

    occasion: Occasion
    told: Compilation | None = None
    reason: str = ""
