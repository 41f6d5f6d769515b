"""What `torch.compile` made of a module that it could not capture whole, or had to compile again."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphBreak:
    """A place at which a graph ends and Python goes on. `where` is `file.py:12` in the code that was traced, `function`
    the function around it, `caller` the user's own line that led there where that is another. `reason` is the
    compiler's, with its `explanation` and the first of its hints that says what to do. `skipped`: it cannot go on in
    the middle of that function, all of which runs as it is written. `call` is the first call that met it, from 0."""

    where: str
    function: str
    reason: str
    explanation: str
    hint: str
    caller: str
    skipped: bool
    times: int
    call: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """One function, or what is left of one behind a break, compiled once. `operators` are those of its graph, None if
    it has none; `seconds` are those of tracing and compiling it; `guard` is what failed where it had been compiled
    before, and `code` the line that it comes from; `failed` says why it is left as it is written. `call` as above."""

    function: str
    where: str
    operators: int | None
    seconds: float
    guard: str
    code: str
    failed: str
    call: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call: what it was given, in words, and why it failed if it did."""

    inputs: str
    failed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Medians in seconds of a call of the first inputs, as written and compiled, in turns in one process."""

    eager_s: float
    compiled_s: float
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaks:
    """All of it. `cost` is None where no calls could be timed, `untimed` says why."""

    factory: str
    backend: str
    torch: str
    threads: int
    calls: tuple[Call, ...]
    breaks: tuple[GraphBreak, ...]
    compilations: tuple[Compilation, ...]
    cost: Cost | None
    untimed: str = ""

    @property
    def graphs(self) -> int:
        """How many graphs the compiler made."""
        return sum(each.operators is not None for each in self.compilations)

    @property
    def recompilations(self) -> tuple[Compilation, ...]:
        """Those that were there because a guard failed."""
        return tuple(each for each in self.compilations if each.guard)


@dataclass(frozen=True, slots=True, kw_only=True)
class BreaksRequest:
    """What is asked for: a factory, the name of a backend of torch.compile, and further extents of inputs by name."""

    factory: str
    backend: str
    shapes: tuple[tuple[str, tuple[int, ...]], ...]
    seconds: float
    output: str
