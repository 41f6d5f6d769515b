"""tinygrad on CPUs: the ONNX file read by its own importer, captured once by TinyJit, kernels compiled by clang.

A call replays what was captured: kernels one after the other, the weights among their arguments. State is written back
into the tensors that it came in, by the captured kernels. What tinygrad searches for with BEAM is off unless asked for.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from steelyard.adapters import denormals
from steelyard.adapters.arrays_binding import ArraysBinding, arguments
from steelyard.adapters.bound import artifact_of, numpy_type
from steelyard.core.backend import Availability, BackendSpec
from steelyard.core.citation import Citation
from steelyard.core.errors import MissingPackage, SteelyardError
from steelyard.core.lowered import Artifact, LoweredProgram
from steelyard.core.metrics import Reading, absent
from steelyard.core.result import Proof, untold
from steelyard.core.runner import Arrays, Binding, Executable, LaunchContext, Runner
from steelyard.core.workload import DTYPE_BYTES, Program

_FORMAT = "onnx@20"
_CALLS = 3
"""TinyJit runs the first call as it stands, captures the second, and replays from the third on."""
_DTYPES = {"float": "float32", "half": "float16", "double": "float64", "bfloat16": "bfloat16"}
"""tinygrad's names of types in the program's words."""
_LENGTH = 1 << 12


class _Binding(ArraysBinding):
    """`run` is one call of the captured program and the wait for its end."""

    def __init__(self, executable: "_Loaded", given: Sequence[Any]) -> None:
        super().__init__(executable, given)
        self._call, self._wait = executable.call, executable.wait

    def run(self) -> None:
        outputs = self._call(*self._arguments)
        self._wait()
        for place, index in self._carried:  # what was captured returns the tensors that it was captured with
            outputs[index] = self._arguments[place]
        self._outputs = outputs

    def adopt(self, source: Binding) -> None:
        """See `Binding`: a copy, since the source writes the same memory when it runs again."""
        super().adopt(source)
        for place, _ in self._adopted:
            self._arguments[place] = self._arguments[place].clone().realize()

    def _fetch(self, array: Any) -> Any:
        from tinygrad import dtypes

        if array.dtype == dtypes.bfloat16:
            import ml_dtypes

            return array.bitcast(dtypes.uint16).numpy().view(ml_dtypes.bfloat16)
        return array.numpy()


class _Loaded(Executable):
    """One program of tinygrad."""

    def __init__(self, runner: "Tinygrad", program: Program, artifact: Artifact) -> None:
        from tinygrad.nn.onnx import OnnxRunner

        self.program, self._runner, self._names = program, runner, artifact.details["inputs"]
        self._model = OnnxRunner(str(Path(artifact.directory) / artifact.entry))
        self._model.onnx_ops = {**self._model.onnx_ops, "ScatterND": _scatter(self._model.onnx_ops["ScatterND"])}
        self._weights = [value for value in self._model.graph_values.values() if hasattr(value, "realize")]
        for value in self._weights:
            value.realize()  # else a weight would be read from its file within each captured call
        self.call: Any = None

    def compile(self) -> None:
        """Call it with zeros until it is captured."""
        import numpy as np
        from tinygrad import Tensor, TinyJit

        model, names, program = self._model, self._names, self.program
        returned = {spec.name: place for place, spec in enumerate(program.outputs)}
        carried = [(place, returned[spec.name]) for place, spec in enumerate(program.inputs) if spec.name in returned]

        def call(*given: Any) -> list[Any]:
            told = model(dict(zip(names, given, strict=True)))
            outputs = [told[name] for name in model.graph_outputs]
            for place, index in carried:
                outputs[index] = given[place].assign(outputs[index])
            Tensor.realize(*outputs)
            return outputs

        captured = TinyJit(call)
        zeros = [np.zeros(spec.shape, numpy_type(spec)) for spec in program.inputs]
        given = [self.put(place, array) for place, array in enumerate(zeros)]
        for _ in range(_CALLS):
            captured(*given)
        self.wait()
        if captured.captured is None:
            raise SteelyardError(f"program '{program.name}': TinyJit has captured nothing")
        self.call = captured

    def wait(self) -> None:
        """Until the device has done all that it was given."""
        self._runner.device.synchronize()

    def put(self, index: int, array: Any) -> Any:
        """A copy of an array in a tensor of its own."""
        from tinygrad import Tensor, dtypes

        if array.dtype.name == "bfloat16":
            return Tensor(array.view("uint16").copy()).bitcast(dtypes.bfloat16).contiguous().realize()
        return Tensor(array.copy()).realize()

    def bind(self, inputs: Arrays) -> Binding:
        if self.call is None:
            raise SteelyardError(f"program '{self.program.name}': compile() must come before bind()")
        return _Binding(self, arguments(self, inputs))

    def proof(self) -> Proof:
        """The types of inputs and weights, how many kernels a call is, and the threads that their loops may take."""
        runner, kernels = self._runner, self._kernels()
        types = {each.dtype.name for each in (*self._model.graph_inputs.values(), *self._weights)}
        floating = [_DTYPES[name] for name in types if name in _DTYPES]
        return Proof(
            runtime="tinygrad",
            versions=_versions(),
            platform=runner.name,
            dtype=min(floating, key=DTYPE_BYTES.__getitem__, default=self.program.dtype),
            threads=runner.threads(),
            placement={runner.name: kernels},
            mismatches=() if runner.name == "CPU" else (f"it computes on {runner.name}, not on the CPU",),
            budget={
                "inter_op": "kernels run one after the other",
                "waiting": untold("tinygrad does not tell how its workers wait"),
                "matrix_precision": "as the file says: tinygrad has no other on a CPU",
                "tf32": "not on a CPU",
                "denormals": runner.denormals(),
                "denormals_told_by": "tried",
            },
            details={"kernels": kernels, "beam": runner.beam},
        )

    def _kernels(self) -> int:
        """How many kernels a call replays."""
        return len(self.call.captured.linear.src)

    def memory(self) -> Mapping[str, Reading]:
        return {"planned_bytes": absent("B", "tinygrad tells no size of the memory that a captured program needs")}

    @property
    def execution_mode(self) -> Mapping[str, str]:
        inputs = any(spec.role == "state" for spec in self.program.inputs)
        outputs = any(spec.role == "state" for spec in self.program.outputs)
        return {"weights": "arguments", "kv_cache": "in place" if inputs else "created" if outputs else "none"}

    @property
    def options(self) -> Mapping[str, Any]:
        return {"BEAM": self._runner.beam, "JIT": True, "compiler": "clang"}


class Tinygrad(Runner):
    """tinygrad's CPU device."""

    formats = (_FORMAT,)
    tunings: ClassVar[Mapping[str, Mapping[str, Any]]] = {"default": {"BEAM": 0}, "max": {"BEAM": 0}}
    requirements = ("tinygrad", "numpy")
    accepts: ClassVar[Mapping[str, str]] = {"beam": "BEAM: how many candidates the search for each kernel keeps"}
    numbers = ("beam",)
    searched: ClassVar[Mapping[str, tuple[str, ...]]] = {"beam": ("1", "2", "4")}
    keeps_cache = "compiled kernels and what BEAM has found (an SQLite file)"
    idle = "only where it is named, as in --backend all,tinygrad"
    citation = Citation(
        key="tinygrad",
        title="tinygrad",
        authors=("Hotz, George", "The tinygrad contributors"),
        url="https://github.com/tinygrad/tinygrad",
    )

    def __init__(self, context: LaunchContext) -> None:
        super().__init__(context)
        self.beam = int(self.check_options(context.backend).get("beam", 0))
        self.device: Any = None
        self.name = ""
        self._denormals = ""

    @classmethod
    def availability(cls, backend: BackendSpec, device_kind: str) -> Availability:
        """Whether tinygrad and its compiler are here. Raises UsageError for options that do not exist."""
        from importlib.metadata import PackageNotFoundError

        cls.check_options(backend)
        try:
            found = _versions()
        except PackageNotFoundError:
            return Availability(available=False, reason=str(MissingPackage("tinygrad", "tinygrad")))
        if not shutil.which("clang"):
            told = "tinygrad compiles for CPUs with clang, which is not here; on Debian and Ubuntu: apt install clang"
            return Availability(available=False, reason=told, versions=found)
        return Availability(available=True, versions=found, devices=("cpu",))

    @classmethod
    def environment(cls, context: LaunchContext) -> Mapping[str, str]:
        """The device, the threads of a kernel's outermost loop and the cache: read when tinygrad is imported."""
        return {
            "DEV": "CPU",
            "NUM_CPU_THREADS": str(context.threads_a_call),
            "CACHEDB": str(context.compile_cache / "tinygrad.db"),
            "BEAM": context.backend.options.get("beam", "0"),
        }

    def start(self) -> None:
        """Import tinygrad and open its device."""
        try:
            from tinygrad import Device
        except ImportError as error:
            raise MissingPackage("tinygrad", "tinygrad") from error
        self.name = Device.DEFAULT
        self.device = Device[self.name]

    def load(self, program: LoweredProgram) -> _Loaded:
        """Read the file, and its weights into memory."""
        return _Loaded(self, program.program, artifact_of(program, _FORMAT))

    def stop(self) -> None:
        """End the processes that kernels were compiled in, and the one that Python keeps for such."""
        from multiprocessing import resource_tracker

        from tinygrad.engine.worker import terminate_worker_pool

        terminate_worker_pool()
        resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]

    def threads(self) -> int:
        """How many threads a kernel may take, as tinygrad's code generator has it."""
        from tinygrad.helpers import NUM_CPU_THREADS

        return int(NUM_CPU_THREADS.value)

    def denormals(self) -> str:
        """A product of denormal numbers in a kernel of its own."""
        import numpy as np
        from tinygrad import Tensor

        if not self._denormals:
            product = (Tensor(np.full(_LENGTH, denormals.TINY, np.float32)).realize() * 1.5).numpy()
            # Looked at as bits by numpy: a comparison may count them as zero itself.
            self._denormals = denormals.in_words(int(np.count_nonzero(product.view(np.uint32))), _LENGTH)
        return self._denormals


def _scatter(own: Any) -> Any:
    """ScatterND on a copy of its data: tinygrad's writes into what it is given, and refuses what others read."""

    def scatter(data: Any, indices: Any, updates: Any, reduction: str = "none") -> Any:
        return own(data.clone(), indices, updates, reduction)

    return scatter


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {"tinygrad": version("tinygrad")}


RUNNERS = {"tinygrad": Tinygrad}
