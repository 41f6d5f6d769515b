"""PyTorch: `eager`, `inductor` and `torch_compile:NAME_OR_MODULE:FN`, all on the original torch module."""

import dataclasses
import functools
import importlib.metadata
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from steelyard.adapters import inductor_installation
from steelyard.adapters.dynamo import dynamo_backend
from steelyard.adapters.inductor import MAX, MAX_AOT, graphs, no_compiler
from steelyard.adapters.inductor_aot import AotExecutable
from steelyard.adapters.inductor_quantized import quantized, unfused
from steelyard.adapters.torch_binding import Call, Tensors, as_tuple
from steelyard.adapters.torch_executable import TorchExecutable
from steelyard.adapters.torch_module import CITATION, PINNED, TorchRunner
from steelyard.core import quantization
from steelyard.core.backend import Availability, BackendSpec
from steelyard.core.errors import Unsupported, UsageError
from steelyard.core.lowered import LoweredProgram
from steelyard.core.reason import said
from steelyard.core.runner import LaunchContext
from steelyard.core.tracing import Tracer
from steelyard.core.workload import Program

_COMPILE: Mapping[str, Any] = {**PINNED, "fullgraph": True, "dynamic": False}
_UNTOUCHED = "the backend returned the graph itself: PyTorch executes its operators one by one"


class Eager(TorchRunner):
    """The module called as written, under inference mode: the baseline."""

    citation = CITATION


class CompiledExecutable(TorchExecutable):
    """One program through `torch.compile`, as one graph with static shapes, or not at all.

    State updated in place is not returned: the compiled call hands over only what is new.
    """

    def __init__(self, runner: "TorchCompile", program: Program, module: Any) -> None:
        super().__init__(runner, program, module)
        self._compiler = runner
        self.fixed_state = bool(runner.compile_options().get("triton.cudagraphs"))

    def compile(self) -> None:
        """Capture, compile and call once. Raises Unsupported where the program is more than one graph."""
        from torch._dynamo.exc import FailOnRecompileLimitHit
        from torch._dynamo.exc import Unsupported as Broken
        from torch._dynamo.utils import counters

        before, captured = self._compiler.counters()["compilations"], counters["stats"]["unique_graphs"]
        try:
            super().compile()
        except (Broken, FailOnRecompileLimitHit) as error:
            refused = f"{self._where}: torch.compile(fullgraph=True) cannot capture it: {said(error)}"
            raise Unsupported(refused) from error
        self._compiler.asked_compilations += self._compiler.counters()["compilations"] - before
        self._graphs = counters["stats"]["unique_graphs"] - captured

    def _translate(self) -> tuple[Call, tuple[str, ...]]:
        import torch

        module, outputs = self._module, self._program.outputs
        kept = [index for index, spec in enumerate(outputs) if spec.name not in self._held]

        def step(*tensors: Any) -> Tensors:
            results = as_tuple(module(*tensors))
            return tuple([results[index] for index in kept])

        call = torch.compile(
            step,
            backend=self._compiler.translator(),
            fullgraph=True,
            dynamic=False,
            options=dict(self._compiler.compile_options()) or None,
            # Each program has its own compiled entries: none is looked for among, or counted with, another's.
            isolate_recompiles=True,
        )
        return call, tuple(outputs[index].name for index in kept)

    @property
    def options(self) -> Mapping[str, Any]:  # noqa: D102
        options = self._compiler.compile_options()
        found = {**super().options, "options": dict(options), **graphs(self._runner.context.device.kind, options)}
        backend = self._runner.context.backend
        return {**found, "format": self._runner.needs(backend)[-1]} if quantization.kind_of(backend) else found

    @property
    def execution_mode(self) -> Mapping[str, str]:  # noqa: D102
        frozen = self._compiler.compile_options().get("freezing")
        return {**super().execution_mode, "weights": "frozen"} if frozen else super().execution_mode

    def _trouble(self) -> tuple[int | None, int | None]:
        now = self._runner.counters()
        return now["graph_breaks"], now["compilations"] - self._compiler.asked_compilations

    def _objections(self) -> tuple[str, ...]:
        from torch._dynamo import eval_frame

        stance = eval_frame._stance.stance
        found = () if stance == "default" else (f"torch.compiler has the stance '{stance}' instead of 'default'",)
        return (*found, *unfused(self._compiler.context.backend))

    def _remarks(self) -> tuple[str, ...]:
        return (_UNTOUCHED,) if self._compiler.untouched else ()

    def _facts(self) -> Mapping[str, Any]:
        from torch._dynamo.utils import counters

        return {"fullgraph": True, "inductor": {name: int(count) for name, count in counters["inductor"].items()}}


class TorchCompile(TorchRunner):
    """`torch.compile` with a registered backend (`torch_compile:NAME`) or a function (`torch_compile:module:fn`)."""

    tunings: ClassVar[Mapping[str, Mapping[str, Any]]] = {"default": _COMPILE, "max": _COMPILE}
    keeps_cache = "what the backend itself keeps; Inductor's and Triton's caches lie in the launch's cache folder"
    executable = CompiledExecutable
    citation = CITATION
    idle = "takes the name of a torch.compile backend: torch_compile:NAME or torch_compile:module:function"

    def __init__(self, context: LaunchContext) -> None:
        super().__init__(context)
        self._events: Counter[str] = Counter()
        self.asked_compilations = 0
        self.untouched = 0
        """How many graphs the backend returned as the compiled program."""

    @classmethod
    def resolve(cls, backend: BackendSpec) -> None:
        """The backend's name or function is there."""
        dynamo_backend(backend.provider)

    @classmethod
    def modules(cls, backend: BackendSpec) -> tuple[str, ...]:
        """The runner's, and that of the function or of the entry point behind a backend's name."""
        provider = backend.provider or ""
        points = importlib.metadata.entry_points(group="torch_dynamo_backends", name=provider)
        named = (provider,) if ":" in provider else tuple(point.value for point in points)
        return (*super().modules(backend), *named)

    @classmethod
    def environment(cls, context: LaunchContext) -> Mapping[str, str]:
        """As eager, with the compiler's caches in the launch's cache folder."""
        folders = {"TORCHINDUCTOR_CACHE_DIR": "inductor", "TRITON_CACHE_DIR": "triton"}
        caches = {name: str(context.compile_cache / folder) for name, folder in folders.items()}
        return {**super().environment(context), **caches}

    def start(self) -> None:
        """As eager; counts every compilation from here on. RNN, LSTM and GRU, which Dynamo refuses unless told
        otherwise, are captured like all else."""
        super().start()
        import torch._dynamo
        from torch._dynamo.callback import callback_handler

        torch._dynamo.config.allow_rnn = True

        callback_handler.register_start_callback(lambda event: self._events.update((event.callback_trigger.name,)))

    def translator(self) -> Any:
        """The `backend` argument of torch.compile."""
        function = dynamo_backend(self.context.backend.provider)

        @functools.wraps(function)
        def noticed(graph: Any, *arguments: Any, **options: Any) -> Any:
            compiled = function(graph, *arguments, **options)
            self.untouched += compiled is graph or getattr(compiled, "__self__", None) is graph
            return compiled

        return noticed

    def compile_options(self) -> Mapping[str, Any]:
        """The `options` argument of torch.compile."""
        return {}

    def counters(self) -> Mapping[str, int]:
        """Compilations of any kind, CUDA graph recordings and graph breaks since the process started."""
        from torch._dynamo.utils import counters

        recordings = self._events["CUDAGRAPH_RECORDING"]
        return {
            "compilations": self._events.total() - recordings,
            "cudagraph_recordings": recordings,
            "graph_breaks": sum(counters["graph_break"].values()),
        }

    def tracer(self, program: LoweredProgram) -> Tracer:
        """With torch.profiler; what Inductor compiles for it tells of its kernels, and is kept from its caches."""
        from steelyard.adapters.torch_trace import TorchTracer, inductor_apart

        with inductor_apart(self.context.scratch) as compiled:
            return TorchTracer(self.load_apart(program), self.target.type, compiled.sites)

    def load_apart(self, program: LoweredProgram) -> TorchExecutable:
        """As `load`, for a program of which nothing may be kept for later launches."""
        return self.load(program)

    def stop(self) -> None:
        """End the compile workers, which would otherwise share the machine with the timed window."""
        from torch._inductor.async_compile import shutdown_compile_workers

        shutdown_compile_workers()


class Inductor(TorchCompile):
    """`torch.compile` as most people use it."""

    tunings: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": {**_COMPILE, "options": {}},
        # Of other devices the options stand in each result: this row is compared with that of older runs.
        "max": {**_COMPILE, "options": {"cpu": MAX["cpu"], "cuda": MAX["cuda"], "aot": MAX_AOT}},
    }
    keeps_cache = "graphs and kernels (TORCHINDUCTOR_CACHE_DIR, TRITON_CACHE_DIR; none for frozen graphs), AOT packages"
    compile_s_per_gb = 43.0
    accepts: ClassVar[Mapping[str, str]] = {
        "aot": "compile the exported program ahead of time, with AOTInductor",
        "freezing": "weights as constants of the compiled graph",
        "max_autotune": "measure several kernels while compiling, and keep the fastest",
        **quantization.options("int8"),
    }
    values: ClassVar[Mapping[str, tuple[str, ...]]] = dict.fromkeys(accepts, ("true",))
    searched: ClassVar[Mapping[str, tuple[str, ...]]] = dict.fromkeys(("aot", "freezing", "max_autotune"), ("true",))
    ladder = ("eager", "inductor", "inductor[freezing]", "inductor[freezing,max_autotune]")
    idle = ""

    @classmethod
    def needs(cls, backend: BackendSpec) -> tuple[str, ...]:
        """The original module; the exported program where it is quantized or compiled ahead of time. Raises UsageError
        where its weights were to be frozen then: they are handed in."""
        quantized = quantization.kind_of(backend)
        if "aot" in backend.options and ("freezing" in backend.options or quantized):
            raise UsageError(f"{backend.text}: a package is handed its weights, which cannot be frozen then")
        return quantization.formats("pt2", backend) if quantized or "aot" in backend.options else cls.formats

    @classmethod
    def resolve(cls, backend: BackendSpec) -> None:
        """Its compiler is Inductor itself."""

    @classmethod
    def availability(cls, backend: BackendSpec, device_kind: str) -> Availability:
        """As eager, and the compiler that Inductor calls is there: C++ for a CPU, Triton for a GPU."""
        found = super().availability(backend, device_kind)
        reason = no_compiler(device_kind) if found.available else ""
        return dataclasses.replace(found, available=False, reason=reason) if reason else found

    def start(self) -> None:
        """As `torch_compile`; freezing is switched on for the process: torch.compile ignores it as an option. What
        Inductor makes once for an installation is there before anything is compiled."""
        super().start()
        from torch._inductor import config

        if self.context.device.kind == "cpu" and self.context.installation:
            inductor_installation.share(self.context.installation / "inductor", self.context.scratch)

        # Dynamo asks the global switch whether to hand weights over as constants (torch 2.13).
        config.freezing = bool(self.compile_options().get("freezing"))

    def load(self, program: LoweredProgram) -> TorchExecutable:
        """The original module, or the exported program for `inductor[aot]` and what is quantized."""
        if quantization.kind_of(self.context.backend):
            return self.executable(self, program.program, quantized(self, program))
        return self._package(program, self.context.compile_cache) if self._aot else super().load(program)

    def load_apart(self, program: LoweredProgram) -> TorchExecutable:  # noqa: D102
        return self._package(program, self.context.scratch) if self._aot else self.load(program)

    def _package(self, program: LoweredProgram, folder: Path) -> AotExecutable:
        return AotExecutable(self, program, self.compile_options(), folder / "aot")

    def translator(self) -> Any:  # noqa: D102
        return "inductor"

    def compile_options(self) -> Mapping[str, Any]:
        """Those of the tuning, and those in brackets; a package whose weights are handed in cannot have them frozen."""
        options = self.context.backend.options
        asked = {name: True for name in ("freezing", "max_autotune") if name in options}
        if quantization.kind_of(self.context.backend):
            asked["freezing"] = True  # what it fuses are constants
        if self.context.budget.tuning == "default":
            return asked
        return {**(MAX_AOT if self._aot else MAX[self.context.device.kind]), **asked}

    @property
    def _aot(self) -> bool:
        return "aot" in self.context.backend.options


RUNNERS = {"eager": Eager, "inductor": Inductor, "torch_compile": TorchCompile}
