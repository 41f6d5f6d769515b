"""IREE: the StableHLO module compiled ahead of time for this CPU, weights as arguments, run through the VM's own call.

The compiler is a program of its own, `iree-compile`, which this process starts. IREE's default optimisation level, O0,
is for debugging; the tuning `default` takes O2, and `max` O3. One thread a call computes where the call is made (device
`local-sync`); more are a pool (`local-task`), to which each call is handed over.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from steelyard.adapters import denormals, iree_compiler
from steelyard.adapters.arrays_binding import arguments
from steelyard.adapters.bound import artifact_of
from steelyard.adapters.iree_binding import IreeBinding
from steelyard.adapters.process_threads import thread_names
from steelyard.adapters.stored_weights import StoredWeights
from steelyard.core.backend import Availability, BackendSpec
from steelyard.core.citation import Citation
from steelyard.core.errors import MissingPackage, SteelyardError
from steelyard.core.lowered import LoweredProgram
from steelyard.core.metrics import Reading, raised
from steelyard.core.result import Proof, untold
from steelyard.core.runner import Arrays, Binding, Executable, LaunchContext, Runner
from steelyard.core.workload import DTYPE_BYTES

_LEVELS = ("O0", "O1", "O2", "O3")
_LENGTH = 1 << 17
_PRODUCT = f"""
func.func @main(%given: tensor<{_LENGTH}xf32>) -> tensor<{_LENGTH}xf32> {{
  %factor = stablehlo.constant dense<1.5> : tensor<{_LENGTH}xf32>
  %product = stablehlo.multiply %given, %factor : tensor<{_LENGTH}xf32>
  return %product : tensor<{_LENGTH}xf32>
}}
"""


class _Compiled(Executable):
    """One program in a module of the VM."""

    def __init__(self, runner: "Iree", program: LoweredProgram) -> None:
        artifact = artifact_of(program, "stablehlo")
        self.program, self._runner, self._details = program.program, runner, artifact.details
        self._source = Path(artifact.directory) / artifact.details["module"]
        self.weights = runner.weights.read(program.weights_file, artifact.details["weights"])
        self.module: Any = None
        self._made: iree_compiler.Made | None = None

    @property
    def made(self) -> iree_compiler.Made:
        """What the compiler has made."""
        if self._made is None:
            raise SteelyardError(f"program '{self.program.name}': compile() must come first")
        return self._made

    def compile(self, telling: Sequence[str] = ()) -> None:
        """Compile, or take what a launch before has compiled, and load it. `telling` are flags by which the compiler
        tells of itself and which change nothing."""
        runner = self._runner
        self._made = iree_compiler.compiled(self._source, runner.flags(), runner.context.compile_cache, telling)
        self.module = runner.module(self._made.file)

    def context(self) -> Any:
        """See `iree_binding.Compiled`."""
        return self._runner.vm_context(self.module)

    def on_host(self, view: Any) -> Any:
        """See `Iree.on_host`."""
        return self._runner.on_host(view)

    def put(self, index: int, array: Any) -> Any:
        """An array of the host as the input at `index`, in the type that the module takes."""
        dtype = self.program.inputs[index].dtype
        return self._runner.put(array if dtype == "bfloat16" else array.astype(self._details["input_dtypes"][index]))

    def bind(self, inputs: Arrays) -> Binding:
        self.made  # noqa: B018 (raises before anything is put on the device)
        return IreeBinding(self, arguments(self, inputs))

    def proof(self) -> Proof:
        """The names of the compiled dispatches, which end in the types that each computes with."""
        runner, program, dispatches = self._runner, self.program, self.made.dispatches()
        products = Counter(iree_compiler.types_of(name) for name in dispatches if iree_compiler.is_product(name))
        floating = [part for each in products for part in each if part in DTYPE_BYTES and "float" in part]
        dtype = min(floating, key=DTYPE_BYTES.__getitem__, default=program.dtype)
        mismatches = []
        if runner.context.budget.precision == "strict" and DTYPE_BYTES[dtype] < DTYPE_BYTES[program.dtype]:
            mismatches.append(f"compiled to products in {dtype}, not in {program.dtype}")
        return Proof(
            runtime="iree",
            versions=iree_compiler.versions(),
            platform=runner.driver,
            dtype=dtype,
            threads=runner.threads(),
            placement={runner.driver: len(dispatches)},
            mismatches=tuple(mismatches),
            budget={
                "inter_op": untold("IREE does not tell how many dispatches its pool runs side by side"),
                "waiting": untold("IREE does not tell how its workers wait"),
                "matrix_precision": ", ".join(
                    f"{count} of {' x '.join(types)}" for types, count in sorted(products.items())
                )
                or "no products",
                "tf32": "not on a CPU",
                "denormals": runner.denormals(),
                "denormals_told_by": "tried",
            },
            details={
                "dispatches": dispatches,
                "schedule": self.made.statistics(),
                "module_bytes": self.made.file.stat().st_size,
            },
        )

    def memory(self) -> Mapping[str, Reading]:
        """Planned: what one call needs beside its arguments."""
        temporary = self.made.statistics()["execution"]["transient-memory-size"]
        planned = float(temporary + sum(spec.bytes for spec in self.program.outputs))
        method = "the compiler's schedule: transient memory, and the outputs"
        return {"planned_bytes": Reading(value=planned, unit="B", method=method)}

    @property
    def execution_mode(self) -> Mapping[str, str]:
        state = any(spec.role == "state" for spec in (*self.program.inputs, *self.program.outputs))
        return {"weights": "arguments", "kv_cache": "created" if state else "none", "call": "invoke"}

    @property
    def options(self) -> Mapping[str, Any]:
        return {"flags": list(self._runner.flags()), "driver": self._runner.driver}


class Iree(Runner):
    """IREE as its users run it: `iree-compile`, then the VM of `iree.runtime`."""

    formats = ("stablehlo",)
    script = "steelyard.adapters.iree_script:script"
    tells: ClassVar[Mapping[str, str]] = {"compilation": "steelyard.adapters.iree_compilation"}
    tunings: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": {"level": "O2", "target_cpu": "host"},
        "max": {"level": "O3", "target_cpu": "host"},
    }
    requirements = ("iree-base-compiler", "iree-base-runtime=={version}")
    accepts: ClassVar[Mapping[str, str]] = {
        "level": "--iree-opt-level, O0 to O3; O2 by default",
        "data_tiling": "--iree-opt-data-tiling: on or off; by default what the level has",
    }
    values: ClassVar[Mapping[str, tuple[str, ...]]] = {"level": _LEVELS, "data_tiling": ("on", "off")}
    searched: ClassVar[Mapping[str, tuple[str, ...]]] = {"level": ("O0", "O1", "O3"), "data_tiling": ("on", "off")}
    ladder = tuple(f"iree[level={level}]" for level in _LEVELS)
    keeps_cache = "compiled modules (.vmfb)"
    idle = "only where it is named, as in --backend all,iree"
    citation = Citation(
        key="iree",
        title="TinyIREE: An ML Execution Environment for Embedded Systems from Compilation to Deployment",
        authors=("Liu, Hsin-I Cindy", "Brehler, Marius", "Ravishankar, Mahesh", "Vasilache, Nicolas", "others"),
        year=2022,
        url="https://iree.dev",
    )

    def __init__(self, context: LaunchContext) -> None:
        super().__init__(context)
        self._chosen = self.check_options(context.backend)
        self.driver = "local-sync" if context.threads_a_call == 1 else "local-task"
        self.device: Any = None
        self._instance: Any = None
        self._hal: Any = None
        self._mark = 0
        self.weights = StoredWeights(self.put)
        self._denormals = ""

    @classmethod
    def availability(cls, backend: BackendSpec, device_kind: str) -> Availability:
        """Whether compiler and runtime are here. Raises UsageError for options that do not exist."""
        cls.check_options(backend)
        try:
            import iree.compiler
            import iree.runtime
        except ImportError:
            return Availability(available=False, reason=str(MissingPackage("iree-base-compiler", "iree")))
        return Availability(
            available=True,
            versions=iree_compiler.versions(),
            devices=tuple(name for name in iree.runtime.query_available_drivers() if name.startswith("local-")),
        )

    def start(self) -> None:
        """Import the runtime and make its device, with a pool of the budget's threads."""
        try:
            import iree.runtime
        except ImportError as error:
            raise MissingPackage("iree-base-runtime", "iree") from error
        # Read when the driver is made.
        iree.runtime.flags.parse_flags(f"--task_topology_group_count={self.context.budget.threads}")
        self.device = iree.runtime.get_driver(self.driver).create_default_device()
        self._instance = iree.runtime.VmInstance()
        self._hal = iree.runtime.create_hal_module(self._instance, self.device)

    def flags(self) -> tuple[str, ...]:
        """What `iree-compile` is given beside the kinds of its input and of its target."""
        table = self.tunings[self.context.budget.tuning]
        level = self._chosen.get("level", table["level"])
        found = [f"--iree-opt-level={level}", f"--iree-llvmcpu-target-cpu={table['target_cpu']}"]
        if "data_tiling" in self._chosen:
            found.append(f"--iree-opt-data-tiling={'true' if self._chosen['data_tiling'] == 'on' else 'false'}")
        return tuple(found)

    def load(self, program: LoweredProgram) -> _Compiled:
        """Find the module, and read those of its weights that no earlier program has brought."""
        return _Compiled(self, program)

    def module(self, file: Path) -> Any:
        """A compiled file as a module of the VM; its constants stay mapped."""
        import iree.runtime

        return iree.runtime.VmModule.mmap(self._instance, str(file))

    def vm_context(self, module: Any) -> Any:
        """A context with the module beside the device."""
        import iree.runtime

        return iree.runtime.VmContext(self._instance, modules=[self._hal, module])

    def put(self, array: Any) -> Any:
        """A buffer of the device with a copy of an array of the host."""
        import iree.runtime as runtime
        import numpy as np

        kinds = {"bfloat16": runtime.HalElementType.BFLOAT_16}
        bits = np.ascontiguousarray(array)
        return self.device.allocator.allocate_buffer_copy(
            memory_type=runtime.MemoryType.DEVICE_LOCAL,
            allowed_usage=runtime.BufferUsage.DEFAULT | runtime.BufferUsage.MAPPING,
            device=self.device,
            buffer=bits.view(np.uint16) if array.dtype.name in kinds else bits,
            element_type=kinds.get(array.dtype.name, runtime.array_interop.map_dtype_to_element_type(array.dtype)),
        )

    def on_host(self, view: Any) -> Any:
        """The array behind a view of a buffer. It maps memory of the device, and must not outlive it."""
        import iree.runtime

        return iree.runtime.DeviceArray(self.device, view, implicit_host_transfer=True).to_host()

    def threads(self) -> int | None:
        """How many threads compute a call, counted among those of the process; None where the system does not tell."""
        names = thread_names()
        if names is None or self.driver == "local-sync":
            return None if names is None else 1
        return names.get("iree-worker", 0) // self.context.streams

    def denormals(self) -> str:
        """A product of denormal numbers in a module of its own; long enough for the whole pool."""
        import iree.runtime
        import numpy as np

        if not self._denormals:
            source = self.context.scratch / "product.mlir"
            source.write_text(_PRODUCT)
            module = self.module(iree_compiler.compiled(source, self.flags(), self.context.compile_cache).file)
            given, returned = iree.runtime.VmVariantList(1), iree.runtime.VmVariantList(1)
            given.push_ref(self.put(np.full(_LENGTH, denormals.TINY, np.float32)))
            self.vm_context(module).invoke(module.lookup_function("main"), given, returned)
            product = self.on_host(returned.get_as_object(0, iree.runtime.HalBufferView))
            # Looked at as bits by numpy: a comparison may count them as zero itself.
            self._denormals = denormals.in_words(int(np.count_nonzero(product.view(np.uint32))), _LENGTH)
        return self._denormals

    def reset_peaks(self) -> None:
        """IREE cannot set its peak back: where it stands is kept instead."""
        self._mark = self._peak()

    def peaks(self) -> Mapping[str, Reading]:
        """The allocator's own peak, if the phase raised it."""
        method = "allocator statistics: device_bytes_peak"
        found = raised(self._mark, self._peak(), method=method, refused="IREE cannot reset its peak")
        return {"allocator_peak_bytes": found}

    def _peak(self) -> int:
        return int(self.device.allocator.statistics["device_bytes_peak"]) if self.device is not None else 0


RUNNERS = {"iree": Iree}
