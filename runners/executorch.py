"""ExecuTorch on CPUs: the program with XNNPACK as delegate, one module, its outputs copied out of each call.

A call copies its inputs into memory that was planned ahead, and its outputs to tensors of their own (`clone_outputs`,
which the runtime does unasked). The process imports torch, whose tensors are the interface; nothing is computed by it.
Operators that XNNPACK does not take run as ExecuTorch's portable kernels: the proof counts both.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from steelyard.adapters.arrays_binding import ArraysBinding, arguments
from steelyard.adapters.bound import artifact_of
from steelyard.core.backend import Availability, BackendSpec
from steelyard.core.citation import Citation
from steelyard.core.errors import MissingPackage, SteelyardError
from steelyard.core.lowered import Artifact, LoweredProgram
from steelyard.core.metrics import Reading, absent
from steelyard.core.result import Proof, untold
from steelyard.core.runner import Arrays, Binding, Executable, LaunchContext, Runner
from steelyard.core.workload import DTYPE_BYTES, Program

_XNNPACK = "XnnpackBackend"
_FLOATING = {5: "float16", 6: "float32", 7: "float64", 15: "bfloat16"}
"""Numbers of torch's scalar types, by which a method tells its own (c10/core/ScalarType.h)."""


class _Binding(ArraysBinding):
    """`run` is one call of `forward`, which returns when its outputs are complete."""

    def __init__(self, executable: "_Loaded", given: Sequence[Any]) -> None:
        super().__init__(executable, given)
        self._forward = executable.module.forward

    def run(self) -> None:
        self._outputs = self._forward(self._arguments)

    def _fetch(self, array: Any) -> Any:
        if str(array.dtype) == "torch.bfloat16":
            import ml_dtypes
            import torch

            return array.view(torch.uint16).numpy().view(ml_dtypes.bfloat16)
        return array.numpy()


class _Loaded(Executable):
    """One program of ExecuTorch."""

    def __init__(self, runner: "ExecuTorch", program: Program, artifact: Artifact) -> None:
        self.program, self._runner, self._artifact = program, runner, artifact
        self.module: Any = None

    def compile(self) -> None:
        """Load the file and call it once with zeros: XNNPACK packs the weights when the method is first called."""
        import torch

        file = str(Path(self._artifact.directory) / self._artifact.entry)
        self.module = self._runner.library._load_for_executorch(file)
        self.module.forward([torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype)) for spec in self.program.inputs])

    def put(self, index: int, array: Any) -> Any:
        """An array as a tensor with memory of its own."""
        import torch

        if array.dtype.name == "bfloat16":
            return torch.from_numpy(array.view("uint16").copy()).view(torch.bfloat16)
        return torch.from_numpy(array.copy())

    def bind(self, inputs: Arrays) -> Binding:
        if self.module is None:
            raise SteelyardError(f"program '{self.program.name}': compile() must come before bind()")
        return _Binding(self, arguments(self, inputs))

    def proof(self) -> Proof:
        """The threads of the pool, the types that the loaded method takes and gives, and what the file delegates."""
        runner, details = self._runner, self._artifact.details
        told = self.module.method_meta("forward")
        ends = [told.input_tensor_meta(index).dtype() for index in range(told.num_inputs())]
        ends += [told.output_tensor_meta(index).dtype() for index in range(told.num_outputs())]
        floating = [_FLOATING[each] for each in ends if each in _FLOATING]
        dtype = min(floating, key=DTYPE_BYTES.__getitem__, default=self.program.dtype)
        mismatches = [] if details["delegates"] else ["XNNPACK takes no part of the program"]
        portable = dict(details["portable"])
        remarks = []
        if portable:
            remarks.append(f"{sum(portable.values())} operators are not XNNPACK's and run as portable kernels")
        return Proof(
            runtime="executorch",
            versions=_versions(),
            platform="cpu",
            dtype=dtype,
            threads=runner.library._threadpool_get_thread_count(),
            placement={"XNNPACK": details["delegates"], "portable": sum(portable.values())},
            mismatches=tuple(mismatches),
            remarks=tuple(remarks),
            budget={
                "inter_op": untold("ExecuTorch does not tell what runs side by side"),
                "waiting": untold("ExecuTorch does not tell how its pool waits"),
                "matrix_precision": untold("XNNPACK does not tell what it computes in; the program says"),
                "tf32": "not on a CPU",
                "denormals": untold("ExecuTorch does not tell, and a program to try it would have to be lowered"),
            },
            details={"delegates": details["delegates"], "portable": portable},
        )

    def memory(self) -> Mapping[str, Reading]:
        return {"planned_bytes": absent("B", "ExecuTorch's Python interface tells no size of the planned memory")}

    @property
    def execution_mode(self) -> Mapping[str, str]:
        state = any(spec.role == "state" for spec in (*self.program.inputs, *self.program.outputs))
        return {
            "weights": "constants",
            "kv_cache": "created" if state else "none",
            "outputs": "copied out of each call",
        }

    @property
    def options(self) -> Mapping[str, Any]:
        return {"partitioner": "XNNPACK", "clone_outputs": True}


class ExecuTorch(Runner):
    """ExecuTorch with XNNPACK, through its Python interface."""

    formats = ("executorch",)
    tunings: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": {"partitioner": "XNNPACK"},
        "max": {"partitioner": "XNNPACK"},
    }
    requirements = ("executorch", "torch")
    keeps_cache = ""
    idle = "only where it is named, as in --backend all,executorch"
    citation = Citation(
        key="executorch",
        title="ExecuTorch",
        authors=("PyTorch ExecuTorch Team",),
        url="https://github.com/pytorch/executorch",
    )

    def __init__(self, context: LaunchContext) -> None:
        super().__init__(context)
        self.check_options(context.backend)
        self.library: Any = None

    @classmethod
    def availability(cls, backend: BackendSpec, device_kind: str) -> Availability:
        """Whether the runtime is here with XNNPACK. Raises UsageError for options that do not exist."""
        cls.check_options(backend)
        try:
            from executorch.extension.pybindings import portable_lib
        except ImportError:
            return Availability(available=False, reason=str(MissingPackage("executorch", "executorch")))
        names = tuple(portable_lib._get_registered_backend_names())
        if _XNNPACK not in names:
            told = f"this build of ExecuTorch has no XNNPACK, only {', '.join(names) or 'portable kernels'}"
            return Availability(available=False, reason=told, versions=_versions())
        return Availability(available=True, versions=_versions(), devices=("cpu",))

    def start(self) -> None:
        """Import the runtime and size its pool, which ignores the threads of torch."""
        try:
            from executorch.extension.pybindings import portable_lib
        except ImportError as error:
            raise MissingPackage("executorch", "executorch") from error
        self.library = portable_lib
        portable_lib._unsafe_reset_threadpool(self.context.threads_a_call)

    def load(self, program: LoweredProgram) -> _Loaded:
        """Find the program; it is read when it is compiled."""
        return _Loaded(self, program.program, artifact_of(program, "executorch"))


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("executorch", "torch")}


RUNNERS = {"executorch": ExecuTorch}
