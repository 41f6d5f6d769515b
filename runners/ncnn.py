"""ncnn on CPUs: an extractor for each call, as its users write it, in float32.

ncnn computes in half precision where it may; every such option is off here. A call makes an extractor, gives it the
inputs and asks for each output; the inputs are put into ncnn's memory before the clock starts.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from steelyard.adapters.arrays_binding import ArraysBinding, arguments
from steelyard.adapters.bound import artifact_of
from steelyard.core.backend import Availability, BackendSpec
from steelyard.core.citation import Citation
from steelyard.core.errors import MissingPackage, SteelyardError, Unsupported
from steelyard.core.lowered import Artifact, LoweredProgram
from steelyard.core.metrics import Reading, absent
from steelyard.core.result import Proof, untold
from steelyard.core.runner import Arrays, Binding, Executable, LaunchContext, Runner
from steelyard.core.workload import Program

_OPTIONS: Mapping[str, bool] = {
    "use_vulkan_compute": False,
    "use_fp16_packed": False,
    "use_fp16_storage": False,
    "use_fp16_arithmetic": False,
    "use_bf16_packed": False,
    "use_bf16_storage": False,
    "use_int8_inference": False,
    "use_winograd_convolution": True,
    "use_sgemm_convolution": True,
    "use_packing_layout": True,
}


class _Binding(ArraysBinding):
    """`run` is one extractor, from its inputs to its last output."""

    def __init__(self, executable: "_Loaded", given: Sequence[Any]) -> None:
        super().__init__(executable, given)
        self._executable, self._net = executable, executable.net

    def run(self) -> None:
        inputs, outputs = self._executable.ports
        extractor = self._net.create_extractor()
        for name, value in zip(inputs, self._arguments, strict=True):
            extractor.input(name, value)
        found = [extractor.extract(name) for name in outputs]
        self._outputs = [value for _, value in found]
        if failed := [status for status, _ in found if status]:
            raise SteelyardError(f"ncnn could not compute an output (status {failed[0]})")

    def read(self, names: tuple[str, ...] | None = None) -> Arrays:
        """See `Binding`, in the program's shapes. Raises Unsupported where ncnn's output has another size."""
        specs = {spec.name: spec for spec in self._program.outputs}
        found = {}
        for name in self._returned if names is None else names:
            array = self._fetch(self.output(name))
            if array.size != math.prod(specs[name].shape):
                told = f"is {list(array.shape)} in ncnn, not {list(specs[name].shape)}"
                raise Unsupported(f"program '{self._program.name}': output '{name}' {told}")
            found[name] = array.astype(specs[name].dtype).reshape(specs[name].shape)
        return found

    def _fetch(self, array: Any) -> Any:
        index = next(place for place, each in enumerate(self._outputs or ()) if each is array)
        batch = self._executable.batches[1][index]
        return array.numpy() if batch is None else array.numpy(batch_index=batch)


class _Loaded(Executable):
    """One net of ncnn."""

    def __init__(self, runner: "Ncnn", program: Program, artifact: Artifact) -> None:
        self.program, self._runner, self._artifact = program, runner, artifact
        details = artifact.details
        sides = (details["inputs"], details["outputs"])
        self.ports = tuple(tuple(each["name"] for each in side) for side in sides)
        self.batches = tuple(tuple(each["batch"] for each in side) for side in sides)
        if [len(side) for side in sides] != [len(program.inputs), len(program.outputs)]:
            raise Unsupported(f"program '{program.name}': pnnx gives it other inputs or outputs than it has")
        self.net: Any = None

    def compile(self) -> None:
        """Load both files, where layers choose their kernels and pack their weights, and call the net with zeros."""
        import numpy as np

        folder = Path(self._artifact.directory)
        net = self._runner.new_net()
        for load, file in ((net.load_param, self._artifact.entry), (net.load_model, self._artifact.details["weights"])):
            if status := load(str(folder / file)):
                raise SteelyardError(f"ncnn cannot load {file} (status {status})")
        self.net = net
        once = _Binding(
            self, [self.put(place, np.zeros(each.shape, each.dtype)) for place, each in enumerate(self.program.inputs)]
        )
        once.run()
        once.close()

    def put(self, index: int, array: Any) -> Any:
        """A copy of an array in ncnn's memory; whole numbers are 32 bits wide there."""
        import ncnn
        import numpy as np

        held = np.ascontiguousarray(array.astype("int32") if array.dtype.kind == "i" else array)
        batch = self.batches[0][index]
        return (ncnn.Mat(held) if batch is None else ncnn.Mat(held, batch_index=batch)).clone()

    def bind(self, inputs: Arrays) -> Binding:
        if self.net is None:
            raise SteelyardError(f"program '{self.program.name}': compile() must come before bind()")
        return _Binding(self, arguments(self, inputs))

    def proof(self) -> Proof:
        """The options that the net holds, and its layers."""
        options = self.net.opt
        half = [name for name in _OPTIONS if "16" in name and getattr(options, name)]
        layers = {name: count for name, count in self._artifact.details["layers"].items() if name != "Input"}
        return Proof(
            runtime="ncnn",
            versions=_versions(),
            platform="cpu",
            dtype=next(("bfloat16" if "bf16" in name else "float16" for name in half), "float32"),
            threads=options.num_threads,
            placement={"ncnn": sum(layers.values())},
            mismatches=tuple(f"the net may compute in half precision: {name}" for name in half),
            budget={
                "inter_op": "layers run one after the other",
                "waiting": untold("ncnn computes with OpenMP, which does not tell how its threads wait"),
                "matrix_precision": "float32: storage and arithmetic in 16 bits are off",
                "tf32": "not on a CPU",
                "denormals": untold("ncnn does not tell, and a program to try it would have to be converted"),
            },
            details={"layers": layers},
        )

    def memory(self) -> Mapping[str, Reading]:
        return {"planned_bytes": absent("B", "ncnn plans no memory ahead: layers allocate as they run")}

    @property
    def execution_mode(self) -> Mapping[str, str]:
        state = any(spec.role == "state" for spec in (*self.program.inputs, *self.program.outputs))
        return {"weights": "constants", "kv_cache": "created" if state else "none", "call": "an extractor for each"}

    @property
    def options(self) -> Mapping[str, Any]:
        return {name: getattr(self.net.opt, name) for name in (*_OPTIONS, "num_threads")}


class Ncnn(Runner):
    """ncnn through its Python interface."""

    formats = ("ncnn",)
    tunings: ClassVar[Mapping[str, Mapping[str, Any]]] = {"default": _OPTIONS, "max": _OPTIONS}
    requirements = ("ncnn",)
    keeps_cache = ""
    idle = "only where it is named, as in --backend all,ncnn"
    citation = Citation(
        key="ncnn",
        title="ncnn",
        authors=("Ni, Hui", "The ncnn contributors"),
        year=2017,
        url="https://github.com/Tencent/ncnn",
    )

    def __init__(self, context: LaunchContext) -> None:
        super().__init__(context)
        self.check_options(context.backend)
        self._library: Any = None

    @classmethod
    def availability(cls, backend: BackendSpec, device_kind: str) -> Availability:
        """Whether the runtime is here. Raises UsageError for options that do not exist."""
        cls.check_options(backend)
        try:
            import ncnn  # noqa: F401
        except ImportError:
            return Availability(available=False, reason=str(MissingPackage("ncnn", "ncnn")))
        return Availability(available=True, versions=_versions(), devices=("cpu",))

    def start(self) -> None:
        """Import the runtime."""
        try:
            import ncnn
        except ImportError as error:
            raise MissingPackage("ncnn", "ncnn") from error
        self._library = ncnn

    def new_net(self) -> Any:
        """A net without layers, with the budget's threads and in float32."""
        net = self._library.Net()
        for name, value in _OPTIONS.items():
            setattr(net.opt, name, value)
        net.opt.num_threads = self.context.threads_a_call
        return net

    def load(self, program: LoweredProgram) -> _Loaded:
        """Find the files; they are read when it is compiled."""
        return _Loaded(self, program.program, artifact_of(program, "ncnn"))


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {"ncnn": version("ncnn")}


RUNNERS = {"ncnn": Ncnn}
