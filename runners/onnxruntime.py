"""ONNX Runtime: an `InferenceSession` with every input and output bound to its place beforehand.

Execution mode: weights are constants of the session (pre-packed), inputs and outputs are `OrtValue`s bound once
through `IOBinding`, and a KV cache is bound in place: one `OrtValue` is both the state's input and its output.
That is right only if nothing reads the old state after it was overwritten, so `proof` runs the program both ways and
compares bit by bit; `kv_cache=ping_pong` binds two buffers and swaps them instead. On a CPU language models come as
ONNX Runtime's own operators (`steelyard.formats.onnx.fuse`), elsewhere, and with `opset`, as standard ONNX.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakSet

from steelyard.adapters.bound import Place, artifact_of, carried_state, check_ports, in_place_agrees
from steelyard.adapters.onnxruntime_binding import Bound, DeviceBound, DevicePlace, value_on
from steelyard.adapters.onnxruntime_provider import PROVIDERS, provider_of
from steelyard.adapters.onnxruntime_readback import dtypes, kept_budget, options_unlike, unquantized
from steelyard.adapters.onnxruntime_session import TELLS, opened, options_of, profiled
from steelyard.adapters.onnxruntime_tuning import ACCEPTS, DEFAULT, LADDER, MAX, SEARCHED, VALUES, tuned
from steelyard.core import quantization
from steelyard.core.backend import Availability, BackendSpec
from steelyard.core.citation import Citation
from steelyard.core.errors import MissingPackage, Unsupported, UsageError
from steelyard.core.lowered import Artifact, LoweredProgram
from steelyard.core.metrics import Reading, absent
from steelyard.core.result import Proof
from steelyard.core.runner import Arrays, Binding, Executable, LaunchContext, Runner
from steelyard.core.tracing import Tracer
from steelyard.core.workload import TensorSpec


class _Session(Executable):
    """One program as an `InferenceSession`. The constructor of a session reads the file, optimises the
    graph and packs the weights in one call, so all of that counts as compile."""

    def __init__(self, runner: "OnnxRuntime", program: LoweredProgram, artifact: Artifact) -> None:
        self.program = program
        self.session: Any = None
        self.bindings: WeakSet[Bound] = WeakSet()
        self.profile: Path | None = None  # how the profiler's file is to begin; without it there is no profiler
        self.optimised: Path | None = None  # where the graph that it executes is written
        self._runner = runner
        self.artifact = artifact
        self._tuning = runner.tuning
        self.ports: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {})
        self._carried = carried_state(program.program)
        # Of a training step the old parameters are read long after the first new ones are written.
        self._in_place = self._tuning["kv_cache"] == "in_place" and not program.program.gradients
        self._threads: int | None = None
        self._kind = quantization.kind_of(runner.context.backend)
        self._fused: Mapping[str, int] = artifact.details.get("fused", {})
        self._whole_at: Mapping[str, int] = artifact.details.get("whole_at", {})

    def compile(self) -> None:
        self.session, threads = opened(
            Path(self.artifact.directory) / self.artifact.entry,
            profiled(self._runner.session_options(), self.profile, self.optimised),
            self._runner.provider,
            self._runner.provider_options(),
            self.program.program.name,
        )
        # For a device the driver starts threads of its own, so that the difference says nothing.
        self._threads = threads if self._runner.context.device.kind == "cpu" else None
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        check_ports(self.artifact, len(inputs), len(outputs))
        # By place: the record has the order of the file, whose own names may carry a suffix.
        self.ports = (
            {name: port.name for name, port in zip(self.artifact.inputs, inputs, strict=True)},
            {name: port.name for name, port in zip(self.artifact.outputs, outputs, strict=True)},
        )

    def place(self, spec: TensorSpec) -> Place:
        """A zeroed place on the device."""
        memory = self._runner.target.memory
        if memory is None:
            return Place(spec, value_on)
        kind, vendor = memory
        return DevicePlace(spec, kind, self._runner.context.device.index, vendor)

    def bind(self, inputs: Arrays) -> Binding:
        bound = self._bind(inputs, self._in_place)
        self.bindings.add(bound)
        return bound

    def _bind(self, inputs: Arrays, in_place: bool) -> Bound:
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
        declared = {spec.name: spec for spec in program.outputs}
        dtype, unlike = dtypes(self.session, tuple(declared[name] for name in self.artifact.outputs))
        mismatches += unlike
        if self._carried and self._in_place and not in_place_agrees(program, self._bind_whole):
            mismatches.append("the state bound in place gives other outputs than beside: use [kv_cache=ping_pong]")
        mismatches += options_unlike(self.session, self._tuning, self._runner.config())
        operators = Counter(kind for _, kind in nodes)
        mismatches += unquantized(operators) if self._kind else []
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
            budget=kept_budget(self.session, self._runner.target.tf32(options)),
            details={
                "providers": list(self.session.get_providers()),
                "provider_options": dict(options),
                "operators": dict(sorted(operators.items())),
                "device_copies": sum(kind.startswith("Memcpy") for _, kind in nodes),
            },
        )

    def memory(self) -> Mapping[str, Reading]:
        return {"planned_bytes": absent("B", "ONNX Runtime does not tell what its memory pattern plans")}

    @property
    def execution_mode(self) -> Mapping[str, str]:
        in_place = "GroupQueryAttention, past and present one buffer" if self._whole_at else "bound in place"
        cache = (in_place if self._in_place else "two bound buffers, swapped") if self._carried else "none"
        fused = [name for name in ("attention", "projections", "norms") if self._fused.get(name)]
        weights = f"constants, quantized ({self._kind})" if self._kind else "constants, pre-packed"
        return {
            "weights": weights,
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
            "format": self.artifact.format,
            **{f"fused.{name}": count for name, count in self._fused.items()},
            "provider": self._runner.provider,
            "intra_op_threads": self._runner.context.threads_a_call,
            "inter_op_threads": 1,
            **{f"config.{key}": value for key, value in self._runner.config().items()},
            **{f"provider.{key}": value for key, value in self._runner.provider_options().items()},
        }


class OnnxRuntime(Runner):
    """`onnxruntime[:PROVIDER]`; the provider defaults to the device's own."""

    formats: ClassVar[tuple[str, ...]] = ("onnx",)
    script = "steelyard.adapters.onnxruntime_script:script"
    tunings: ClassVar[Mapping[str, Mapping[str, Any]]] = {"default": DEFAULT, "max": MAX}
    keeps_cache: ClassVar[str] = ""
    requirements = ("onnxruntime",)
    kinds = tuple(dict.fromkeys(provider.device for provider in PROVIDERS.values()))
    citation = Citation(
        key="onnxruntime",
        title="ONNX Runtime",
        authors=("ONNX Runtime developers",),
        year=2018,
        url="https://onnxruntime.ai",
    )
    tells: ClassVar[Mapping[str, str]] = TELLS
    caps_memory = "gpu_mem_limit, arena_extend_strategy=kSameAsRequested"
    accepts = ACCEPTS
    values = VALUES
    searched = SEARCHED
    numbers = ("opset",)
    ladder = LADDER

    def __init__(self, context: LaunchContext) -> None:
        super().__init__(context)
        self.target = provider_of(context.backend, context.device.kind)
        self.provider = self.target.name
        self.tuning = tuned(self.tunings[context.budget.tuning], self.check_options(context.backend))

    @classmethod
    def needs(cls, backend: BackendSpec) -> tuple[str, ...]:
        """`onnx`, or standard ONNX of the operator set asked for. Raises UsageError for that and a quantization."""
        opset = cls.check_options(backend).get("opset")
        if opset is None:
            return quantization.formats("onnx", backend)
        if quantization.kind_of(backend):
            raise UsageError(f"{backend.text}: what is quantized is {cls.formats[0]}, not one of its operator sets")
        return (f"onnx@{opset}",)

    @classmethod
    def availability(cls, backend: BackendSpec, device_kind: str) -> Availability:
        """Whether this build has the provider. Raises UsageError for options that do not exist."""
        try:
            target = provider_of(backend, device_kind)
        except Unsupported as error:
            return Availability(available=False, reason=str(error))
        cls.check_options(backend)
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
        return {"allocator_peak_bytes": absent("B", "ONNX Runtime tells its arena's statistics to C callers only")}

    def session_options(self) -> Any:
        """A fresh `SessionOptions` with the tuning and the budget's threads."""
        return options_of(self.context.threads_a_call, self.tuning, self.config())

    def tracer(self, program: LoweredProgram) -> Tracer:
        """See `Runner`: the profiler of sessions."""
        from steelyard.adapters.onnxruntime_trace import SessionTracer

        return SessionTracer(lambda: self.load(program), self.context.scratch)

    def load(self, program: LoweredProgram) -> Executable:
        """Choose the artifact; the session reads it in `compile`."""
        return _Session(self, program, self._artifact(program))

    def _artifact(self, program: LoweredProgram) -> Artifact:
        return artifact_of(program, self.needs(self.context.backend)[-1])


RUNNERS = {"onnxruntime": OnnxRuntime}
