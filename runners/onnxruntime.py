"""ONNX Runtime: an `InferenceSession` with every input and output bound to its place beforehand.

Idiom: weights are constants of the session (pre-packed), inputs and outputs are `OrtValue`s bound once
through `IOBinding`, and a KV cache is bound in place: one `OrtValue` is both the state's input and its output.
That is right only if nothing reads the old state after it was overwritten, so `proof` runs the
program both ways and compares bit by bit; `kv_cache=ping_pong` binds two buffers and swaps them instead.
On a CPU language models come as ONNX Runtime's own operators (see `steelyard.formats.onnx.fuse`), elsewhere, and with
`opset`, as standard ONNX.
"""

import gc
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from steelyard.adapters.bound import Place, artifact_of, carried_state, check_ports, in_place_agrees
from steelyard.adapters.onnxruntime_binding import ONNX_TYPES, Bound, DeviceBound, DevicePlace, value_on
from steelyard.adapters.onnxruntime_provider import PROVIDERS, provider_of
from steelyard.core.backend import Availability, BackendSpec
from steelyard.core.citation import Citation
from steelyard.core.errors import FellBack, MissingPackage, Unsupported, UsageError, unknown_name
from steelyard.core.lowered import Artifact, LoweredProgram
from steelyard.core.metrics import Reading, absent
from steelyard.core.result import Proof, untold
from steelyard.core.runner import Arrays, Binding, Executable, LaunchContext, Runner
from steelyard.core.workload import TensorSpec

_NEVER_ASKED = (
    "session.set_denormal_as_zero",
    "mlas.enable_gemm_fastmath_arm64_bfloat16",
    "session.qdq_matmulnbits_accuracy_level",
    "session.intra_op_thread_affinities",
)
"""Entries that would change numbers or places behind the budget's back: a session that holds one is a mismatch."""

_CHOICES = {"kv_cache": ("in_place", "ping_pong"), "spinning": ("true", "false")}

_DEFAULT = {
    "graph_optimization": "ORT_ENABLE_ALL",
    "optimization_loop": "1",
    "spinning": "true",
    "cpu_arena": True,
    "memory_pattern": True,
    "kv_cache": "in_place",
}


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
        self.ports: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {})
        self._carried = carried_state(program.program)
        # Of a training step the old parameters are read long after the first new ones are written.
        self._in_place = self._tuning["kv_cache"] == "in_place" and not program.program.gradients
        self._threads: int | None = None
        self._fused: Mapping[str, int] = artifact.details.get("fused", {})
        self._whole_at: Mapping[str, int] = artifact.details.get("whole_at", {})

    def compile(self) -> None:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as native

        provider = self._runner.provider
        entry = Path(self._artifact.directory) / self._artifact.entry
        with _no_collection():
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
                raise Unsupported(
                    f"ONNX Runtime {onnxruntime.__version__} has no kernel on {provider}: {error}"
                ) from error
            except (native.Fail, native.EPFail) as error:
                if "fallback to CPU EP has been explicitly disabled" in str(error):
                    raise FellBack(
                        f"{provider} does not take every node of '{self.program.program.name}': {error}"
                    ) from error
                raise
            after = _own_threads()
        if provider not in self.session.get_providers():
            raise FellBack(f"asked for {provider}, the session has {', '.join(self.session.get_providers())}")
        # The pool's threads live as long as the session; the caller works too. On a device the
        # driver starts threads of its own, so that the difference says nothing.
        if self._device.kind == "cpu" and before is not None and after is not None:
            self._threads = after - before + 1
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        check_ports(self._artifact, len(inputs), len(outputs))
        # By place: the record has the order of the file, whose own names may carry a suffix.
        self.ports = (
            {name: port.name for name, port in zip(self._artifact.inputs, inputs, strict=True)},
            {name: port.name for name, port in zip(self._artifact.outputs, outputs, strict=True)},
        )

    def place(self, spec: TensorSpec) -> Place:
        """A zeroed place on the device."""
        memory = self._runner.target.memory
        if memory is None:
            return Place(spec, value_on)
        kind, vendor = memory
        return DevicePlace(spec, kind, self._device.index, vendor)

    def bind(self, inputs: Arrays) -> Binding:
        return self._bind(inputs, self._in_place)

    def _bind(self, inputs: Arrays, in_place: bool) -> Binding:
        return (Bound if self._runner.target.memory is None else DeviceBound)(self, inputs, in_place)

    def _bind_whole(self, inputs: Arrays, in_place: bool) -> Binding:
        """Bound with each position at its last place: of a past that lies elsewhere GroupQueryAttention keeps what is
        before the position, of one in place all."""
        import numpy as np

        last = {name: np.full_like(inputs[name], place) for name, place in self._whole_at.items()}
        return self._bind({**inputs, **last}, in_place)

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
        dtype, unlike = self._dtypes()
        mismatches += unlike
        if self._carried and self._in_place and not in_place_agrees(program, self._bind_whole):
            mismatches.append("the state bound in place gives other outputs than beside: use [kv_cache=ping_pong]")
        mismatches += self._options_unlike()
        options = self.session.get_provider_options().get(provider, {})
        if budget.precision == "strict":
            mismatches += self._runner.target.loose(options)
        return Proof(
            runtime="onnxruntime",
            versions={"onnxruntime": onnxruntime.__version__},
            platform=provider,
            dtype=dtype,
            threads=self._threads,
            placement=dict(placement),
            mismatches=tuple(mismatches),
            budget=self._kept_budget(options),
            details={
                "providers": list(self.session.get_providers()),
                "provider_options": dict(options),
                "operators": dict(sorted(Counter(kind for _, kind in nodes).items())),
                "device_copies": sum(kind.startswith("Memcpy") for _, kind in nodes),
            },
        )

    def _dtypes(self) -> tuple[str, list[str]]:
        """The floating-point types of the outputs, else of the inputs, and outputs of another type than declared.

        A session tells the types of its ends alone: of a program that has only whole numbers there, nothing is told.
        """
        known = {name: dtype for dtype, (name, _) in ONNX_TYPES.items()}
        declared = {spec.name: spec.dtype for spec in self.program.program.outputs}
        inputs, outputs = (
            [known.get(node.type, node.type) for node in nodes]
            for nodes in (self.session.get_inputs(), self.session.get_outputs())
        )
        unlike = [
            f"output '{name}' is {found}, the program says {declared[name]}"
            for name, found in zip(self._artifact.outputs, outputs, strict=True)
            if found != declared[name]
        ]
        for ends in (outputs, inputs):
            if floats := sorted({dtype for dtype in ends if "float" in dtype}):
                return ", ".join(floats), unlike
        return "not told", unlike

    def _entry(self, key: str) -> str | None:
        """A configuration entry as the session holds it; None where it holds none."""
        try:
            return str(self.session.get_session_options().get_session_config_entry(key))
        except RuntimeError:  # how ONNX Runtime says that there is no such entry
            return None

    def _options_unlike(self) -> list[str]:
        """Options that the session holds otherwise than they were asked for. Threads are counted instead."""
        held = self.session.get_session_options()
        unlike: list[tuple[str, Any, Any]] = [
            ("inter_op_num_threads", held.inter_op_num_threads, 1),
            ("enable_cpu_mem_arena", held.enable_cpu_mem_arena, self._tuning["cpu_arena"]),
            ("graph_optimization_level", held.graph_optimization_level.name, self._tuning["graph_optimization"]),
            ("execution_mode", held.execution_mode.name, "ORT_SEQUENTIAL"),
        ]
        unlike += [(key, self._entry(key), value) for key, value in self._runner.config().items()]
        unlike += [(key, self._entry(key), None) for key in _NEVER_ASKED]
        return [f"the session has {name} = {found}, not {value}" for name, found, value in unlike if found != value]

    def _kept_budget(self, options: Mapping[str, str]) -> dict[str, Any]:
        """What is read back of the budget, in the common words."""
        held = self.session.get_session_options()
        spinning = self._entry("session.intra_op.allow_spinning")
        return {
            "inter_op": held.inter_op_num_threads,
            "waiting": {"1": "spin, then sleep", "0": "sleep"}.get(spinning or "", untold("no entry of the session")),
            "matrix_precision": untold("kernels do not tell; no entry of the session allows less than the dtype"),
            "tf32": self._runner.target.tf32(options),
            "denormals": "count as zero" if self._entry("session.set_denormal_as_zero") == "1" else "kept",
            "denormals_told_by": "session option",
        }

    def memory(self) -> Mapping[str, Reading]:
        return {"planned_bytes": absent("B", "ONNX Runtime does not tell what its memory pattern plans")}

    @property
    def idiom(self) -> Mapping[str, str]:
        in_place = "GroupQueryAttention, past and present one buffer" if self._whole_at else "bound in place"
        cache = (in_place if self._in_place else "two bound buffers, swapped") if self._carried else "none"
        fused = [name for name in ("attention", "projections", "norms") if self._fused.get(name)]
        return {
            "weights": "constants, pre-packed",
            "graph": f"{', '.join(fused)} fused" if fused else "as exported",
            "kv_cache": cache,
            "inputs": "bound",
            "outputs": "bound",
        }

    @property
    def options(self) -> Mapping[str, Any]:
        return {
            **self._tuning,
            "kv_cache": "in_place" if self._in_place else "ping_pong",
            "execution_mode": "sequential",
            "format": self._artifact.format,
            **{f"fused.{name}": count for name, count in self._fused.items()},
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
    kinds = tuple(dict.fromkeys(provider.device for provider in PROVIDERS.values()))
    citation = Citation(
        key="onnxruntime",
        title="ONNX Runtime",
        authors=("ONNX Runtime developers",),
        year=2018,
        url="https://onnxruntime.ai",
    )
    caps_memory = "gpu_mem_limit, arena_extend_strategy=kSameAsRequested"
    accepts: ClassVar[Mapping[str, str]] = {
        "opset": "standard ONNX of this operator set, 20 or 23; by default 23, with the runtime's own on a CPU",
        "kv_cache": "in_place (one buffer is input and output) or ping_pong (two buffers swap roles)",
        "spinning": "true or false: whether idle threads of the pool spin for a while before they sleep",
    }

    def __init__(self, context: LaunchContext) -> None:
        super().__init__(context)
        self.target = provider_of(context.backend, context.device.kind)
        self.provider = self.target.name
        chosen = {key: value for key, value in _checked(context.backend).items() if key != "opset"}
        self.tuning = {**self.tunings[context.budget.tuning], **chosen}

    @classmethod
    def needs(cls, backend: BackendSpec) -> tuple[str, ...]:
        """`onnx`, or standard ONNX of the operator set asked for."""
        opset = _checked(backend).get("opset")
        return cls.formats if opset is None else (f"onnx@{opset}",)

    @classmethod
    def availability(cls, backend: BackendSpec, device_kind: str) -> Availability:
        """Whether this build has the provider. Raises UsageError for options that do not exist."""
        try:
            target = provider_of(backend, device_kind)
        except Unsupported as error:
            return Availability(available=False, reason=str(error))
        _checked(backend)
        try:
            import onnxruntime
        except ImportError:
            return Availability(available=False, reason=str(MissingPackage("onnxruntime", "onnxruntime")))
        found = onnxruntime.get_available_providers()
        versions = {"onnxruntime": onnxruntime.__version__}
        if target.name not in found:
            reason = f"this build of ONNX Runtime has no {target.name}, only {', '.join(found)}: {target.install}"
            return Availability(available=False, reason=reason, versions=versions, devices=tuple(found))
        return Availability(
            available=True, versions=versions, devices=(device_kind,), details={"provider": target.name}
        )

    def start(self) -> None:
        """Import ONNX Runtime; threads and precision are pinned per session."""
        import onnxruntime

        if self.provider not in onnxruntime.get_available_providers():
            raise Unsupported(f"this build of ONNX Runtime has no {self.provider}: {self.target.install}")

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
        return self.target.options(self.context)

    def peaks(self) -> Mapping[str, Reading]:
        """ONNX Runtime tells its arena's statistics to C callers that hold the session; Python is not one."""
        reason = "ONNX Runtime tells its arena's statistics to C callers only"
        return {"allocator_peak_bytes": absent("B", reason)}

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
        return _Session(self, program, artifact_of(program, wanted))


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


@contextmanager
def _no_collection() -> Iterator[None]:
    """No garbage is collected meanwhile: a session in it would end its threads while those of another are counted."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _own_threads() -> int | None:
    """Threads of this process; None where the system does not list them."""
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.exists() else None


RUNNERS = {"onnxruntime": OnnxRuntime}
