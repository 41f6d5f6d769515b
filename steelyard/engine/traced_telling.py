"""What a traced launch asks of a runtime beside a trace: where compilations go, and what values need of memory.

Compilations are the first of the process, and after one with empty caches another with full ones. They come before the
compilation of the program that is called, which then finds its caches filled; no time of a traced launch is compared
with anything.
"""

from collections.abc import Callable
from typing import Any

from steelyard import plugins
from steelyard.core.compilation import CompilationFacts, Occasion
from steelyard.core.errors import SteelyardError, Unsupported
from steelyard.core.lowered import LoweredProgram
from steelyard.core.memory_profile import MemoryFacts
from steelyard.core.runner import Arrays, Executable, Runner


def compilations_of(
    runner: Runner, program: LoweredProgram, *, cold: bool, begins: Callable[[], None]
) -> tuple[CompilationFacts, ...]:
    """Compile a program so that its compiler tells of itself; `begins` is called before each time. Raises what the
    runtime raises; what cannot be told of, or read, has its reason."""
    occasions: tuple[Occasion, ...] = ("cold", "again") if cold else ("warm",)
    found: list[CompilationFacts] = []
    for occasion in occasions:
        begins()
        try:
            found.append(CompilationFacts(occasion=occasion, told=_teller(runner, "compilation")(runner, program)))
        except SteelyardError as error:
            found.append(CompilationFacts(occasion=occasion, reason=str(error)))
            break
    return tuple(found)


def memory_of(runner: Runner, program: LoweredProgram, executable: Executable, inputs: Arrays) -> MemoryFacts:
    """What a call of a compiled program needs of memory. Raises what the runtime raises; what cannot be told of, or
    read, has its reason."""
    try:
        return MemoryFacts(told=_teller(runner, "memory")(runner, program, executable, inputs))
    except SteelyardError as error:
        return MemoryFacts(reason=str(error))


def _teller(runner: Runner, what: str) -> Callable[..., Any]:
    if what not in runner.tells:
        raise Unsupported(f"{type(runner).__name__} tells nothing of {what}: its `tells` has no such entry")
    teller: Callable[..., Any] = plugins.load_attribute(f"{runner.tells[what]}:{what}")
    return teller
