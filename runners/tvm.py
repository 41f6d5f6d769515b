"""TVM: the Relax module compiled for this CPU by LLVM and called through its virtual machine, weights as arguments.

`tvm_untuned` runs what the compiler makes of a program unasked: loops as the operators define them, hardly any of which
is tiled, vectorised or parallel. TVM's speed is that of schedules which MetaSchedule finds, and no row of `tvm_untuned`
speaks of it.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from steelyard.adapters import denormals
from steelyard.adapters.arrays_binding import ArraysBinding, arguments
from steelyard.adapters.bound import artifact_of
from steelyard.adapters.stored_weights import StoredWeights
from steelyard.core.backend import Availability, BackendSpec
from steelyard.core.citation import Citation
from steelyard.core.errors import MissingPackage, SteelyardError, Unsupported
from steelyard.core.lowered import LoweredProgram
from steelyard.core.metrics import Reading, absent
from steelyard.core.result import Proof, untold
from steelyard.core.runner import Arrays, Binding, Executable, LaunchContext, Runner
from steelyard.core.workload import DTYPE_BYTES

_LENGTH = 1 << 12


class _Binding(ArraysBinding):
    """`run` is one call of the virtual machine's function, which returns when its outputs are complete."""

    def __init__(self, executable: "_Compiled", given: Sequence[Any]) -> None:
        super().__init__(executable, given)
        self._main, self._weights = executable.main, executable.weights

    def run(self) -> None:
        self._outputs = self._main(*self._arguments, *self._weights)

    def close(self) -> None:
        super().close()
        self._main, self._weights = None, ()

    def _fetch(self, array: Any) -> Any:
        return array.numpy()


class _Compiled(Executable):
    """One program in a virtual machine of its own."""

    def __init__(self, runner: "TvmUntuned", program: LoweredProgram) -> None:
        artifact = artifact_of(program, "tvm")
        self.program, self._runner = program.program, runner
        self._source = Path(artifact.directory) / artifact.entry
        self.weights = runner.weights.read(program.weights_file, artifact.details["weights"])
        self.main: Any = None
        self._kernels: Mapping[str, Any] = {}

    def compile(self) -> None:
        """Lower to loops, compile these with LLVM, and load what came out."""
        import tvm

        module = tvm.ir.load_json(self._source.read_text())
        lowered = self._runner.pipeline()(module)
        self._kernels = {
            name.name_hint: function
            for name, function in lowered.functions.items()
            if isinstance(function, tvm.tirx.PrimFunc)
        }
        made = tvm.compile(lowered, target=self._runner.target, relax_pipeline=None)
        self.main = tvm.relax.VirtualMachine(made, tvm.cpu())["main"]

    def put(self, index: int, array: Any) -> Any:
        """An array of the host with memory of TVM's own."""
        return self._runner.put(array)

    def bind(self, inputs: Arrays) -> Binding:
        if self.main is None:
            raise SteelyardError(f"program '{self.program.name}': compile() must come before bind()")
        return _Binding(self, arguments(self, inputs))

    def proof(self) -> Proof:
        """The loops that were compiled: the types that they read and write, and how many of them are parallel."""
        import tvm

        runner = self._runner
        types = {str(given.ty.dtype) for function in self._kernels.values() for given in function.params}
        floating = [name for name in types if name in DTYPE_BYTES and "float" in name]
        dtype = min(floating, key=DTYPE_BYTES.__getitem__, default=self.program.dtype)
        mismatches = []
        if runner.context.budget.precision == "strict" and DTYPE_BYTES[dtype] < DTYPE_BYTES[self.program.dtype]:
            mismatches.append(f"compiled to loops over {dtype}, not {self.program.dtype}")
        parallel = sum("T.parallel(" in function.script() for function in self._kernels.values())
        told = (
            f"untuned: no schedule was searched for, {parallel} of {len(self._kernels)} functions have a parallel loop"
        )
        return Proof(
            runtime="tvm",
            versions=_versions(),
            platform="llvm",
            dtype=dtype,
            threads=tvm.runtime.num_threads(),
            placement={"llvm": len(self._kernels)},
            mismatches=tuple(mismatches),
            remarks=(told,),
            budget={
                "inter_op": "one function after the other",
                "waiting": untold("TVM does not tell how its pool waits"),
                "matrix_precision": "as written in the loops",
                "tf32": "not on a CPU",
                "denormals": runner.denormals(),
                "denormals_told_by": "tried",
            },
            details={"kernels": sorted(self._kernels), "parallel_kernels": parallel},
        )

    def memory(self) -> Mapping[str, Reading]:
        return {"planned_bytes": absent("B", "TVM's virtual machine tells no size of the memory that it has planned")}

    @property
    def execution_mode(self) -> Mapping[str, str]:
        state = any(spec.role == "state" for spec in (*self.program.inputs, *self.program.outputs))
        return {"weights": "arguments", "kv_cache": "created" if state else "none", "call": "VirtualMachine"}

    @property
    def options(self) -> Mapping[str, Any]:
        return {"target": str(self._runner.target), "fusion": self._runner.fusion, "schedules": "none"}


class TvmUntuned(Runner):
    """TVM's compiler without any search for schedules."""

    formats = ("tvm",)
    tunings: ClassVar[Mapping[str, Mapping[str, Any]]] = {"default": {"fusion": "off"}, "max": {"fusion": "on"}}
    requirements = ("apache-tvm", "apache-tvm-ffi")
    accepts: ClassVar[Mapping[str, str]] = {
        "fusion": "on: operators are fused (the pipeline of TVM's CPU backend); off: they are not (that of tvm.compile)"
    }
    values: ClassVar[Mapping[str, tuple[str, ...]]] = {"fusion": ("on", "off")}
    ladder = ("tvm_untuned", "tvm_untuned[fusion=on]")
    keeps_cache = ""
    idle = "only where it is named, as in --backend all,tvm_untuned"
    citation = Citation(
        key="tvm",
        title="TVM: An Automated End-to-End Optimizing Compiler for Deep Learning",
        authors=("Chen, Tianqi", "Moreau, Thierry", "Jiang, Ziheng", "Zheng, Lianmin", "others"),
        year=2018,
        url="https://tvm.apache.org",
    )

    def __init__(self, context: LaunchContext) -> None:
        super().__init__(context)
        chosen = self.check_options(context.backend)
        self.fusion = chosen.get("fusion", self.tunings[context.budget.tuning]["fusion"])
        self.target: Any = None
        self.weights = StoredWeights(self.put)
        self._denormals = ""

    @classmethod
    def availability(cls, backend: BackendSpec, device_kind: str) -> Availability:
        """Whether TVM is here with LLVM. Raises UsageError for options that do not exist."""
        cls.check_options(backend)
        if device_kind != "cpu":
            return Availability(available=False, reason=f"this runner drives TVM on CPUs, not on {device_kind}")
        try:
            tvm = _library()
        except MissingPackage as error:
            return Availability(available=False, reason=str(error))
        if not tvm.runtime.enabled("llvm"):
            return Availability(available=False, reason="this build of TVM has no LLVM", versions=_versions())
        return Availability(available=True, versions=_versions(), devices=("cpu",))

    @classmethod
    def environment(cls, context: LaunchContext) -> Mapping[str, str]:
        """The size of the pool, which is read when TVM is loaded. Its workers would be bound to the first CPUs of the
        host, whichever the process may use: they are left where the process is."""
        return {"TVM_NUM_THREADS": str(context.threads_a_call), "TVM_BIND_THREADS": "0"}

    def start(self) -> None:
        """Import TVM and say what to compile for: this CPU, and as many cores as the budget has threads."""
        tvm = _library()
        if self.context.device.kind != "cpu":
            raise Unsupported(f"this runner drives TVM on CPUs, not on {self.context.device.kind}")
        kind = {"kind": "llvm", "mcpu": tvm.target.codegen.llvm_get_system_cpu()}
        self.target = tvm.target.Target({**kind, "num-cores": self.context.threads_a_call})

    def load(self, program: LoweredProgram) -> _Compiled:
        """Find the module, and read those of its weights that no earlier program has brought."""
        return _Compiled(self, program)

    def pipeline(self) -> Any:
        """What turns a Relax module into loops and code of the virtual machine."""
        from tvm import relax

        return relax.get_default_pipeline(self.target) if self.fusion == "on" else relax.get_pipeline("default")

    def put(self, array: Any) -> Any:
        """A copy of an array of the host in memory of TVM."""
        import tvm

        return tvm.runtime.empty(array.shape, array.dtype.name).copyfrom(array)

    def denormals(self) -> str:
        """A product of denormal numbers in a function of its own."""
        import numpy as np
        import tvm
        from tvm import te

        if not self._denormals:
            given = te.placeholder((_LENGTH,), "float32")
            product = te.compute((_LENGTH,), lambda place: given[place] * 1.5)
            made = tvm.compile(te.create_prim_func([given, product]), target=self.target)
            arrays = [self.put(np.full(_LENGTH, denormals.TINY, np.float32)), self.put(np.zeros(_LENGTH, np.float32))]
            made["main"](*arrays)
            # Looked at as bits by numpy: a comparison may count them as zero itself.
            self._denormals = denormals.in_words(int(np.count_nonzero(arrays[1].numpy().view(np.uint32))), _LENGTH)
        return self._denormals


def _library() -> Any:
    """TVM, loaded without torch, which its interface would import wherever it is installed."""
    kept = sys.modules.setdefault("torch", None)  # type: ignore[arg-type]
    try:
        import tvm
    except ImportError as error:
        raise MissingPackage("apache-tvm", "tvm") from error
    finally:
        if kept is None:
            del sys.modules["torch"]
    return tvm


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("apache-tvm", "apache-tvm-ffi")}


RUNNERS = {"tvm_untuned": TvmUntuned}
