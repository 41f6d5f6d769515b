"""XLA through JAX: the exported StableHLO program compiled ahead of time, weights as arguments, the cache donated.

The process imports JAX and no torch. Weights are read once per launch and shared by all programs.
"""

import contextlib
import importlib.metadata
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from steelyard.adapters import denormals, xla_device
from steelyard.adapters.bound import artifact_of
from steelyard.adapters.xla_binding import XlaBinding
from steelyard.core.backend import Availability, BackendSpec
from steelyard.core.citation import Citation
from steelyard.core.errors import FellBack, MissingPackage, SteelyardError, Unsupported, UsageError, unknown_name
from steelyard.core.lowered import LoweredProgram
from steelyard.core.metrics import Reading, absent, raised
from steelyard.core.result import Proof, untold
from steelyard.core.runner import Arrays, Executable, LaunchContext, Runner
from steelyard.core.workload import DTYPE_BYTES, Program

_COMPILED = "/jax/core/compile/backend_compile_duration"
_HLO_TYPES = {"f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16"}
_DOT = re.compile(r"= (\w+)\[[^\]]*\]\S* (?:dot|convolution)\(")
_CUSTOM_CALL = re.compile(r'custom_call_target="([^"]+)"')
_STABLEHLO_DOT = re.compile(r"stablehlo\.dot_general[^\n]*")


class XlaExecutable(Executable):
    """One exported program, compiled for one device."""

    def __init__(self, runner: "Xla", program: Program, exported: Any, weights: tuple[Any, ...]) -> None:
        self._runner, self.program, self._exported, self.weights = runner, program, exported, weights
        self._avals = exported.in_avals[len(weights) :]
        self.call: Any = None

    def compile(self) -> None:
        """Lower and compile ahead of the first call; state inputs are donated."""
        import jax

        exported, runner = self._exported, self._runner
        sharding = jax.sharding.SingleDeviceSharding(runner.device)
        shapes = [jax.ShapeDtypeStruct(aval.shape, aval.dtype, sharding=sharding) for aval in exported.in_avals]
        count = len(self.weights)
        state = [index + 1 for index, spec in enumerate(self.program.inputs) if spec.role == "state"]
        jitted = jax.jit(exported.call, donate_argnums=state, keep_unused=True)
        before = runner.counters()["compilations"]
        lowered = jitted.lower(tuple(shapes[:count]), *shapes[count:])
        self.call = lowered.compile(compiler_options=dict(runner.compiler_options()) or None)
        runner.asked_compilations += runner.counters()["compilations"] - before

    def put(self, index: int, array: Any) -> Any:
        """An array of the host as the input at `index`, in the type that the exported program takes."""
        import jax
        import numpy as np

        # Copied first: JAX reads the memory later or keeps it, and it is the caller's to overwrite.
        return jax.device_put(np.array(array, dtype=self._avals[index].dtype), self._runner.device)

    def bind(self, inputs: Arrays) -> XlaBinding:  # noqa: D102
        if self.call is None:
            raise SteelyardError(f"program '{self.program.name}': compile() must come before bind()")
        arguments = []
        for index, spec in enumerate(self.program.inputs):
            if spec.name not in inputs:
                raise UsageError(f"program '{self.program.name}': input '{spec.name}' ({spec.role}) is missing")
            array = inputs[spec.name]
            if array.shape != spec.shape or array.dtype.name != spec.dtype:
                raise UsageError(
                    f"program '{self.program.name}': input '{spec.name}' is {array.dtype}{list(array.shape)}, "
                    f"not {spec.dtype}{list(spec.shape)}"
                )
            arguments.append(self.put(index, array))
        return XlaBinding(self, arguments)

    def proof(self) -> Proof:  # noqa: D102
        runner, program = self._runner, self.program
        platform, kind = runner.device.platform, runner.context.device.kind
        hlo = self.call.as_text()
        products = Counter(_DOT.findall(hlo))
        precise = Counter("HIGHEST, HIGHEST" in dot for dot in _STABLEHLO_DOT.findall(self._exported.mlir_module()))
        floating = [_HLO_TYPES[name] for name in products if name in _HLO_TYPES]
        dtype = min(floating, key=DTYPE_BYTES.__getitem__, default=program.dtype)
        threads = runner.threads() if kind == "cpu" else None  # its pool computes nothing for a device
        budget = runner.context.budget
        mismatches = []
        if platform != xla_device.PLATFORMS[kind]:
            mismatches.append(f"ran on platform '{platform}' instead of '{xla_device.PLATFORMS[kind]}'")
        if budget.precision == "strict":
            if runner.matmul_precision() != "highest":
                mismatches.append(f"jax_default_matmul_precision is {runner.matmul_precision()}, not highest")
            if kind != "cpu" and program.dtype == "float32" and precise[False]:
                mismatches.append(f"{precise[False]} matrix products were exported without precision HIGHEST")
        return Proof(
            runtime="xla",
            versions=_versions(),
            platform=platform,
            dtype=dtype,
            threads=threads,
            placement=dict(Counter(str(device) for array in self.weights for device in array.devices())),
            recompiles=runner.counters()["compilations"] - runner.asked_compilations,
            mismatches=tuple(mismatches),
            budget={
                "inter_op": untold("XLA does not tell how many parts of a program it runs side by side"),
                "waiting": untold("XLA does not tell how its pool waits"),
                "matrix_precision": f"HIGHEST in {precise[True]} of {precise.total()} products; "
                f"default: {runner.matmul_precision()}",
                "tf32": xla_device.tf32(kind, precise[False]),
                "denormals": runner.denormals(),
                "denormals_told_by": "tried",
            },
            details={
                "device_kind": runner.device.device_kind,
                "hlo_modules": len(self.call.runtime_executable().hlo_modules()),
                "hlo_products": dict(products),
                "custom_calls": dict(Counter(_CUSTOM_CALL.findall(hlo))),
                "products_exported_highest": precise[True],
                "products_exported_default": precise[False],
                "thread_names": runner.thread_names(),
                "xla_flags": os.environ.get("XLA_FLAGS", "unset"),
                "default_matmul_precision": runner.matmul_precision(),
                **xla_device.facts(runner.device, kind, hlo),
            },
        )

    def memory(self) -> Mapping[str, Reading]:
        """Planned: what one call needs beside its arguments."""
        plan = self.call.memory_analysis()
        if plan is None:
            return {"planned_bytes": absent("B", "XLA gives no memory analysis on this platform")}
        needed = plan.output_size_in_bytes + plan.temp_size_in_bytes - plan.alias_size_in_bytes
        method = "memory_analysis: outputs + temporaries - aliased"
        return {"planned_bytes": Reading(value=float(needed), unit="B", method=method)}

    @property
    def idiom(self) -> Mapping[str, str]:  # noqa: D102
        sides = (self.program.inputs, self.program.outputs)
        inputs, outputs = (any(spec.role == "state" for spec in side) for side in sides)
        return {"weights": "arguments", "kv_cache": "donated" if inputs else "created" if outputs else "none"}

    @property
    def options(self) -> Mapping[str, Any]:  # noqa: D102
        table = self._runner.tunings[self._runner.context.budget.tuning]
        graphs = xla_device.graphs(self._runner.context.device.kind, os.environ.get("XLA_FLAGS", ""))
        return {**table, "compiler_options": dict(self._runner.compiler_options()), **graphs}


_PINNED = {"jax_default_matmul_precision": "highest (precision=strict)", "donate": "state inputs", "aot": True}


class Xla(Runner):
    """XLA as JAX users run it: `jit(...).lower(...).compile()` with donated state."""

    formats = ("stablehlo",)
    tunings: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": {**_PINNED, "compiler_options": {}},
        "max": {**_PINNED, "compiler_options": {kind: xla_device.MAX[kind] for kind in ("cpu", "cuda")}},
    }
    keeps_cache = "compiled executables (jax_compilation_cache_dir)"
    kinds = tuple(xla_device.PLATFORMS)
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
        for option in context.backend.options:
            raise unknown_name("option of xla", option, self.accepts)
        self.device: Any = None
        self.asked_compilations = 0
        self._compilations = 0
        self._mark: int | None = None
        self._weights: dict[str, dict[str, Any]] = {}
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
            return Availability(available=False, reason=reason, versions=_versions())
        names = tuple(device.device_kind for device in devices)
        return Availability(available=True, versions=_versions(), devices=names)

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

    def load(self, program: LoweredProgram) -> Executable:
        """Read the exported program, and those of its weights that no earlier program has brought."""
        import jax.export

        artifact = artifact_of(program, "stablehlo")
        exported = jax.export.deserialize(bytearray((Path(artifact.directory) / artifact.entry).read_bytes()))
        return self.executable(program.program, exported, program.weights_file, artifact.details["weights"])

    def executable(self, program: Program, exported: Any, weights_file: str, names: Sequence[str]) -> XlaExecutable:
        """A program from what has the `call(weights, *inputs)`, `in_avals` and `mlir_module()` of an exported one."""
        return XlaExecutable(self, program, exported, self._read_weights(weights_file, names))

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
        return xla_device.MAX[self.context.device.kind] if self.context.budget.tuning == "max" else {}

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
        tasks = Path("/proc/self/task")
        if not tasks.is_dir():
            return None
        found: Counter[str] = Counter()
        for task in tasks.iterdir():
            with contextlib.suppress(FileNotFoundError):  # it ended meanwhile
                found[re.sub(r"-?\d+$", "", (task / "comm").read_text().strip())] += 1
        return dict(found)

    def threads(self) -> int | None:
        """The size of XLA's own compute pool, counted among the threads of the process."""
        names = self.thread_names()
        return None if names is None else names.get("tf_XLAEigen")

    def _heard(self, event: str, seconds: float, **facts: Any) -> None:
        if event == _COMPILED:
            self._compilations += 1

    def _read_weights(self, weights_file: str, names: Sequence[str]) -> tuple[Any, ...]:
        import jax
        import ml_dtypes  # noqa: F401 (numpy learns bfloat16 from it, which safetensors asks numpy for)
        from safetensors import safe_open

        held = self._weights.setdefault(weights_file, {})
        with safe_open(weights_file, framework="numpy") as file:
            for name in names:
                if name not in held:
                    held[name] = jax.device_put(file.get_tensor(name), self.device)
        weights = tuple(held[name] for name in names)
        jax.block_until_ready(weights)
        return weights


def _versions() -> dict[str, str]:
    return {package: importlib.metadata.version(package) for package in ("jax", "jaxlib")}


RUNNERS = {"xla": Xla}
