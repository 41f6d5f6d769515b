"""Kernels by hand or from a generator: `kernel:MODULE` computes a workload by the function of its name in a module.

The function gets the inputs of the workload as tensors by position and its weights by keyword, and returns a tensor, or
a tuple of them where the workload has several outputs. How it computes is its own affair: operators of PyTorch, Triton,
Numba, a library of C, C++ or CUDA that it loads.
"""

import importlib.util
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from steelyard.adapters.torch_binding import Call, Tensors, TorchBinding, zeros
from steelyard.adapters.torch_executable import TorchExecutable
from steelyard.adapters.torch_module import CITATION, PINNED, TorchRunner
from steelyard.core.backend import BackendSpec
from steelyard.core.code import modules_in
from steelyard.core.errors import SteelyardError, Unsupported, UsageError
from steelyard.core.lowered import LoweredProgram
from steelyard.core.runner import LaunchContext
from steelyard.core.tracing import Tracer
from steelyard.plugins import load_attribute

_CACHES = {"TRITON_CACHE_DIR": "triton", "NUMBA_CACHE_DIR": "numba", "TORCH_EXTENSIONS_DIR": "torch_extensions"}


class KernelBinding(TorchBinding):
    """What a kernel returns must be what it says it is, before anybody reads it."""

    def output(self, name: str) -> Any:
        """As of any torch callable. Raises SteelyardError for what is no plain tensor: one of a class of its own may
        compute when it is read, after the clock has stopped."""
        import torch

        found = super().output(name)
        if type(found) not in (torch.Tensor, torch.nn.Parameter):
            raise SteelyardError(f"output '{name}' is a {type(found).__name__}, not a plain tensor")
        return found


class KernelExecutable(TorchExecutable):
    """The workload's inputs and weights, and a function in the place of its module."""

    def __init__(self, runner: "KernelRunner", program: LoweredProgram, function: Callable[..., Any]) -> None:
        super().__init__(runner, program.program, runner.module(program))
        self._function = function

    def _translate(self) -> tuple[Call, tuple[str, ...]]:
        function = self._function
        weights = {name.replace(".", "_"): tensor for name, tensor in self._module.named_parameters()}

        def call(*inputs: Any) -> Any:
            return function(*inputs, **weights)

        return call if weights else function, tuple(spec.name for spec in self._program.outputs)

    def compile(self) -> None:
        """One call with zeros, for whatever compiles itself then. Raises SteelyardError for outputs of another number,
        shape, type or class than the workload's."""
        import torch

        call, names = self._translate()
        device, outputs = self._runner.device, self._program.outputs
        returned = call(*(zeros(spec, device) for spec in self._program.inputs))
        found: Tensors = (returned,) if isinstance(returned, torch.Tensor) else returned
        if not isinstance(found, tuple) or len(found) != len(outputs):
            told = f"{len(found)} outputs" if isinstance(found, tuple) else f"a {type(returned).__name__}"
            raise SteelyardError(f"{self._where}: it returns {told}, not {', '.join(names)}")
        for spec, tensor in zip(outputs, found, strict=True):
            is_, wanted = f"{tensor.dtype}{list(tensor.shape)}", f"torch.{spec.dtype}{list(spec.shape)}"
            if is_ != wanted:
                raise SteelyardError(f"{self._where}: output '{spec.name}' is {is_}, not {wanted}")
        super().compile()

    @property
    def _where(self) -> str:
        return f"kernel '{self._program.name}'"

    def _binding(self, call: Call, arguments: Tensors) -> TorchBinding:
        return KernelBinding(
            self._program, call, self._returned, list(arguments), self.fixed_state, self._runner.target
        )

    def _remarks(self) -> tuple[str, ...]:
        where = inspect.getmodule(self._function)
        return (f"computed by {where.__name__ if where else 'a function'}.{self._function.__name__}",)


class KernelRunner(TorchRunner):
    """A module of kernels (`kernel:MODULE`), or a package with a module for each."""

    idle = "takes the name of a module of kernels: kernel:MODULE"
    keeps_cache = "what Triton, Numba and torch.utils.cpp_extension keep; their folders lie in the launch's cache"
    tunings: ClassVar[Mapping[str, Mapping[str, Any]]] = {"default": PINNED, "max": PINNED}
    script = ""
    citation = CITATION
    tells: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def resolve(cls, backend: BackendSpec) -> None:
        """The module imports."""
        if not backend.provider:
            raise UsageError("name the module of the kernels: kernel:MODULE")
        load_attribute(backend.provider)

    @classmethod
    def modules(cls, backend: BackendSpec) -> tuple[str, ...]:
        """The runner's, that of the kernels, and those in it where it is a package."""
        name = backend.provider
        return (*super().modules(backend), *((name, *modules_in(name)) if name else ()))

    @classmethod
    def environment(cls, context: LaunchContext) -> Mapping[str, str]:
        """As eager; what kernels compile lies in the launch's cache folder, and Numba has the budget's threads."""
        caches = {name: str(context.compile_cache / folder) for name, folder in _CACHES.items()}
        return {**super().environment(context), **caches, "NUMBA_NUM_THREADS": str(context.threads_a_call)}

    def load(self, program: LoweredProgram) -> KernelExecutable:
        """The function, and the workload's weights on the device. Raises Unsupported where there is no such function,
        or the workload carries state from call to call."""
        what = program.program
        if any(spec.role == "state" for spec in (*what.inputs, *what.outputs)):
            raise Unsupported("a kernel is called for its outputs alone: this workload carries state from call to call")
        if what.gradients:
            raise Unsupported("a kernel is called for its outputs alone: this workload computes gradients")
        return KernelExecutable(self, program, self._kernel(what.name))

    def tracer(self, program: LoweredProgram) -> Tracer:
        """With torch.profiler, which sees the operators of PyTorch that a kernel calls."""
        from steelyard.adapters.torch_graph import eager
        from steelyard.adapters.torch_trace import TorchTracer

        return TorchTracer(self.load(program), self.target.type, eager)

    def _kernel(self, name: str) -> Callable[..., Any]:
        module = self.context.backend.provider or ""
        found = load_attribute(module)
        if hasattr(found, "__path__") and importlib.util.find_spec(f"{module}.{name}"):
            found = load_attribute(f"{module}.{name}")
        function = getattr(found, name, None)
        if not callable(function):
            raise Unsupported(f"{module} has no function '{name}'")
        return function  # type: ignore[no-any-return]


RUNNERS = {"kernel": KernelRunner}
