"""LiteRT on CPUs, with XNNPACK: a compiled model whose inputs and outputs are bound to memory of the host.

The exported program is converted by litert-torch when a launch compiles it, in a process of its own. Whole numbers are
32 bits wide in the file; they are cast where they are put in and read out, outside the clock.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from steelyard.adapters import litert_conversion
from steelyard.adapters.bound import Array, BoundBinding, Place, Places, artifact_of, numpy_type
from steelyard.adapters.process_threads import thread_names
from steelyard.core.backend import Availability, BackendSpec
from steelyard.core.citation import Citation
from steelyard.core.errors import SteelyardError, Unsupported
from steelyard.core.lowered import LoweredProgram
from steelyard.core.metrics import Reading, absent
from steelyard.core.result import Proof, untold
from steelyard.core.runner import Arrays, Binding, Executable, LaunchContext, Runner
from steelyard.core.workload import DTYPE_BYTES, TensorSpec


class _Place(Place):
    """A tensor in a buffer of the model's own, which LiteRT reads or writes itself."""

    def __init__(self, spec: TensorSpec, value: Any) -> None:
        import numpy as np

        self.spec, self.value = spec, value
        self._held = np.dtype(value.get_tensor_details()["dtype"]) if spec.dtype != "bfloat16" else numpy_type(spec)
        self.write(np.zeros(spec.shape, numpy_type(spec)))

    def write(self, array: Array) -> None:
        """See `Place`: a copy, in the type that the file has."""
        self.check(array)
        self.value.write(array.astype(self._held))

    def read(self) -> Array:
        """See `Place`: a copy, in the program's type."""
        spec = self.spec
        found: Array = self.value.read(math.prod(spec.shape), self._held).reshape(spec.shape)
        return found.astype(numpy_type(spec))


class _Binding(BoundBinding):
    """`run` is one call of the compiled model, which returns when its outputs are complete."""

    def __init__(self, executable: "_Loaded", inputs: Arrays) -> None:
        self._executable = executable
        self._model = executable.model
        super().__init__(executable.program, inputs, executable.place, in_place=False)

    def wire(self, turn: int, reads: Places, writes: Places) -> Any:
        """The buffers in the order of the file's signature."""
        inputs, outputs = self._executable.ports
        return [reads[name].value for name in inputs], [writes[name].value for name in outputs]

    def run(self) -> None:
        self._model.run_by_index(0, *self.request)


class _Loaded(Executable):
    """One program of LiteRT."""

    def __init__(self, runner: "LiteRT", program: LoweredProgram) -> None:
        self.program, self._runner, self._lowered = program.program, runner, program
        self.model: Any = None
        self.ports: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
        self._taken = litert_conversion.Taken()
        self._threads: int | None = None
        artifact_of(program, "pt2")

    def compile(self) -> None:
        """Convert the program, or take what an earlier launch has converted, load the file and call it once with zeros:
        XNNPACK packs the weights when it is loaded and called."""
        import numpy as np

        file, self._taken = litert_conversion.converted(self._lowered, self._runner.context.compile_cache)
        before = thread_names()
        self.model = self._runner.opened(file)
        self._find_ports()
        zeros = {spec.name: np.zeros(spec.shape, numpy_type(spec)) for spec in self.program.inputs}
        once = _Binding(self, zeros)
        once.run()
        once.close()
        after = thread_names()
        if before is not None and after is not None:
            self._threads = 1 + sum(after.values()) - sum(before.values())  # the one that calls computes, too

    def _find_ports(self) -> None:
        """Which of the program's inputs and outputs stands at each place of the signature."""
        (signature,) = self.model.get_signature_list().values()
        sides = []
        for kind, specs in (("inputs", self.program.inputs), ("outputs", self.program.outputs)):
            named = {
                f"{'args' if kind == 'inputs' else 'output'}_{place}": each.name for place, each in enumerate(specs)
            }
            if {*signature[kind]} != {*named}:
                told = f"has {len(signature[kind])} {kind} of {len(named)}"
                raise Unsupported(f"program '{self.program.name}': what litert-torch made of it {told}")
            sides.append(tuple(named[name] for name in signature[kind]))
        self.ports = (sides[0], sides[1])

    def place(self, spec: TensorSpec) -> _Place:
        """A place for one of the program's inputs, or else of its outputs."""
        (signature,) = self.model.get_signature_list()
        if spec in self.program.inputs:
            port = f"args_{self.program.inputs.index(spec)}"
            return _Place(spec, self.model.create_input_buffer_by_name(signature, port))
        port = f"output_{self.program.outputs.index(spec)}"
        return _Place(spec, self.model.create_output_buffer_by_name(signature, port))

    def bind(self, inputs: Arrays) -> Binding:
        if self.model is None:
            raise SteelyardError(f"program '{self.program.name}': compile() must come before bind()")
        return _Binding(self, inputs)

    def proof(self) -> Proof:
        """The threads that came with the model, the types that it takes and gives, and what XNNPACK takes of it."""
        model = self.model
        (signature,) = model.get_signature_list()
        details = [*model.get_input_tensor_details(signature).values()]
        details += model.get_output_tensor_details(signature).values()
        types = [str(each["dtype"]) for each in details]
        floating = [each for each in types if "float" in each and each in DTYPE_BYTES]
        own = dict(self._taken.own)
        remarks = [f"{sum(own.values())} operators are not XNNPACK's and run as LiteRT's own kernels"] if own else []
        return Proof(
            runtime="litert",
            versions=litert_conversion.versions(),
            platform="cpu",
            dtype=min(floating, key=DTYPE_BYTES.__getitem__, default=self.program.dtype),
            threads=self._threads,
            placement={"XNNPACK": self._taken.delegates, "own": sum(own.values())},
            mismatches=() if self._taken.delegates else ("XNNPACK takes no part of the program",),
            remarks=tuple(remarks),
            budget={
                "inter_op": untold("LiteRT does not tell what runs side by side"),
                "waiting": untold("LiteRT does not tell how its pool waits"),
                "matrix_precision": untold("XNNPACK does not tell what it computes in; the file says"),
                "tf32": "not on a CPU",
                "denormals": untold("LiteRT does not tell, and a program to try it would have to be converted"),
            },
            details={"delegates": self._taken.delegates, "own": own},
        )

    def memory(self) -> Mapping[str, Reading]:
        return {"planned_bytes": absent("B", "LiteRT's compiled model tells no size of the memory that it plans")}

    @property
    def execution_mode(self) -> Mapping[str, str]:
        state = any(spec.role == "state" for spec in (*self.program.inputs, *self.program.outputs))
        return {
            "weights": "constants",
            "kv_cache": "two buffers that change roles" if state else "none",
            "whole_numbers": "32 bits",
        }

    @property
    def options(self) -> Mapping[str, Any]:
        return {"kernel_mode": "DELEGATE", "num_threads": self._runner.context.threads_a_call}


class LiteRT(Runner):
    """LiteRT with XNNPACK, through the Python interface of its compiled models."""

    formats = ("pt2",)
    tunings: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": {"kernel_mode": "DELEGATE"},
        "max": {"kernel_mode": "DELEGATE"},
    }
    requirements = litert_conversion.PACKAGES
    keeps_cache = "converted programs (.tflite)"
    idle = "only where it is named, as in --backend all,litert@latest"
    citation = Citation(
        key="litert",
        title="LiteRT: Google's on-device runtime for machine learning",
        authors=("Google AI Edge Team",),
        url="https://ai.google.dev/edge/litert",
    )

    def __init__(self, context: LaunchContext) -> None:
        super().__init__(context)
        self.check_options(context.backend)
        self._environment: Any = None

    @classmethod
    def availability(cls, backend: BackendSpec, device_kind: str) -> Availability:
        """Whether runtime and converter are here. Raises UsageError for options that do not exist."""
        from importlib.metadata import PackageNotFoundError

        cls.check_options(backend)
        try:
            found = litert_conversion.versions()
        except PackageNotFoundError as error:
            return Availability(available=False, reason=_absent(str(error.name)))
        return Availability(available=True, versions=found, devices=("cpu",))

    def start(self) -> None:
        """Import the runtime; its models share what it looks up of the machine."""
        try:
            from ai_edge_litert import compiled_model
        except ImportError as error:
            raise Unsupported(_absent("ai-edge-litert")) from error
        self._environment = compiled_model._create_default_environment()

    def opened(self, file: Path) -> Any:
        """A file as a compiled model, with a pool of the budget's threads."""
        from ai_edge_litert.compiled_model import CompiledModel, CpuOptions, Options

        options = Options(cpu_options=CpuOptions(num_threads=self.context.threads_a_call))
        return CompiledModel.from_file(str(file), options=options, environment=self._environment)

    def load(self, program: LoweredProgram) -> _Loaded:
        """Find the program; it is converted and read when it is compiled."""
        return _Loaded(self, program)


def _absent(package: str) -> str:
    return f"{package} is not installed here; LiteRT has an environment of its own: bench env create litert"


RUNNERS = {"litert": LiteRT}
