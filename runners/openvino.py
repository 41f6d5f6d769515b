"""OpenVINO: a compiled model with one infer request per input set, its tensors set once.

Idiom: weights are constants of the compiled model, `start_async` and `wait` run the request (`infer`
wraps every output in an array at each call, and by default copies it), and a KV cache is bound in place:
the same tensor is set as the state's input and output. `proof` shows that this gives the outputs of
separate tensors, bit by bit; `kv_cache=ping_pong` sets two and swaps them. The stateful form
(`apply_make_stateful_transformation`) gave the same outputs 4 to 20 % slower on decode steps of 0.1 and 18 ms.

The CPU plugin computes float32 models in bfloat16 wherever the CPU has it unless `INFERENCE_PRECISION_HINT`
says otherwise, and keeps some caches in 8 bits: under strict precision all of that is pinned and read back.
"""

from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from steelyard.adapters import denormals
from steelyard.adapters.bound import (
    Array,
    BoundBinding,
    Place,
    Places,
    artifact_of,
    carried_state,
    check_ports,
    in_place_agrees,
)  # fmt: skip
from steelyard.core.backend import Availability, BackendSpec
from steelyard.core.citation import Citation
from steelyard.core.errors import MissingPackage, Unsupported, UsageError, unknown_name
from steelyard.core.lowered import Artifact, LoweredProgram
from steelyard.core.metrics import Reading, absent
from steelyard.core.result import Proof, untold
from steelyard.core.runner import Arrays, Binding, Executable, LaunchContext, Runner
from steelyard.core.workload import TensorSpec
from steelyard.lowering.telemetry import without_telemetry

_NOT_TRIED = ("auto", "gpu", "hetero", "multi", "npu")
_KINDS = {"xpu": "gpu", "npu": "npu"}
_CHOICES = {"kv_cache": ("in_place", "ping_pong"), "precision": ("f32", "f16", "bf16", "auto")}

_DTYPES = {"f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16"}
_HINTS = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}
_HOLDS = {"float32": ("f32", "f64"), "float16": ("f16", "f32", "f64"), "bfloat16": ("bf16", "f32", "f64")}
"""Types that hold every value of a dtype: computing in them is no loss of precision."""

_MATRIX = ("FullyConnected", "MatMul", "Convolution", "Deconvolution")
_READ_BACK = (
    "EXECUTION_DEVICES",
    "INFERENCE_PRECISION_HINT",
    "INFERENCE_NUM_THREADS",
    "NUM_STREAMS",
    "PERFORMANCE_HINT",
    "EXECUTION_MODE_HINT",
    "ENABLE_CPU_PINNING",
    "ENABLE_HYPER_THREADING",
    "SCHEDULING_CORE_TYPE",
    "CPU_DENORMALS_OPTIMIZATION",
    "KV_CACHE_PRECISION",
    "KEY_CACHE_PRECISION",
    "VALUE_CACHE_PRECISION",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE",
    "LOADED_FROM_CACHE",
)


def _value(array: Array, spec: TensorSpec) -> Any:
    """An OpenVINO tensor on the memory of `array`. What numpy or OpenVINO do not name alike passes as its bits."""
    import openvino

    bits = {"bool": "uint8", "bfloat16": "uint16"}.get(spec.dtype)
    name = {"bool": "boolean", "bfloat16": "bf16"}.get(spec.dtype, _short(spec.dtype))
    memory = array if bits is None else array.view(bits)
    return openvino.Tensor(memory, openvino.Shape(list(spec.shape)), getattr(openvino.Type, name))


class _Bound(BoundBinding):
    """One input set. `run` starts the request and waits for it."""

    def __init__(self, executable: "_Compiled", inputs: Arrays, in_place: bool) -> None:
        self._artifact = executable.artifact
        self._requests = [executable.compiled.create_infer_request() for _ in range(1 if in_place else 2)]
        super().__init__(executable.program.program, inputs, partial(Place, value_of=_value), in_place)

    def wire(self, turn: int, reads: Places, writes: Places) -> Any:
        """The request of this turn with all its tensors set; names and ports stand in the same order."""
        request = self._requests[turn]
        for index, name in enumerate(self._artifact.inputs):
            request.set_input_tensor(index, reads[name].value)
        for index, name in enumerate(self._artifact.outputs):
            request.set_output_tensor(index, writes[name].value)
        return request

    def run(self) -> None:
        self.request.start_async()
        self.request.wait()

    def close(self) -> None:
        super().close()
        self._requests = []


class _Compiled(Executable):
    """One program as a compiled model."""

    def __init__(self, runner: "OpenVino", program: LoweredProgram, artifact: Artifact, model: Any) -> None:
        self.program = program
        self.compiled: Any = None
        self._runner = runner
        self.artifact = artifact
        self._model = model
        self._carried = carried_state(program.program)
        self._in_place = runner.cache_idiom == "in_place"

    def compile(self) -> None:
        check_ports(self.artifact, len(self._model.inputs), len(self._model.outputs))
        config = {
            **self._runner.config(self.program.program.dtype),
            "CACHE_DIR": str(self._runner.context.compile_cache),
        }
        self.compiled = self._runner.core.compile_model(self._model, "CPU", config)
        self._model = None

    def bind(self, inputs: Arrays) -> Binding:
        return self._bind(inputs, self._in_place)

    def _bind(self, inputs: Arrays, in_place: bool) -> Binding:
        return _Bound(self, inputs, in_place)

    def proof(self) -> Proof:
        """Properties of the compiled model and the precision of each node of its runtime graph. With an
        in-place cache this makes one run in place and one beside it on requests of its own: call it
        outside any timed window."""
        import openvino

        program, budget = self.program.program, self._runner.context.budget
        known = set(self.compiled.get_property("SUPPORTED_PROPERTIES"))
        found: dict[str, Any] = {name: _plain(self.compiled.get_property(name)) for name in _READ_BACK if name in known}
        found["LOADED_FROM_CACHE"] = bool(self.compiled.get_property("LOADED_FROM_CACHE"))
        nodes = [_node(each.get_rt_info()) for each in self.compiled.get_runtime_model().get_ops()]
        devices = [str(each) for each in self.compiled.get_property("EXECUTION_DEVICES")]
        mismatches = []
        if devices != ["CPU"]:
            mismatches.append(f"executes on {', '.join(devices)}, not on CPU")
        if found["INFERENCE_NUM_THREADS"] != budget.threads:
            mismatches.append(f"{found['INFERENCE_NUM_THREADS']} threads compute, the budget says {budget.threads}")
        mismatches += _unlike(self._runner.config(program.dtype), found)
        hint = str(found["INFERENCE_PRECISION_HINT"])
        if budget.precision == "strict":
            mismatches += _narrower(program.dtype, hint, nodes)
        if self._carried and self._in_place and not in_place_agrees(program, self._bind):
            mismatches.append("the state set in place gives other outputs than beside: use [kv_cache=ping_pong]")
        return Proof(
            runtime="openvino",
            versions={"openvino": openvino.__version__},
            platform=", ".join(devices),
            dtype=_DTYPES.get(hint, hint),
            threads=int(found["INFERENCE_NUM_THREADS"]),
            placement={", ".join(devices): len(nodes)},
            mismatches=tuple(mismatches),
            budget={
                "inter_op": found["NUM_STREAMS"],
                "waiting": untold("OpenVINO does not tell how its pool waits"),
                "matrix_precision": f"hint {hint}; nodes: {_matrix_types(nodes)}; {found['EXECUTION_MODE_HINT']} mode",
                "tf32": "no such type on a CPU",
                "denormals": self._runner.denormals(found.get("CPU_DENORMALS_OPTIMIZATION", False)),
                "denormals_told_by": "tried",
            },
            details={
                "properties": found,
                "node_precision": dict(sorted(Counter(precision for _, precision in nodes).items())),
                "nodes": dict(sorted(Counter(kind for kind, _ in nodes).items())),
            },
        )

    def memory(self) -> Mapping[str, Reading]:
        return {"planned_bytes": absent("B", "OpenVINO's CPU plugin tells no memory figures")}

    @property
    def idiom(self) -> Mapping[str, str]:
        cache = ("bound in place" if self._in_place else "two bound tensors, swapped") if self._carried else "none"
        return {
            "weights": "constants",
            "kv_cache": cache,
            "inputs": "bound",
            "outputs": "bound",
            "call": "start_async, wait",
        }

    @property
    def options(self) -> Mapping[str, Any]:
        config = self._runner.config(self.program.program.dtype)
        return {
            **config,
            "device": "CPU",
            "kv_cache": self._runner.cache_idiom,
            "cache": "in the launch's compile cache",
        }


class OpenVino(Runner):
    """`openvino[:DEVICE]`; the device defaults to the one given by `--device`."""

    formats: ClassVar[tuple[str, ...]] = ("openvino",)
    tunings: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": True},
        "max": {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": True,
            "CPU_DENORMALS_OPTIMIZATION": True,  # denormal numbers count as zero
        },
    }
    keeps_cache: ClassVar[str] = "the compiled model with its weights (CACHE_DIR)"
    citation = Citation(
        key="openvino",
        title="OpenVINO",
        authors=("OpenVINO Developers",),
        url="https://github.com/openvinotoolkit/openvino",
    )
    accepts: ClassVar[Mapping[str, str]] = {
        "streams": "NUM_STREAMS: how many requests the plugin may run side by side; 1 by default",
        "precision": "INFERENCE_PRECISION_HINT: f32, f16 or bf16; by default the case's dtype; auto sets no hint",
        "kv_cache": "in_place (one tensor is input and output) or ping_pong (two tensors swap roles)",
    }

    def __init__(self, context: LaunchContext) -> None:
        super().__init__(context)
        _check_device(context.backend, context.device.kind)
        self._chosen = _checked(context.backend)
        self.cache_idiom = self._chosen.get("kv_cache", "in_place")
        self.core: Any = None
        self._denormals: dict[bool, str] = {}

    @classmethod
    def availability(cls, backend: BackendSpec, device_kind: str) -> Availability:
        """Whether OpenVINO sees such a device. Raises UsageError for options that do not exist."""
        _checked(backend)
        try:
            _check_device(backend, device_kind)
        except Unsupported as error:
            return Availability(available=False, reason=str(error))
        without_telemetry()
        try:
            import openvino
        except ImportError:
            return Availability(available=False, reason=str(MissingPackage("openvino", "openvino")))
        versions, core = {"openvino": openvino.__version__}, openvino.Core()
        found = tuple(core.available_devices)
        if "CPU" not in found:
            reason = (
                f"OpenVINO has no CPU plugin here, only {', '.join(found) or 'none'}: pip install 'steelyard[openvino]'"
            )
            return Availability(available=False, reason=reason, versions=versions, devices=found)
        capabilities = list(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
        return Availability(available=True, versions=versions, devices=found, details={"capabilities": capabilities})

    def start(self) -> None:
        """Import OpenVINO; threads and precision are pinned per compiled model."""
        without_telemetry()
        import openvino

        self.core = openvino.Core()

    def config(self, dtype: str) -> Mapping[str, Any]:
        """Properties that a program of this dtype is compiled with."""
        budget = self.context.budget
        config = {**self.tunings[budget.tuning], "INFERENCE_NUM_THREADS": budget.threads}
        if "streams" in self._chosen:
            config["NUM_STREAMS"] = int(self._chosen["streams"])
        if budget.precision == "strict":
            config["INFERENCE_PRECISION_HINT"] = _HINTS[dtype]
            config["KV_CACHE_PRECISION"] = _HINTS[dtype]
            config["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = 0
        if self._chosen.get("precision") == "auto":
            config.pop("INFERENCE_PRECISION_HINT", None)
        elif "precision" in self._chosen:
            config["INFERENCE_PRECISION_HINT"] = self._chosen["precision"]
        return config

    def denormals(self, optimised: bool) -> str:
        """A product of denormal numbers in a model of its own, compiled once with this CPU_DENORMALS_OPTIMIZATION."""
        import numpy as np
        from openvino import Model, opset15

        if optimised not in self._denormals:
            given = np.full(1 << 17, denormals.TINY, np.float32)
            parameter = opset15.parameter(given.shape, np.float32)
            model = Model([opset15.multiply(parameter, opset15.constant(np.float32(1.5)))], [parameter], "denormals")
            config = {
                "CPU_DENORMALS_OPTIMIZATION": optimised,
                "INFERENCE_NUM_THREADS": self.context.budget.threads,
                "INFERENCE_PRECISION_HINT": "f32",
            }
            product = self.core.compile_model(model, "CPU", config)(given)[0]
            self._denormals[optimised] = denormals.in_words(int(np.count_nonzero(product.view(np.uint32))), given.size)
        return self._denormals[optimised]

    def peaks(self) -> Mapping[str, Reading]:
        """The plugins have no figure of a peak."""
        return {"allocator_peak_bytes": absent("B", "OpenVINO's CPU plugin tells no memory figures")}

    def load(self, program: LoweredProgram) -> Executable:
        """Read the IR; its weights stay mapped until the model is compiled."""
        artifact = artifact_of(program, self.formats[0])
        if program.program.dtype not in _HINTS:
            raise Unsupported(f"OpenVINO's CPU plugin does not compute in {program.program.dtype}")
        return self.executable(program, artifact, self.core.read_model(Path(artifact.directory) / artifact.entry))

    def executable(self, program: LoweredProgram, artifact: Artifact, model: Any) -> Executable:
        """A program from a model; the artifact names its inputs and outputs."""
        return _Compiled(self, program, artifact, model)


def _check_device(backend: BackendSpec, device_kind: str) -> None:
    """Raises Unsupported for what is not tried yet, UsageError for what does not exist."""
    name = (backend.provider or _KINDS.get(device_kind, device_kind)).lower()
    if name == "cpu" == device_kind:
        return
    if backend.provider is not None and name not in ("cpu", *_NOT_TRIED):
        raise unknown_name("OpenVINO device", name, ("cpu", *_NOT_TRIED))
    if name == "cpu":
        raise Unsupported(f"OpenVINO's 'cpu' does not run on the device '{device_kind}': use --device cpu")
    raise Unsupported(f"OpenVINO on '{name}': not tried yet")


def _checked(backend: BackendSpec) -> Mapping[str, str]:
    """The bracket options. Raises UsageError naming the valid ones."""
    for key, value in backend.options.items():
        if key not in OpenVino.accepts:
            raise unknown_name("option of openvino", key, OpenVino.accepts)
        if key in _CHOICES and value not in _CHOICES[key]:
            raise unknown_name(f"value of openvino[{key}]", value, _CHOICES[key])
        if key == "streams" and not (value.isdecimal() and int(value) > 0):
            raise UsageError(f"openvino[streams={value}]: the number of streams is 1 or more")
    return backend.options


def _narrower(dtype: str, hint: str, nodes: list[tuple[str, str]]) -> list[str]:
    """What computes in a type that cannot hold `dtype`: the hint in force, and nodes of the runtime graph."""
    holds, said = _HOLDS[dtype], []
    if hint not in holds:
        said.append(f"INFERENCE_PRECISION_HINT is {_DTYPES.get(hint, hint)}, the program is {dtype}")
    bad = Counter(
        precision
        for kind, precision in nodes
        if precision not in holds
        and (precision in _DTYPES or (kind in _MATRIX and precision in ("i8", "u8", "i4", "u4")))
    )
    said += [f"{count} nodes compute in {_DTYPES.get(name, name)}" for name, count in sorted(bad.items())]
    return said


def _unlike(config: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Properties that the compiled model has otherwise than they were asked for.

    Threads and the precision hint are judged apart. Pinning is only recorded: OpenVINO leaves it off where
    it cannot pin.
    """
    names = ("NUM_STREAMS", "CPU_DENORMALS_OPTIMIZATION", "DYNAMIC_QUANTIZATION_GROUP_SIZE", "KV_CACHE_PRECISION")
    return [
        f"{name} is {found[name]}, asked for was {config[name]}"
        for name in names
        if name in config and name in found and str(found[name]) != str(config[name])
    ]


def _matrix_types(nodes: list[tuple[str, str]]) -> str:
    """What the matrix products of the runtime graph compute in."""
    return ", ".join(sorted({precision for kind, precision in nodes if kind in _MATRIX})) or "no products"


def _node(info: Any) -> tuple[str, str]:
    """Kind and precision of a node of the runtime graph."""
    return tuple(info[key].astype(str) if key in info else "unknown" for key in ("layerType", "runtimePrecision"))  # type: ignore[return-value]


def _plain(value: Any) -> Any:
    """A property's value as JSON has it."""
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, list):
        return [str(each) for each in value]
    return value.get_type_name() if hasattr(value, "get_type_name") else getattr(value, "name", str(value))


def _short(dtype: str) -> str:
    """`float32` as `f32`, `int64` as `i64`."""
    return dtype.replace("float", "f").replace("int", "i")


RUNNERS = {"openvino": OpenVino}
