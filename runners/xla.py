"""XLA through JAX: the exported StableHLO program compiled ahead of time, weights as arguments, the cache donated.

The process imports JAX and no torch. Weights are read once per launch and shared by all programs.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from steelyard.adapters import denormals, xla_device
from steelyard.adapters.bound import artifact_of
from steelyard.adapters.process_threads import thread_names
from steelyard.adapters.stored_weights import StoredWeights
from steelyard.adapters.xla_executable import XlaExecutable
from steelyard.core.backend import Availability, BackendSpec
from steelyard.core.citation import Citation
from steelyard.core.errors import FellBack, MissingPackage, Unsupported
from steelyard.core.lowered import LoweredProgram
from steelyard.core.metrics import Reading, absent, raised
from steelyard.core.runner import LaunchContext, Runner
from steelyard.core.tracing import Tracer
from steelyard.core.workload import Program

_COMPILED = "/jax/core/compile/backend_compile_duration"
_PINNED = {"jax_default_matmul_precision": "highest (precision=strict)", "donate": "state inputs", "aot": True}


class Xla(Runner):
    """XLA as JAX users run it: `jit(...).lower(...).compile()` with donated state."""

    formats = ("stablehlo",)
    script = "steelyard.adapters.xla_script:script"
    tunings: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": {**_PINNED, "compiler_options": {}},
        "max": {**_PINNED, "compiler_options": {kind: xla_device.MAX[kind] for kind in ("cpu", "cuda")}},
    }
    requirements = ("jax",)
    accepts = xla_device.ACCEPTS
    values = xla_device.VALUES
    searched = xla_device.SEARCHED
    ladder = xla_device.LADDER
    keeps_cache = "compiled executables (jax_compilation_cache_dir)"
    kinds = tuple(xla_device.PLATFORMS)
    tells: ClassVar[Mapping[str, str]] = {
        "compilation": "steelyard.adapters.xla_compilation",
        "memory": "steelyard.adapters.xla_memory",
    }
    caps_memory = "XLA_PYTHON_CLIENT_MEM_FRACTION"
    citation = Citation(
        key="jax",
        title="JAX: composable transformations of Python+NumPy programs",
        authors=("Bradbury, James", "Frostig, Roy", "Hawkins, Peter", "Johnson, Matthew James", "others"),
        year=2018,
        url="https://github.com/jax-ml/jax",
    )

    def __init__(self, context: LaunchContext) -> None:
        super().__init__(context)
        self.check_options(context.backend)
        self.device: Any = None
        self.asked_compilations = 0
        self._compilations = 0
        self._mark: int | None = None
        self._weights = StoredWeights(self._on_device)
        self._denormals = ""

    @classmethod
    def availability(cls, backend: BackendSpec, device_kind: str) -> Availability:
        """JAX is there and has a platform for such a device."""
        try:
            xla_device.check_kind(device_kind)
        except Unsupported as error:
            return Availability(available=False, reason=str(error))
        try:
            import jax
        except ImportError as error:
            missing = error.name in ("jax", "jaxlib")
            reason = str(MissingPackage("jax", "xla")) if missing else f"jax does not import: {error}"
            return Availability(available=False, reason=reason)
        try:
            devices = jax.devices(device_kind)
        except RuntimeError as error:
            reason = xla_device.no_device(device_kind, error)
            return Availability(available=False, reason=reason, versions=xla_device.versions())
        names = tuple(device.device_kind for device in devices)
        return Availability(available=True, versions=xla_device.versions(), devices=names)

    @classmethod
    def environment(cls, context: LaunchContext) -> Mapping[str, str]:
        """The platform pinned, so that JAX cannot take another; NPROC sizes XLA's pool, beside the CPU set."""
        return {
            "JAX_PLATFORMS": context.device.kind,
            "JAX_COMPILATION_CACHE_DIR": str(context.compile_cache / "jax"),
            "NPROC": str(context.budget.threads),
            **xla_device.allocator(context.device, context.budget),
        }

    def start(self) -> None:
        """Import JAX, pin the matrix precision, find the device. Raises FellBack where JAX has another platform."""
        try:
            import jax
        except ImportError as error:
            raise MissingPackage("jax", "xla") from error
        context = self.context
        xla_device.check_kind(context.device.kind)
        xla_device.check_cap(context.device, context.budget)
        if context.budget.precision == "strict":
            jax.config.update("jax_default_matmul_precision", "highest")
        jax.config.update("jax_compilation_cache_dir", str(context.compile_cache / "jax"))
        # Keep everything: by default only what took longer than a second to compile is kept.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
        jax.monitoring.register_event_duration_secs_listener(self._heard)
        try:
            devices = jax.devices(context.device.kind)
        except RuntimeError as error:
            raise FellBack(f"JAX offers no {context.device.kind} device: {error}") from error
        if context.device.index >= len(devices):
            raise FellBack(
                f"JAX sees {len(devices)} {context.device.kind} devices, none with index {context.device.index}"
            )
        self.device = devices[context.device.index]
        jax.config.update("jax_default_device", self.device)

    def load(self, program: LoweredProgram) -> XlaExecutable:
        """Read the exported program, and those of its weights that no earlier program has brought."""
        import jax.export

        artifact = artifact_of(program, "stablehlo")
        exported = jax.export.deserialize(bytearray((Path(artifact.directory) / artifact.entry).read_bytes()))
        return self.executable(program.program, exported, program.weights_file, artifact.details["weights"])

    def executable(self, program: Program, exported: Any, weights_file: str, names: Sequence[str]) -> XlaExecutable:
        """A program from what has the `call(weights, *inputs)`, `in_avals` and `mlir_module()` of an exported one."""
        import jax

        weights = self._weights.read(weights_file, names)
        jax.block_until_ready(weights)
        return XlaExecutable(self, program, exported, weights)

    def _on_device(self, array: Any) -> Any:
        import jax

        return jax.device_put(array, self.device)

    def reset_peaks(self) -> None:
        """JAX cannot set its peak back: where it stands is kept instead."""
        self._mark = self._peak()

    def peaks(self) -> Mapping[str, Reading]:
        """The device's own peak, if the phase raised it."""
        peak = self._peak()
        if peak is None:
            return {"allocator_peak_bytes": absent("B", f"JAX keeps no allocator statistics on {self.device.platform}")}
        method = "memory_stats: peak_bytes_in_use"
        found = raised(self._mark or 0, peak, method=method, refused="JAX cannot reset its peak")
        return {"allocator_peak_bytes": found}

    def _peak(self) -> int | None:
        stats = self.device.memory_stats() if self.device is not None else None
        return (stats or {}).get("peak_bytes_in_use")

    def counters(self) -> Mapping[str, int]:
        """Compilations since the process started, those served by the persistent cache included."""
        return {"compilations": self._compilations}

    def compiler_options(self) -> Mapping[str, Any]:
        """What `compile` is given beyond XLA's defaults."""
        context = self.context
        own = xla_device.MAX[context.device.kind] if context.budget.tuning == "max" else {}
        return {**own, **xla_device.asked(context.backend.options, context.device.kind)}

    def matmul_precision(self) -> str:
        """The precision that JAX would give to products it traces itself."""
        import jax

        return str(jax.config.jax_default_matmul_precision)

    def denormals(self) -> str:
        """A product of denormal numbers, compiled once for this; long enough for the whole pool."""
        import jax
        import numpy as np

        if not self._denormals:
            before = self._compilations
            given = jax.device_put(np.full(1 << 17, denormals.TINY, np.float32), self.device)
            product = jax.jit(lambda array: array * np.float32(1.5))(given)
            # Looked at as bits by numpy: a comparison on the device may count them as zero itself.
            kept = int(np.count_nonzero(np.asarray(product).view(np.uint32)))
            self._denormals = denormals.in_words(kept, given.size)
            self.asked_compilations += self._compilations - before
        return self._denormals

    def thread_names(self) -> dict[str, int] | None:
        """How many threads of each name this process has; None where the system does not tell."""
        return thread_names()

    def threads(self) -> int | None:
        """The size of XLA's own compute pool, counted among the threads of the process."""
        names = thread_names()
        return None if names is None else names.get("tf_XLAEigen")

    def tracer(self, program: LoweredProgram) -> Tracer:
        """With JAX's profiler, which records what any program executes."""
        from steelyard.adapters.xla_trace import XlaTracer

        return XlaTracer(self.load(program), self.context)

    def _heard(self, event: str, seconds: float, **facts: Any) -> None:
        if event == _COMPILED:
            self._compilations += 1


RUNNERS = {"xla": Xla}
