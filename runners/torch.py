"""PyTorch: `eager`, `inductor` and `torch_compile:NAME_OR_MODULE:FN`, all on the original torch module."""

import dataclasses
import os
import shutil
import sysconfig
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, cast

from steelyard.core.backend import Availability, BackendSpec
from steelyard.core.errors import Unsupported, UsageError, unknown_name
from steelyard.core.runner import LaunchContext
from steelyard.core.workload import Program
from steelyard.plugins import load_attribute
from steelyard.torch_module import PINNED, Call, Tensors, TorchExecutable, TorchRunner

_COMPILE: Mapping[str, Any] = {**PINNED, "fullgraph": True, "dynamic": False}
_MAX_CPU: Mapping[str, Any] = {"max_autotune": True, "freezing": True}
_MAX_CUDA: Mapping[str, Any] = {**_MAX_CPU, "coordinate_descent_tuning": True, "triton.cudagraphs": True}


class Eager(TorchRunner):
    """The module called as written, under inference mode: the baseline."""


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

        before = self._compiler.counters()["compilations"]
        try:
            super().compile()
        except (Broken, FailOnRecompileLimitHit) as error:
            reason = str(error).strip().splitlines()[0]
            raise Unsupported(f"{self._where}: torch.compile(fullgraph=True) cannot capture it: {reason}") from error
        self._compiler.asked_compilations += self._compiler.counters()["compilations"] - before

    def _translate(self) -> tuple[Call, tuple[str, ...]]:
        import torch

        module, outputs = self._module, self._program.outputs
        kept = [index for index, spec in enumerate(outputs) if spec.name not in self._held]

        def step(*tensors: Any) -> Tensors:
            results = module(*tensors)
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
        return {**super().options, "options": dict(self._compiler.compile_options())}

    @property
    def idiom(self) -> Mapping[str, str]:  # noqa: D102
        frozen = self._compiler.compile_options().get("freezing")
        return {**super().idiom, "weights": "frozen"} if frozen else super().idiom

    def _trouble(self) -> tuple[int | None, int | None]:
        now = self._runner.counters()
        return now["graph_breaks"], now["compilations"] - self._compiler.asked_compilations

    def _facts(self) -> Mapping[str, Any]:
        from torch._dynamo.utils import counters

        facts = {"graphs_captured": counters["stats"]["unique_graphs"], "fullgraph": True}
        return facts | {"inductor": {name: int(count) for name, count in counters["inductor"].items()}}


class TorchCompile(TorchRunner):
    """`torch.compile` with a registered backend (`torch_compile:NAME`) or a function (`torch_compile:module:fn`)."""

    tunings: ClassVar[Mapping[str, Mapping[str, Any]]] = {"default": _COMPILE, "max": _COMPILE}
    keeps_cache = "what the backend itself keeps; Inductor's and Triton's caches lie in the launch's cache folder"
    executable = CompiledExecutable
    idle = "takes the name of a torch.compile backend: torch_compile:NAME or torch_compile:module:function"

    def __init__(self, context: LaunchContext) -> None:
        super().__init__(context)
        self._events: Counter[str] = Counter()
        self.asked_compilations = 0

    @classmethod
    def availability(cls, backend: BackendSpec, device_kind: str) -> Availability:
        """As eager, and the backend's name or function is there."""
        found = super().availability(backend, device_kind)
        if not found.available:
            return found
        try:
            _dynamo_backend(backend.provider)
        except UsageError as error:
            return dataclasses.replace(found, available=False, reason=str(error))
        return found

    @classmethod
    def environment(cls, context: LaunchContext) -> Mapping[str, str]:
        """As eager, with the compiler's caches in the launch's cache folder."""
        folders = {"TORCHINDUCTOR_CACHE_DIR": "inductor", "TRITON_CACHE_DIR": "triton"}
        caches = {name: str(context.compile_cache / folder) for name, folder in folders.items()}
        return {**super().environment(context), **caches}

    def start(self) -> None:
        """As eager; counts every compilation from here on."""
        super().start()
        from torch._dynamo.callback import callback_handler

        callback_handler.register_start_callback(lambda event: self._events.update((event.callback_trigger.name,)))

    def translator(self) -> Any:
        """The `backend` argument of torch.compile."""
        return _dynamo_backend(self.context.backend.provider)

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

    def stop(self) -> None:
        """End the compile workers, which would otherwise share the machine with the timed window."""
        from torch._inductor.async_compile import shutdown_compile_workers

        shutdown_compile_workers()


class Inductor(TorchCompile):
    """`torch.compile` as most people use it."""

    tunings: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": {**_COMPILE, "options": {}},
        "max": {**_COMPILE, "options": {"cpu": _MAX_CPU, "cuda": _MAX_CUDA}},
    }
    keeps_cache = "graphs and kernels, compiled (TORCHINDUCTOR_CACHE_DIR, TRITON_CACHE_DIR)"
    idle = ""

    @classmethod
    def availability(cls, backend: BackendSpec, device_kind: str) -> Availability:
        """As eager, and the compiler that Inductor calls is there: C++ for a CPU, Triton for CUDA."""
        found = super(TorchCompile, cls).availability(backend, device_kind)
        reason = _no_compiler(device_kind) if found.available else ""
        return dataclasses.replace(found, available=False, reason=reason) if reason else found

    def start(self) -> None:
        """As `torch_compile`; freezing is switched on for the process: torch.compile ignores it as an option."""
        super().start()
        from torch._inductor import config

        # Dynamo asks the global switch whether to hand weights over as constants (torch 2.13).
        config.freezing = bool(self.compile_options().get("freezing"))

    def translator(self) -> Any:  # noqa: D102
        return "inductor"

    def compile_options(self) -> Mapping[str, Any]:  # noqa: D102
        if self.context.budget.tuning == "default":
            return {}
        return _MAX_CUDA if self.context.device.kind == "cuda" else _MAX_CPU


def _dynamo_backend(provider: str | None) -> Callable[..., Any]:
    """The function behind a backend's name or `module:function`. Raises UsageError, with the closest names first."""
    import torch._dynamo

    if provider is not None and ":" in provider:
        function = load_attribute(provider)
        if not callable(function):
            raise UsageError(f"'{provider}' is a {type(function).__name__}, not a function that compiles a graph")
        return cast(Callable[..., Any], function)
    names = torch._dynamo.list_backends(exclude_tags=())
    if provider not in names:
        raise unknown_name("torch.compile backend", provider or "", names)
    try:
        return cast(Callable[..., Any], torch._dynamo.lookup_backend(provider))
    except Exception as error:
        raise UsageError(f"torch.compile backend '{provider}' does not load: {error}") from error


def _no_compiler(device_kind: str) -> str:
    """Why Inductor could not compile for such a device here; empty if it can."""
    if device_kind == "cuda":
        from torch.utils._triton import has_triton

        if not has_triton():
            return "Inductor needs Triton for CUDA and torch finds none that works: pip install triton"
        if not any(shutil.which(name) for name in (os.environ.get("CC", "cc"), "gcc", "clang")):
            return "Triton needs a C compiler and finds neither $CC, gcc nor clang: apt install gcc"
        return ""
    from torch._inductor import config
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        tried = next((name for name in reversed(config.cpp.cxx) if name), "g++")
        return f"Inductor needs a C++ compiler and '{tried}' does not run: apt install g++, or set CXX"
    header = Path(sysconfig.get_path("include")) / "Python.h"
    return (
        ""
        if header.is_file()
        else "Inductor needs the headers of Python and finds no Python.h: apt install python3-dev"
    )


RUNNERS = {"eager": Eager, "inductor": Inductor, "torch_compile": TorchCompile}
