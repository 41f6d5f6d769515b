"""ONNX Runtime: an `InferenceSession` with every input and output bound to its place beforehand.

Idiom: weights are constants of the session (pre-packed), inputs and outputs are `OrtValue`s bound once
through `IOBinding`, and a KV cache is bound in place: one `OrtValue` is both the state's input and its output.
That is right only if nothing reads the old state after it was overwritten, so `proof` runs the
program both ways and compares bit by bit; `kv_cache=ping_pong` binds two buffers and swaps them instead.
"""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from steelyard.core.backend import Availability, BackendSpec
from steelyard.core.errors import FellBack, MissingPackage, SteelyardError, Unsupported, UsageError, unknown_name
from steelyard.core.lowered import Artifact, LoweredProgram
from steelyard.core.metrics import Reading, absent
from steelyard.core.result import Proof
from steelyard.core.runner import Arrays, Binding, Executable, LaunchContext, Runner
from steelyard.core.workload import TensorSpec

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
"""Providers that this runner drives, by the name that the user writes; each is also its device kind's default."""

_NOT_TRIED = ("coreml", "dml", "dnnl", "migraphx", "openvino", "qnn", "rocm", "tensorrt", "webgpu", "xnnpack")

_ONNX_TYPES = {
    "float32": ("tensor(float)", 1),
    "int32": ("tensor(int32)", 6),
    "int64": ("tensor(int64)", 7),
    "bool": ("tensor(bool)", 9),
    "float16": ("tensor(float16)", 10),
    "float64": ("tensor(double)", 11),
    "bfloat16": ("tensor(bfloat16)", 16),
}
"""The name a session gives the type, and its number in ONNX's `TensorProto.DataType`."""

_CHOICES = {"kv_cache": ("in_place", "ping_pong"), "spinning": ("true", "false")}

_DEFAULT = {
    "graph_optimization": "ORT_ENABLE_ALL",
    "optimization_loop": "1",
    "spinning": "true",
    "cpu_arena": True,
    "memory_pattern": True,
    "kv_cache": "in_place",
}


def _numpy_type(spec: TensorSpec) -> np.dtype[Any]:
    if spec.dtype == "bfloat16":
        import ml_dtypes

        wide: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return wide
    plain: np.dtype[Any] = np.dtype(spec.dtype)
    return plain


@dataclass(slots=True, weakref_slot=True)
class _Place:
    """Where one tensor lives: an `OrtValue`, and on the CPU the numpy array that is its memory."""

    spec: TensorSpec
    value: Any
    host: np.ndarray[Any, Any] | None

    def write(self, array: np.ndarray[Any, Any]) -> None:
        """Copy `array` in; the address stays."""
        wanted = _numpy_type(self.spec)
        if array.shape != self.spec.shape or array.dtype != wanted:
            raise UsageError(
                f"'{self.spec.name}' is {array.dtype}{list(array.shape)}, "
                f"the program takes {wanted}{list(self.spec.shape)}"
            )
        if self.host is not None:
            np.copyto(self.host, array)
        else:
            self.value.update_inplace(_host_value(np.ascontiguousarray(array), self.spec))

    def read(self) -> np.ndarray[Any, Any]:
        """A copy on the host."""
        if self.host is not None:
            return self.host.copy()
        array = np.empty(self.spec.shape, _numpy_type(self.spec))
        _host_value(array, self.spec).update_inplace(self.value)
        return array


def _host_value(array: np.ndarray[Any, Any], spec: TensorSpec) -> Any:
    """An `OrtValue` on the memory of `array`. bfloat16 passes as uint16: numpy itself has no such type."""
    import onnxruntime

    plain = array.view(np.uint16) if spec.dtype == "bfloat16" else array
    return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(plain, _ONNX_TYPES[spec.dtype][1])


class _Bound(Binding):
    """One input set. `run` is one call into the session with everything bound.

    A *turn* is a wired `IOBinding` with the places it reads and writes: one turn when the state is
    written in place, two that alternate when two buffers swap roles.
    """

    def __init__(self, executable: "_Session", inputs: Arrays) -> None:
        program = executable.program.program
        missing = sorted({spec.name for spec in program.inputs} - set(inputs))
        if missing:
            raise UsageError(f"program '{program.name}': no value for the inputs {', '.join(missing)}")
        self._wiring_of = executable.wiring
        self._session = executable.session
        self._carried = executable.carried
        places = {spec.name: executable.place(spec) for spec in program.inputs}
        self._data = {name: place for name, place in places.items() if name not in self._carried}
        self._results = {
            spec.name: executable.place(spec) for spec in program.outputs if spec.name not in self._carried
        }
        self._spare = (
            {} if executable.in_place else {name: executable.place(places[name].spec) for name in self._carried}
        )
        self._wire({name: places[name] for name in self._carried})
        self.update(inputs)

    def _wire(self, state: Mapping[str, _Place]) -> None:
        pairs = [(state, state)] if not self._spare else [(state, self._spare), (self._spare, state)]
        self._turns = [
            (self._wiring_of(reads, writes), reads, writes)
            for reads, writes in (({**self._data, **old}, {**self._results, **new}) for old, new in pairs)
        ]
        self._wiring, self._reads, self._writes = self._turns[0]

    def run(self) -> None:
        self._session.run_with_iobinding(self._wiring)

    def read(self, names: tuple[str, ...] | None = None) -> Arrays:
        return {name: self._writes[name].read() for name in (self._writes if names is None else names)}

    def settle(self) -> None:
        if self._spare:
            self._turns.reverse()
            self._wiring, self._reads, self._writes = self._turns[0]

    def update(self, inputs: Arrays) -> None:
        for name, array in inputs.items():
            if name not in self._reads:
                raise unknown_name("input", name, self._reads)
            self._reads[name].write(array)

    def adopt(self, source: Binding) -> None:
        """Bind the places that `source` wrote its state to as this one's state. No copy."""
        if not isinstance(source, _Bound):
            raise UsageError(f"an ONNX Runtime binding cannot take state from a {type(source).__name__}")
        for name in self._carried:
            given = source._writes.get(name)
            if given is None or (given.spec.shape, given.spec.dtype) != (
                self._reads[name].spec.shape,
                self._reads[name].spec.dtype,
            ):
                raise UsageError(f"the source has no state '{name}' of shape {list(self._reads[name].spec.shape)}")
        self._wire({name: source._writes[name] for name in self._carried})

    def close(self) -> None:
        self._turns = []
        self._wiring = None
        self._data, self._results, self._spare, self._reads, self._writes = {}, {}, {}, {}, {}


class _AcceleratorBound(_Bound):
    """The same on a device of its own: a run ends when the device has finished."""

    def run(self) -> None:
        self._session.run_with_iobinding(self._wiring)
        self._wiring.synchronize_outputs()


class _Session(Executable):
    """One program as an `InferenceSession`. The constructor of a session reads the file, optimises the
    graph and packs the weights in one call, so all of that counts as compile."""

    def __init__(self, runner: "OnnxRuntime", program: LoweredProgram, artifact: Artifact) -> None:
        self.program = program
        self.session: Any = None
        self._runner = runner
        self._artifact = artifact
        self._device = runner.context.device
        self._tuning = runner.tuning
        state = {spec.name for spec in program.program.state}
        self.carried = tuple(spec.name for spec in program.program.inputs if spec.name in state)
        self.in_place = self._tuning["kv_cache"] == "in_place"
        self._threads: int | None = None

    def compile(self) -> None:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as native

        provider = self._runner.provider
        entry = Path(self._artifact.directory) / self._artifact.entry
        before = _own_threads()
        try:
            self.session = onnxruntime.InferenceSession(
                entry,
                self._runner.session_options(),
                providers=[(provider, self._runner.provider_options())],
                enable_fallback=0,  # else an error of the provider is printed and the work moves to the CPU
                read_config_from_model=0,
            )
        except native.NotImplemented as error:
            raise Unsupported(f"ONNX Runtime {onnxruntime.__version__} has no kernel on {provider}: {error}") from error
        except (native.Fail, native.EPFail) as error:
            if "fallback to CPU EP has been explicitly disabled" in str(error):
                raise FellBack(
                    f"{provider} does not take every node of '{self.program.program.name}': {error}"
                ) from error
            raise
        if provider not in self.session.get_providers():
            raise FellBack(f"asked for {provider}, the session has {', '.join(self.session.get_providers())}")
        # The pool's threads live as long as the session; the caller works too. On a device the
        # driver starts threads of its own, so that the difference says nothing.
        if self._device.kind == "cpu":
            self._threads = _own_threads() - before + 1
        self._names = {
            "input": self._match("input", self._artifact.inputs, self.session.get_inputs()),
            "output": self._match("output", self._artifact.outputs, self.session.get_outputs()),
        }

    def _match(self, kind: str, names: tuple[str, ...], found: Any) -> dict[str, str]:
        """The session's own name of each of the program's names; both stand in the same order."""
        if len(names) != len(found):
            raise SteelyardError(
                f"{self._artifact.entry} has {len(found)} {kind}s, the artifact's record {len(names)}; "
                "clear the cache entry with 'bench cache clean'"
            )
        return {name: node.name for name, node in zip(names, found, strict=True)}

    def place(self, spec: TensorSpec) -> _Place:
        """A zeroed place on the device."""
        import onnxruntime

        zeros = np.zeros(spec.shape, _numpy_type(spec))
        if self._device.kind == "cpu":
            return _Place(spec, _host_value(zeros, spec), zeros)
        value = onnxruntime.OrtValue.ortvalue_from_shape_and_type(
            list(spec.shape), _ONNX_TYPES[spec.dtype][1], self._device.kind, self._device.index
        )
        value.update_inplace(_host_value(zeros, spec))
        return _Place(spec, value, None)

    def wiring(self, reads: Mapping[str, _Place], writes: Mapping[str, _Place]) -> Any:
        """An `IOBinding` of these places."""
        binding = self.session.io_binding()
        for name, own in self._names["input"].items():
            binding.bind_ortvalue_input(own, reads[name].value)
        for name, own in self._names["output"].items():
            binding.bind_ortvalue_output(own, writes[name].value)
        return binding

    def bind(self, inputs: Arrays) -> Binding:
        return (_Bound if self._device.kind == "cpu" else _AcceleratorBound)(self, inputs)

    def proof(self) -> Proof:
        """Placement as the session recorded it while partitioning. With an in-place cache this makes one
        run in place and one beside it on two bindings of its own: call it outside any timed window."""
        import onnxruntime

        program, provider = self.program.program, self._runner.provider
        nodes = [
            (part.ep_name, node.op_type)
            for part in self.session.get_provider_graph_assignment_info()
            for node in part.get_nodes()
        ]
        placement = Counter(name for name, _ in nodes)
        mismatches = [
            f"{count} of {len(nodes)} nodes run on {name}, not on {provider}"
            for name, count in sorted(placement.items())
            if name != provider
        ]
        budget = self._runner.context.budget
        if self._threads is not None and self._threads != budget.threads:
            mismatches.append(f"{self._threads} threads compute, the budget says {budget.threads}")
        floats = {name: dtype for dtype, (name, _) in _ONNX_TYPES.items() if "float" in dtype}
        dtype = ", ".join(sorted({floats[node.type] for node in self.session.get_outputs() if node.type in floats}))
        if dtype != program.dtype:
            mismatches.append(f"the outputs are {dtype}, the program is {program.dtype}")
        if self.carried and self.in_place and not self._in_place_holds():
            mismatches.append("the state bound in place gives other outputs than beside: use [kv_cache=ping_pong]")
        options = self.session.get_provider_options().get(provider, {})
        if budget.precision == "strict" and options.get("use_tf32") == "1":
            mismatches.append("TF32 is on although the precision is strict")
        return Proof(
            runtime="onnxruntime",
            versions={"onnxruntime": onnxruntime.__version__},
            platform=provider,
            dtype=dtype,
            threads=self._threads,
            placement=dict(placement),
            mismatches=tuple(mismatches),
            details={
                "providers": list(self.session.get_providers()),
                "provider_options": dict(options),
                "operators": dict(sorted(Counter(kind for _, kind in nodes).items())),
                "device_copies": sum(kind.startswith("Memcpy") for _, kind in nodes),
            },
        )

    def _in_place_holds(self) -> bool:
        """Whether one run with the state in place equals one with separate buffers, bit by bit.

        The state is random, so that a node that reads it after it was overwritten shows.
        """
        random = np.random.default_rng(0)
        arrays = {
            spec.name: (random.standard_normal(spec.shape) if "float" in spec.dtype else np.zeros(spec.shape)).astype(
                _numpy_type(spec)
            )
            for spec in self.program.program.inputs
        }
        chosen, outputs = self.in_place, []
        for self.in_place in (True, False):
            binding = self.bind(arrays)
            binding.run()
            outputs.append(binding.read())
            binding.close()
        self.in_place = chosen
        return all(outputs[0][name].tobytes() == outputs[1][name].tobytes() for name in outputs[0])

    def memory(self) -> Mapping[str, Reading]:
        reason = "ONNX Runtime tells its arena's statistics to C callers only"
        return {"planned_bytes": absent("B", reason), "allocator_peak_bytes": absent("B", reason)}

    @property
    def idiom(self) -> Mapping[str, str]:
        cache = ("bound in place" if self.in_place else "two bound buffers, swapped") if self.carried else "none"
        return {"weights": "constants, pre-packed", "kv_cache": cache, "inputs": "bound", "outputs": "bound"}

    @property
    def options(self) -> Mapping[str, Any]:
        return {
            **self._tuning,
            "execution_mode": "sequential",
            "format": self._artifact.format,
            "provider": self._runner.provider,
            "intra_op_threads": self._runner.context.budget.threads,
            "inter_op_threads": 1,
            **{f"config.{key}": value for key, value in self._runner.config().items()},
            **{f"provider.{key}": value for key, value in self._runner.provider_options().items()},
        }


class OnnxRuntime(Runner):
    """`onnxruntime[:PROVIDER]`; the provider defaults to the device's own."""

    formats: ClassVar[tuple[str, ...]] = ("onnx",)
    tunings: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": _DEFAULT,
        "max": {**_DEFAULT, "optimization_loop": "2"},  # repeat the graph optimisers until nothing changes
    }
    keeps_cache: ClassVar[str] = ""
    accepts: ClassVar[Mapping[str, str]] = {
        "opset": "ONNX operator set of the artifact, e.g. 20 or 23; by default the one that lowering found fastest",
        "kv_cache": "in_place (one buffer is input and output) or ping_pong (two buffers swap roles)",
        "spinning": "true or false: whether idle threads of the pool spin for a while before they sleep",
    }

    def __init__(self, context: LaunchContext) -> None:
        super().__init__(context)
        self.provider = _provider(context.backend, context.device.kind)
        chosen = {key: value for key, value in _checked(context.backend).items() if key != "opset"}
        self.tuning = {**self.tunings[context.budget.tuning], **chosen}

    @classmethod
    def needs(cls, backend: BackendSpec) -> tuple[str, ...]:
        """`onnx`, or the operator set asked for."""
        opset = _checked(backend).get("opset")
        return cls.formats if opset is None else (f"onnx@{opset}",)

    @classmethod
    def availability(cls, backend: BackendSpec, device_kind: str) -> Availability:
        """Whether this build has the provider. Raises UsageError for options that do not exist."""
        try:
            provider = _provider(backend, device_kind)
        except Unsupported as error:
            return Availability(available=False, reason=str(error))
        _checked(backend)
        try:
            import onnxruntime
        except ImportError:
            return Availability(available=False, reason=str(MissingPackage("onnxruntime", "onnxruntime")))
        found = onnxruntime.get_available_providers()
        versions = {"onnxruntime": onnxruntime.__version__}
        if provider not in found:
            reason = (
                f"this build of ONNX Runtime has no {provider}, only {', '.join(found)}: pip install 'steelyard[cuda]'"
            )
            return Availability(available=False, reason=reason, versions=versions, devices=tuple(found))
        return Availability(available=True, versions=versions, devices=(device_kind,), details={"provider": provider})

    def start(self) -> None:
        """Import ONNX Runtime; threads and precision are pinned per session."""
        import onnxruntime

        if self.provider not in onnxruntime.get_available_providers():
            raise Unsupported(f"this build of ONNX Runtime has no {self.provider}")

    def config(self) -> Mapping[str, str]:
        """Session configuration entries."""
        spinning = "1" if self.tuning["spinning"] == "true" else "0"
        entries = {
            "session.record_ep_graph_assignment_info": "1",
            "session.intra_op.allow_spinning": spinning,
            "session.inter_op.allow_spinning": spinning,
            "session.graph_optimizations_loop_level": str(self.tuning["optimization_loop"]),
        }
        if self.context.device.kind != "cpu":
            entries["session.disable_cpu_ep_fallback"] = "1"
        return entries

    def provider_options(self) -> Mapping[str, str]:
        """Options of the provider."""
        if self.provider != _PROVIDERS["cuda"]:
            return {}
        tf32 = "0" if self.context.budget.precision == "strict" else "1"
        return {"device_id": str(self.context.device.index), "use_tf32": tf32}

    def session_options(self) -> Any:
        """A fresh `SessionOptions` with the tuning and the budget's threads."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.context.budget.threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        level = self.tuning["graph_optimization"]
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
        options.enable_cpu_mem_arena = self.tuning["cpu_arena"]
        options.enable_mem_pattern = self.tuning["memory_pattern"]
        for key, value in self.config().items():
            options.add_session_config_entry(key, value)
        return options

    def load(self, program: LoweredProgram) -> Executable:
        """Choose the artifact; the session reads it in `compile`."""
        (wanted,) = self.needs(self.context.backend)
        if wanted not in program.artifacts:
            reason = program.failures.get(wanted, "it was not lowered")
            raise Unsupported(f"program '{program.program.name}' has no {wanted} artifact: {reason}")
        return _Session(self, program, program.artifacts[wanted])


def _provider(backend: BackendSpec, device_kind: str) -> str:
    """The execution provider's full name. Raises Unsupported or UsageError with the reason."""
    name = backend.provider or device_kind
    if name in _NOT_TRIED or (backend.provider is None and name not in _PROVIDERS):
        raise Unsupported(f"ONNX Runtime on '{name}': not tried yet")
    if name not in _PROVIDERS:
        raise unknown_name("ONNX Runtime provider", name, (*_PROVIDERS, *_NOT_TRIED))
    if name != device_kind:
        raise Unsupported(f"the provider '{name}' does not run on the device '{device_kind}': use --device {name}")
    return _PROVIDERS[name]


def _checked(backend: BackendSpec) -> Mapping[str, str]:
    """The bracket options. Raises UsageError naming the valid ones."""
    for key, value in backend.options.items():
        if key not in OnnxRuntime.accepts:
            raise unknown_name("option of onnxruntime", key, OnnxRuntime.accepts)
        if key in _CHOICES and value not in _CHOICES[key]:
            raise unknown_name(f"value of onnxruntime[{key}]", value, _CHOICES[key])
        if key == "opset" and not value.isdecimal():
            raise UsageError(f"onnxruntime[opset={value}]: the operator set is a number such as 23")
    return backend.options


def _own_threads() -> int:
    return len(os.listdir("/proc/self/task"))


RUNNERS = {"onnxruntime": OnnxRuntime}
