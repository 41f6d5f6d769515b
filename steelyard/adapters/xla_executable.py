"""One exported program through XLA: compiled ahead of time for one device, and what is read back of it."""

import os
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from steelyard.adapters import xla_device
from steelyard.adapters.arrays_binding import arguments
from steelyard.adapters.xla_binding import XlaBinding
from steelyard.core.errors import SteelyardError
from steelyard.core.metrics import Reading, absent
from steelyard.core.result import Proof, untold
from steelyard.core.runner import Arrays, Executable, LaunchContext
from steelyard.core.workload import DTYPE_BYTES, Program

_HLO_TYPES = {"f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16"}
_DOT = re.compile(r"= (\w+)\[[^\]]*\]\S* (?:dot|convolution)\(")
_CUSTOM_CALL = re.compile(r'custom_call_target="([^"]+)"')
_STABLEHLO_DOT = re.compile(r"stablehlo\.dot_general[^\n]*")


class XlaProcess(Protocol):
    """What a program needs of the runner that loaded it, which speaks for the process."""

    context: LaunchContext
    tunings: ClassVar[Mapping[str, Mapping[str, Any]]]
    device: Any
    asked_compilations: int

    def compiler_options(self) -> Mapping[str, Any]:
        """What `compile` is given beyond XLA's defaults."""

    def counters(self) -> Mapping[str, int]:
        """Compilations since the process started."""

    def matmul_precision(self) -> str:
        """The precision that JAX would give to products it traces itself."""

    def denormals(self) -> str:
        """What becomes of denormal numbers."""

    def threads(self) -> int | None:
        """The size of XLA's own compute pool."""

    def thread_names(self) -> dict[str, int] | None:
        """How many threads of each name the process has."""


class XlaExecutable(Executable):
    """One exported program, compiled for one device."""

    def __init__(self, runner: XlaProcess, program: Program, exported: Any, weights: tuple[Any, ...]) -> None:
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

    def exported_text(self) -> str:
        """The program as it was exported, in StableHLO."""
        return str(self._exported.mlir_module())

    def put(self, index: int, array: Any) -> Any:
        """An array of the host as the input at `index`, in the type that the exported program takes."""
        import jax
        import numpy as np

        # Copied first: JAX reads the memory later or keeps it, and it is the caller's to overwrite.
        return jax.device_put(np.array(array, dtype=self._avals[index].dtype), self._runner.device)

    def bind(self, inputs: Arrays) -> XlaBinding:  # noqa: D102
        if self.call is None:
            raise SteelyardError(f"program '{self.program.name}': compile() must come before bind()")
        return XlaBinding(self, arguments(self, inputs))

    def proof(self) -> Proof:  # noqa: D102
        runner, program = self._runner, self.program
        platform, kind = runner.device.platform, runner.context.device.kind
        hlo = self.call.as_text()
        products = Counter(_DOT.findall(hlo))
        precise = Counter("HIGHEST, HIGHEST" in dot for dot in _STABLEHLO_DOT.findall(self.exported_text()))
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
            versions=xla_device.versions(),
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
    def execution_mode(self) -> Mapping[str, str]:  # noqa: D102
        sides = (self.program.inputs, self.program.outputs)
        inputs, outputs = (any(spec.role == "state" for spec in side) for side in sides)
        return {"weights": "arguments", "kv_cache": "donated" if inputs else "created" if outputs else "none"}

    @property
    def options(self) -> Mapping[str, Any]:  # noqa: D102
        table = self._runner.tunings[self._runner.context.budget.tuning]
        graphs = xla_device.graphs(self._runner.context.device.kind, os.environ.get("XLA_FLAGS", ""))
        return {**table, "compiler_options": dict(self._runner.compiler_options()), **graphs}
