"""The contract of a runner. A runner loads, compiles and executes; it never times and never checks.

The worker calls, in this order, in one fresh process pinned to the budget's CPUs:
`Runner(context)`, `start()` [phase import], then for each program `load()` [phase load] and
`Executable.compile()` [phase compile], then `bind()` for each input set, then `run()` many times.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from steelyard.core.backend import Availability, BackendSpec, Budget, Device
from steelyard.core.citation import Citation
from steelyard.core.errors import Unsupported, UsageError, unknown_name
from steelyard.core.lowered import LoweredProgram
from steelyard.core.metrics import Reading
from steelyard.core.result import Proof

if TYPE_CHECKING:
    import numpy as np

    from steelyard.core.tracing import Tracer

    Arrays = Mapping[str, np.ndarray[Any, Any]]
else:
    Arrays = Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchContext:
    """What a launch is given. `compile_cache` persists between the launches of one arm (empty in round 0);
    a runtime that keeps a cache must keep it there. `scratch` is removed after the launch. `streams` is how many calls
    are made at a time, from as many threads: together they have the threads of the budget. `installation` outlives
    runs: what a runtime makes once, whatever it compiles; None where nothing can be kept."""

    backend: BackendSpec
    device: Device
    budget: Budget
    compile_cache: Path
    scratch: Path
    streams: int = 1
    installation: Path | None = None

    @property
    def threads_a_call(self) -> int:
        """How many of the budget's threads each of the calls gets that are made at a time, at least one."""
        return max(1, self.budget.threads // self.streams)


class Binding(ABC):
    """One input set, bound to an executable: inputs on the device, output places known."""

    @abstractmethod
    def run(self) -> None:
        """Execute once; return only when every output is complete. This call is the timed sample."""

    @abstractmethod
    def read(self, names: tuple[str, ...] | None = None) -> Arrays:
        """Copies of the last run's outputs on the host, by name; all of them when `names` is None.

        Valid between `run` and `settle`. bfloat16 arrays have the dtype of `ml_dtypes`.
        """

    @abstractmethod
    def settle(self) -> None:
        """After the clock stopped: adopt updated state as the next run's input, release what else the run made."""

    def update(self, inputs: Arrays) -> None:
        """Replace some data inputs (small ones: a token, a position). Part of the sample in generate.

        As it stands, for a binding that keeps its arrays in `self.inputs` by name and reads them there in each run.
        Every launch checks that the next run follows the new inputs.
        """
        held = getattr(self, "inputs", None)
        if not isinstance(held, dict):
            raise Unsupported(
                f"{type(self).__name__} takes no new inputs, by which a launch sees that answers are computed: keep "
                "the arrays in a dict `self.inputs` that run() reads, or write update()"
            )
        held |= {name: array.copy() for name, array in inputs.items()}

    def adopt(self, source: "Binding") -> None:
        """Take the state outputs of another binding's last run as this one's state, without a host copy
        where the runtime allows it. Called between `source.run()` and `source.settle()`; in generate it
        belongs to the sample. As it stands, for a runner without state.
        """
        raise Unsupported(f"{type(self).__name__} carries no state from call to call: write adopt() to run `generate`")

    def device_seconds(self) -> float:
        """One more call as `run` makes it; the time that it took on the device's own clock.

        Never part of a sample: the host's clock is what is timed. Raises Unsupported, before anything runs, where
        the runtime has no such clock.
        """
        raise Unsupported("the runtime gives no events on the clock of its device")

    def close(self) -> None:  # noqa: B027 (optional)
        """Release everything this binding holds."""


class Executable(ABC):
    """One program on one runtime. Created by `Runner.load`, usable after `compile`."""

    @abstractmethod
    def compile(self) -> None:
        """Trace, lower and compile as far as the runtime lets it be done ahead of the first call.

        A runtime that compiles on its first call makes that call here, with zeros.
        """

    @abstractmethod
    def bind(self, inputs: Arrays) -> Binding:
        """Bind one input set, outside any sample. Missing state inputs are an error; for generate the
        decode program is bound with zeros as state and then `adopt`s."""

    @abstractmethod
    def proof(self) -> Proof:
        """What really runs, read back from the runtime, not from the request."""

    def memory(self) -> Mapping[str, Reading]:
        """What the runtime says of this program's memory: `planned_bytes`, before or after it has run.

        Names are those of `steelyard.core.metrics.METRICS` in bytes, as in `peaks`; others end the launch.
        """
        return {}

    def in_thread(self) -> AbstractContextManager[object]:
        """What a thread that makes calls is inside of, besides the one that called `start`."""
        return nullcontext()

    @property
    @abstractmethod
    def execution_mode(self) -> Mapping[str, str]:
        """How the runtime is used: `weights` (arguments, constants, frozen), `kv_cache` (in place, donated, ...)."""

    @property
    @abstractmethod
    def options(self) -> Mapping[str, Any]:
        """The exact options this program was compiled with: the row of the tuning table."""


class Runner(ABC):
    """Adapter to one runtime. Subclasses import their runtime inside methods only."""

    formats: ClassVar[tuple[str, ...]]
    """Formats it consumes, any of `module`, `onnx`, `stablehlo`, `openvino`, `pt2`."""

    tunings: ClassVar[Mapping[str, Mapping[str, Any]]]
    """Exact options of the tunings `default` and `max`."""

    keeps_cache: ClassVar[str]
    """What the runtime keeps on disk between launches; empty if nothing."""

    compile_s_per_gb: ClassVar[float] = 3.0
    """About how long it compiles a program of so many weights with empty caches, on two CPUs: for estimates alone."""

    requirements: ClassVar[tuple[str, ...]] = ()
    """The packages that a launch needs of it, the runtime first, as pip takes them: what an environment of its own gets
    (`bench env create NAME@VERSION`). `{version}` in a further one stands for the version of the runtime."""

    accepts: ClassVar[Mapping[str, str]] = {}
    """Options a user may give in brackets, with their meaning."""

    values: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """The values of those that take one of a few; an option that is only named has the value "true"."""

    numbers: ClassVar[tuple[str, ...]] = ()
    """Those that take a whole number from 1 on."""

    ladder: ClassVar[tuple[str, ...]] = ()
    """Backends in the order in which optimisations come on top of each other, for `--ladder NAME`; none if empty."""

    searched: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Options that change how fast a program is and nothing else, with their values besides the default: `bench tune`
    tries their combinations."""

    tuner: ClassVar[str] = ""
    """The `module:function` of a search of the runtime's own, in place of that among options: called as
    `function(runner, program, seed)` after `start`, it gives the program's parts and then what became of one candidate
    after the other (`steelyard.core.tuning`), for as long as it is asked."""

    untuned: ClassVar[str] = ""
    """The backend that a tuned one is held against; by default the same without the options that were searched."""

    idle: ClassVar[str] = ""
    """Set when the runner is listed but not part of `--backend all`: the reason."""

    caps_memory: ClassVar[str] = ""
    """How it keeps `Budget.memory_cap_bytes` on a device with memory of its own: the option; empty if it cannot."""

    tells: ClassVar[Mapping[str, str]] = {}
    """Modules for launches that are traced and never timed, each with a function that has the name of its key.
    `compilation(runner, program)`: load the program, compile it as `Executable.compile` does with what the compiler
    tells of itself switched on, and return a `Compilation`; Unsupported where nothing is compiled.
    `memory(runner, program, executable, inputs)`: what a call of the compiled program needs, as a `MemoryProfile`; it
    may make calls and compile once more."""

    kinds: ClassVar[tuple[str, ...]] = ("cpu",)
    """The kinds of device that it is written for; `availability` says which of them work here. On any other kind it is
    unavailable without being asked."""

    script: ClassVar[str] = ""
    """The `module:function` that writes how a stand-alone script uses the runtime (`steelyard.core.script`), which
    `bench repro` needs; empty if there is none."""

    citation: ClassVar[Citation | None] = None
    """What a paper cites for the runtime; without it the report's bibliography has its name and version alone."""

    def __init__(self, context: LaunchContext) -> None:
        self.context = context

    @classmethod
    @abstractmethod
    def availability(cls, backend: BackendSpec, device_kind: str) -> Availability:
        """Whether it can run here on such a device, one of `kinds`. Runs in a child process, so it may import its
        runtime."""

    @classmethod
    def check_options(cls, backend: BackendSpec) -> Mapping[str, str]:
        """The options in brackets. Raises UsageError for a name or a value that it does not take."""
        for name, value in backend.options.items():
            if name not in cls.accepts:
                raise unknown_name(f"option of backend '{backend.runner}'", name, cls.accepts)
            if name in cls.values and value not in cls.values[name]:
                raise unknown_name(f"value of {backend.runner}[{name}]", value, cls.values[name])
            if name in cls.numbers and not (value.isdecimal() and int(value) > 0):
                told = f"{backend.runner}[{name}={value}]: not a whole number from 1 on"
                raise UsageError(f"{told} ({cls.accepts[name]})")
        return backend.options

    @classmethod
    def needs(cls, backend: BackendSpec) -> tuple[str, ...]:
        """The formats this backend needs, with its options taken into account; the last is the one that it loads."""
        return cls.formats

    @classmethod
    def modules(cls, backend: BackendSpec) -> tuple[str, ...]:
        """The modules whose content is the backend, as `module` or `module:attribute`: a run notes their sha256."""
        return (cls.__module__,)

    @classmethod
    def environment(cls, context: LaunchContext) -> Mapping[str, str]:
        """Environment variables of the launch, complete before the process starts."""
        return {}

    @abstractmethod
    def start(self) -> None:
        """Import the runtime, pin its threads and precision to the budget. Timed as import."""

    @abstractmethod
    def load(self, program: LoweredProgram) -> Executable:
        """Read the program and its weights. Timed as load. Raises Unsupported with a reason."""

    def reset_peaks(self) -> None:  # noqa: B027 (optional)
        """A phase begins: the peaks of the runtime's allocator start anew, where it allows that. Outside any sample."""

    def peaks(self) -> Mapping[str, Reading]:
        """The phase ends: `allocator_peak_bytes` since `reset_peaks`, and `allocator_reserved_bytes` where the
        allocator holds more than it has given out. Without an allocator that tells: absent, with the reason."""
        return {}

    def flush(self) -> Callable[[], None]:
        """What empties the device's L2 cache, by writing twice as much, and returns when that is done.

        Raises Unsupported with the reason where the runtime cannot. On CUDA the driver does it for every runtime.
        """
        raise Unsupported("the runtime has no way to empty the device's L2 cache")

    def counters(self) -> Mapping[str, int]:
        """Numbers that must not move inside a timed window: compilations, recompiles, graph breaks."""
        return {}

    def tracer(self, program: LoweredProgram) -> "Tracer":
        """The program compiled once more with the runtime's profiler, for a launch that is traced and never timed.

        Raises Unsupported where the runtime has no profiler.
        """
        raise Unsupported(f"{type(self).__name__} has no profiler: write tracer()")

    def stop(self) -> None:  # noqa: B027 (optional)
        """End helper processes of the runtime (compile workers) before any timed window."""
