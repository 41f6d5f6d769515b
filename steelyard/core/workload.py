"""Workloads: programs with typed inputs and outputs, points on axes, suites, and what makes two the same work."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from steelyard.core.citation import Citation
from steelyard.core.hashing import Remembers, later, stable_hash

Json = Any
DType = Literal["float32", "float16", "bfloat16", "float64", "int64", "int32", "int16", "int8", "uint8", "bool"]
Role = Literal["data", "state"]

CHOSEN_FROM: Mapping[str, str] = {"next_token": "logits"}
"""An output of this name is the place of the largest element of that one, row by row: where two are as good as equal,
either is right, so that the other output is what is compared."""
DTYPE_BYTES: Mapping[str, int] = {
    "float64": 8,
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "int8": 1,
    "uint8": 1,
    "bool": 1,
}


STREAMS = "streams"
"""The axis and the setting of points that say how many requests one call is (`steelyard.lowering.streams`)."""
SCORE, SCORED = "score", "scored"
"""The settings of points whose answers have labels: the function that counts right answers, as `module:function`
(`steelyard.measure.scoring`), and in words what it counts."""
ARRAYS = "arrays"
"""The setting that names what makes the input sets of a program that is a file, as `module:function`
(`steelyard.lowering.own.inputs`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """One input or output of a program.

    A tensor with role `state` appears under the same name among inputs and outputs (decode) or among
    outputs only (prefill, which creates it); a runner may update it in place, donate it or keep it
    inside the runtime.
    """

    name: str
    shape: tuple[int, ...]
    dtype: DType
    role: Role = "data"

    @property
    def bytes(self) -> int:
        """Size in bytes of the dense tensor."""
        count = DTYPE_BYTES[self.dtype]
        for extent in self.shape:
            count *= extent
        return count

    @property
    def declared(self) -> str:
        """Type and shape in one word, e.g. `float32[4, 8]`."""
        return f"{self.dtype}{list(self.shape)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights(Remembers):
    """Where parameters come from. `source` is `module:function`; it writes `weights.safetensors`
    (and a tokenizer beside it) into a directory, from `arguments`, which hold hashes and seeds, never paths.

    `origin` is what the row says: `real`, `seeded` or `checkpoint`.
    """

    source: str
    arguments: Mapping[str, Json]
    origin: Literal["real", "seeded", "checkpoint"]

    @property
    def key(self) -> str:
        """Content hash of the definition; names the entry in the cache."""
        return self.remember(lambda: stable_hash(self, 24))


@dataclass(frozen=True, slots=True, kw_only=True)
class Program(Remembers):
    """One computation with static shapes: what a runner loads, compiles and executes.

    `source` is `module:function`; called with `arguments` (plus `in_place`) in a process that may
    import torch it returns the original torch module without weights (see `steelyard.lowering.source`).
    Inputs and outputs are in the module's positional order, and that order is binding. A program that computes
    `gradients` inside is not called in PyTorch's inference mode. `kind` names where it comes from, a file of
    `steelyard/sources`; what is said here of a module is so of `torch`.
    """

    name: str
    source: str
    arguments: Mapping[str, Json]
    weights: Weights
    dtype: DType
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    gradients: bool = later(False)
    kind: str = later("torch")

    @property
    def key(self) -> str:
        """Content hash of the definition; names the program's artifacts in the cache."""
        return self.remember(lambda: stable_hash(self, 24))

    @property
    def state(self) -> tuple[TensorSpec, ...]:
        """The outputs that carry state."""
        return tuple(spec for spec in self.outputs if spec.role == "state")


@dataclass(frozen=True, slots=True, kw_only=True)
class StateWindow:
    """The part of every state output that one call writes: `length` places from `start` along `axis`.

    References hold only this window; the rest must equal the state that went in (zeros where none did).
    """

    axis: int
    start: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Work counts of one call, analytic. `items` is what throughput counts (`unit`, e.g. tokens). `read_bytes` are of
    the weights those that a call reads, where that is not all: of tables it reads the rows that it looks up."""

    flop: float | None
    weight_bytes: int | None
    items: int
    unit: str
    read_bytes: int | None = later(None)

    def __post_init__(self) -> None:
        if self.flop is not None:  # an int would read back from JSON as a float, under another hash
            object.__setattr__(self, "flop", float(self.flop))


@dataclass(frozen=True, slots=True, kw_only=True)
class Point(Remembers):
    """A workload with a value on every axis.

    `driver` names how one call is made (see `steelyard.drivers`) or is `module:DRIVER`, `programs` are by the driver's
    roles, `settings` are the driver's numbers (e.g. tokens, prompt). `pool` is `module:function` that makes the input
    sets. `tolerance` is the relative error up to which floating-point outputs pass as an approximation, where the
    workload allows more than their dtype does (see `steelyard.core.tolerance`).
    """

    suite: str
    suite_version: int
    workload: str
    axes: Mapping[str, Json]
    driver: str
    programs: Mapping[str, Program]
    settings: Mapping[str, Json]
    pool: str
    window: StateWindow | None
    work: Work
    tolerance: float | None = later(None)

    @property
    def key(self) -> str:
        """Content hash of the definition; names the point's inputs and references in the cache."""
        return self.remember(lambda: stable_hash(self, 24))

    @property
    def weights(self) -> Mapping[str, Weights]:
        """The sets of weights of its programs by key, in their order."""
        return {program.weights.key: program.weights for program in self.programs.values()}

    @property
    def sources(self) -> tuple[str, ...]:
        """What makes its modules, weights and inputs, and scores its answers, as `module:function`, and its driver
        where it is named so."""
        programs = self.programs.values()
        named = [program.source for program in programs] + [program.weights.source for program in programs]
        own = [self.driver] if ":" in self.driver else []
        own += [self.settings[name] for name in (ARRAYS, SCORE) if name in self.settings]
        return tuple(dict.fromkeys([*named, self.pool, *own]))

    @property
    def streams(self) -> int:
        """How many requests a call is, all under way at the same time."""
        found = self.settings.get(STREAMS, 1)
        return found if isinstance(found, int) else 1

    @property
    def state_bytes(self) -> int | None:
        """Bytes of the state that a call carries on, by its shapes (of a decoder the KV cache); None without any."""
        sizes = [sum(spec.bytes for spec in program.state) for program in self.programs.values()]
        return max(sizes, default=0) or None

    @property
    def title(self) -> str:
        """The workload and its axes in one line, e.g. `decode model=smollm2 batch=1`."""
        return " ".join([self.workload, *(f"{name}={value}" for name, value in self.axes.items())])


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What must be equal for two backends to have done the same work: sha256 digests.

    `code` is over the modules that make programs, weights and inputs (`steelyard.core.code`); empty in runs that are
    older than that.
    """

    definition: str
    weights: str
    inputs: str
    reference: str
    code: str = ""

    def unlike(self, other: "Identity") -> tuple[str, ...]:
        """The parts in which two differ, as far as both say them."""
        pairs = ((part.name, getattr(self, part.name), getattr(other, part.name)) for part in fields(self))
        return tuple(name for name, mine, theirs in pairs if mine and theirs and mine != theirs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One swept parameter of a suite. `choices` empty means any value of `kind`."""

    name: str
    kind: Literal["int", "str"]
    meaning: str
    choices: tuple[str, ...] = ()
    workloads: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What the user asked of a suite. Missing axes take the suite's default for the device kind."""

    device_kind: str
    size: str | None = None
    device_memory_bytes: int | None = None
    workloads: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    axes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    weights_dir: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A quantity of which a user may ask for the largest value that completes: searched from `start` upward, and
    never below `smallest`. `axes` gives, for a workload, a selection and a value, the axes that follow from it."""

    name: str
    meaning: str
    start: int
    axes: Callable[[str, Selection, int], Mapping[str, int]]
    smallest: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A versioned list of workloads and axes, chosen for one question. `points` imports no framework.

    `citations` are what a paper cites for models, by the value of the axis `model`; `sweeps` what `--largest` takes.
    `together` is how many of its models share a launch, one after the other, where calls are timed: more than one for
    models so small that starting a process takes longer than measuring them. Phases and memory peaks are then told of
    the one that a launch runs first. `quick_rounds` are the rounds of `--quick`.
    """

    name: str
    version: int
    question: str
    headline: str
    workloads: Mapping[str, str]
    sizes: tuple[str, ...]
    axes: tuple[Axis, ...]
    points: Callable[[Selection], tuple[Point, ...]]
    citations: Mapping[str, Citation] = field(default_factory=dict)
    sweeps: tuple[Sweep, ...] = ()
    together: int = 1
    quick_rounds: int = 3
