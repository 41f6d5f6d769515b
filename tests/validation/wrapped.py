"""A runner around another: everything is passed on, so that a subclass can change one thing of a real backend."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from steelyard import plugins
from steelyard.core.backend import Availability, BackendSpec
from steelyard.core.errors import UsageError
from steelyard.core.lowered import LoweredProgram
from steelyard.core.metrics import Reading
from steelyard.core.result import Proof
from steelyard.core.runner import Arrays, Binding, Executable, LaunchContext, Runner


class WrappedBinding(Binding):
    """A binding of the wrapped runner."""

    def __init__(self, inner: Binding) -> None:
        self.inner = inner

    def run(self) -> None:
        """See `Binding`."""
        self.inner.run()

    def read(self, names: tuple[str, ...] | None = None) -> Arrays:
        """See `Binding`."""
        return self.inner.read(names)

    def settle(self) -> None:
        """See `Binding`."""
        self.inner.settle()

    def update(self, inputs: Arrays) -> None:
        """See `Binding`."""
        self.inner.update(inputs)

    def adopt(self, source: Binding) -> None:
        """See `Binding`."""
        self.inner.adopt(source.inner if isinstance(source, WrappedBinding) else source)

    def close(self) -> None:
        """See `Binding`."""
        self.inner.close()


class WrappedExecutable(Executable):
    """A program of the wrapped runner."""

    def __init__(self, runner: "Wrapped", inner: Executable) -> None:
        self.runner, self.inner = runner, inner

    def compile(self) -> None:
        """See `Executable`."""
        self.inner.compile()

    def bind(self, inputs: Arrays) -> Binding:
        """See `Executable`."""
        return WrappedBinding(self.inner.bind(inputs))

    def proof(self) -> Proof:
        """See `Executable`."""
        return self.inner.proof()

    def memory(self) -> Mapping[str, Reading]:
        """See `Executable`."""
        return self.inner.memory()

    @property
    def execution_mode(self) -> Mapping[str, str]:
        """See `Executable`."""
        return self.inner.execution_mode

    @property
    def options(self) -> Mapping[str, Any]:
        """Those of the wrapped program, and the wrapper's own."""
        return {**self.inner.options, **self.runner.context.backend.options}


class Wrapped(Runner):
    """The runner of the backend that the option `of` names."""

    formats: ClassVar[tuple[str, ...]] = ()
    tunings: ClassVar[Mapping[str, Mapping[str, Any]]] = {"default": {}, "max": {}}
    keeps_cache: ClassVar[str] = "what the wrapped runtime keeps"
    accepts: ClassVar[Mapping[str, str]] = {"of": "the backend to wrap, without options"}
    idle: ClassVar[str] = "it proves the tool, and is no runtime"

    def __init__(self, context: LaunchContext) -> None:
        super().__init__(context)
        spec = self.wrapped(context.backend)
        self.inner = plugins.runner(spec.runner)(dataclasses.replace(context, backend=spec))

    @classmethod
    def wrapped(cls, backend: BackendSpec) -> BackendSpec:
        """The backend inside. Raises UsageError where none is named."""
        name = backend.options.get("of", "")
        if not name:
            raise UsageError(f"backend '{backend.text}' wraps another: name it, e.g. [of=onnxruntime]")
        return plugins.backend(name)

    @classmethod
    def availability(cls, backend: BackendSpec, device_kind: str) -> Availability:
        """Wherever the wrapped backend runs."""
        spec = cls.wrapped(backend)
        return plugins.runner(spec.runner).availability(spec, device_kind)

    @classmethod
    def needs(cls, backend: BackendSpec) -> tuple[str, ...]:
        """What the wrapped backend consumes."""
        spec = cls.wrapped(backend)
        return plugins.runner(spec.runner).needs(spec)

    @classmethod
    def environment(cls, context: LaunchContext) -> Mapping[str, str]:
        """The wrapped runner's."""
        spec = cls.wrapped(context.backend)
        return plugins.runner(spec.runner).environment(dataclasses.replace(context, backend=spec))

    def start(self) -> None:
        """See `Runner`."""
        self.inner.start()

    def load(self, program: LoweredProgram) -> Executable:
        """See `Runner`."""
        return WrappedExecutable(self, self.inner.load(program))

    def counters(self) -> Mapping[str, int]:
        """See `Runner`."""
        return self.inner.counters()

    def stop(self) -> None:
        """See `Runner`."""
        self.inner.stop()
