"""OpenVINO: a compiled model with one infer request per input set, its tensors set once.

Execution mode: weights are constants of the compiled model, `start_async` and `wait` run the request, and a KV cache is
bound in place: the same tensor is set as the state's input and output. `proof` shows that this gives the outputs of
separate tensors, bit by bit; `kv_cache=ping_pong` sets two and swaps them. The stateful form
(`apply_make_stateful_transformation`) gave the same outputs 4 to 20 % slower on decode steps of 0.1 and 18 ms.

`infer` computes in the calling thread instead of the plugin's, which saves about 10 us a call, but wraps every output
in an array, and by default copies it: with `share_outputs` a call took 7 us less with 5 outputs, 0.34 ms more with 61.

The CPU plugin computes float32 models in bfloat16 wherever the CPU has it unless `INFERENCE_PRECISION_HINT`
says otherwise, and keeps some caches in 8 bits: under strict precision all of that is pinned and read back.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakSet

from steelyard.adapters.bound import artifact_of, carried_state, check_ports, in_place_agrees
from steelyard.adapters.openvino_binding import Bound, tensor_on
from steelyard.adapters.openvino_plugin import KINDS, TELLS, plugin_of
from steelyard.adapters.openvino_precision import (
    DTYPES,
    HINTS,
    READ_BACK,
    denormals_of,
    matrix_types,
    narrower,
    nodes_of,
    plain,
    unlike,
    unquantized,
)  # fmt: skip
from steelyard.core import quantization
from steelyard.core.backend import Availability, BackendSpec
from steelyard.core.citation import Citation
from steelyard.core.errors import MissingPackage, Unsupported
from steelyard.core.lowered import Artifact, LoweredProgram
from steelyard.core.metrics import Reading, absent
from steelyard.core.result import Proof, untold
from steelyard.core.runner import Arrays, Binding, Executable, LaunchContext, Runner
from steelyard.core.tracing import Tracer


class _Compiled(Executable):
    """One program as a compiled model."""

    def __init__(self, runner: "OpenVino", program: LoweredProgram, artifact: Artifact, model: Any) -> None:
        self.program = program
        self.compiled: Any = None
        self.bindings: WeakSet[Bound] = WeakSet()
        self.profiled = False
        self._runner = runner
        self.artifact = artifact
        self._model = model
        self._carried = carried_state(program.program)
        self._in_place = runner.cache_mode == "in_place"
        self.place = runner.plugin.places(runner.core, tensor_on)

    def compile(self) -> None:
        check_ports(self.artifact, len(self._model.inputs), len(self._model.outputs))
        config = {
            **self._runner.config(self.program.program.dtype),
            "CACHE_DIR": str(self._runner.context.compile_cache),
        }
        if self.profiled:  # a model from the cache has lost the names of what was fused
            config |= {"PERF_COUNT": True, "CACHE_DIR": ""}
        self.compiled = self._runner.core.compile_model(self._model, self._runner.plugin.device, config)
        self._model = None

    def bind(self, inputs: Arrays) -> Binding:
        bound = self._bind(inputs, self._in_place)
        self.bindings.add(bound)
        return bound

    def _bind(self, inputs: Arrays, in_place: bool) -> Bound:
        return Bound(self, inputs, in_place)

    def proof(self) -> Proof:
        """Properties of the compiled model and the precision of each node of its runtime graph. With an
        in-place cache this makes one run in place and one beside it on requests of its own: call it
        outside any timed window."""
        import openvino

        program, budget = self.program.program, self._runner.context.budget
        known = set(self.compiled.get_property("SUPPORTED_PROPERTIES"))
        found: dict[str, Any] = {name: plain(self.compiled.get_property(name)) for name in READ_BACK if name in known}
        found["LOADED_FROM_CACHE"] = bool(self.compiled.get_property("LOADED_FROM_CACHE"))
        nodes, untold_why = nodes_of(self.compiled, always=self._runner.plugin.counts_threads)
        devices = [str(each) for each in self.compiled.get_property("EXECUTION_DEVICES")]
        mismatches = []
        plugin = self._runner.plugin
        if len(devices) != 1 or devices[0] not in plugin.executes_on:
            mismatches.append(f"executes on {', '.join(devices)}, not on {plugin.device}")
        streams = self._runner.context.streams
        threads = max(1, int(found["INFERENCE_NUM_THREADS"]) // streams) if plugin.counts_threads else None
        mismatches += unlike(self._runner.config(program.dtype), found)
        hint = str(found.get("INFERENCE_PRECISION_HINT", "untold"))
        quantized = quantization.kind_of(self._runner.context.backend)
        if quantized:
            mismatches += unquantized(quantized, nodes)
        elif budget.precision == "strict":
            mismatches += narrower(program.dtype, hint, nodes)
        if self._carried and self._in_place and not in_place_agrees(program, self._bind):
            mismatches.append("the state set in place gives other outputs than beside: use [kv_cache=ping_pong]")
        return Proof(
            runtime="openvino",
            versions={"openvino": openvino.__version__},
            platform=", ".join(devices),
            dtype=DTYPES.get(hint, hint),
            threads=threads,
            placement={", ".join(devices): len(nodes) or 1},
            mismatches=tuple(mismatches),
            budget={
                "inter_op": found.get("NUM_STREAMS", untold("no property of the plugin")),
                "waiting": untold("OpenVINO does not tell how its pool waits"),
                "matrix_precision": f"hint {hint}; nodes: {matrix_types(nodes)}; "
                f"{found.get('EXECUTION_MODE_HINT', 'no')} mode",
                "tf32": plugin.tf32,
                "denormals": self._runner.denormals(found.get("CPU_DENORMALS_OPTIMIZATION", False)),
                "denormals_told_by": "tried",
            },
            details={
                "properties": found,
                "node_precision": dict(sorted(Counter(precision for _, precision in nodes).items())),
                "nodes": dict(sorted(Counter(kind for kind, _ in nodes).items())),
                **({"nodes_untold": untold_why} if untold_why else {}),
                **plugin.facts(self._runner.core),
            },
        )

    def memory(self) -> Mapping[str, Reading]:
        return {"planned_bytes": absent("B", f"OpenVINO's {self._runner.plugin.name} plugin tells no memory figures")}

    @property
    def execution_mode(self) -> Mapping[str, str]:
        cache = ("bound in place" if self._in_place else "two bound tensors, swapped") if self._carried else "none"
        kind = quantization.kind_of(self._runner.context.backend)
        return {
            "weights": f"constants, quantized ({kind})" if kind else "constants",
            "kv_cache": cache,
            "inputs": self._runner.plugin.inputs,
            "outputs": self._runner.plugin.inputs,
            "call": "start_async, wait",
        }

    @property
    def options(self) -> Mapping[str, Any]:
        return {
            **self._runner.config(self.program.program.dtype),
            "device": self._runner.plugin.device,
            "kv_cache": self._runner.cache_mode,
            "format": self.artifact.format,
            "cache": "in the launch's compile cache",
        }


class OpenVino(Runner):
    """`openvino[:DEVICE]`; the device defaults to the one given by `--device`."""

    formats: ClassVar[tuple[str, ...]] = ("openvino",)
    script = "steelyard.adapters.openvino_script:script"
    tunings: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": True},
        "max": {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": True,
            "CPU_DENORMALS_OPTIMIZATION": True,  # denormal numbers count as zero
        },
    }
    kinds = KINDS
    tells: ClassVar[Mapping[str, str]] = TELLS
    requirements = ("openvino",)
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
        **quantization.options(*quantization.KINDS),
    }
    values: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "kv_cache": ("in_place", "ping_pong"),
        "precision": ("f32", "f16", "bf16", "auto"),
        **dict.fromkeys(quantization.KINDS, ("true",)),
    }
    numbers = ("streams",)
    searched: ClassVar[Mapping[str, tuple[str, ...]]] = {"kv_cache": ("ping_pong",)}

    def __init__(self, context: LaunchContext) -> None:
        super().__init__(context)
        self.plugin = plugin_of(context.backend, context.device.kind)(context.device.index)
        self._chosen = self.check_options(context.backend)
        self.cache_mode = self._chosen.get("kv_cache", "in_place")
        self.core: Any = None
        self._denormals: dict[bool, str] = {}

    @classmethod
    def needs(cls, backend: BackendSpec) -> tuple[str, ...]:  # noqa: D102
        return quantization.formats("openvino", backend)

    @classmethod
    def availability(cls, backend: BackendSpec, device_kind: str) -> Availability:
        """Whether OpenVINO sees such a device. Raises UsageError for options that do not exist."""
        cls.check_options(backend)
        try:
            plugin = plugin_of(backend, device_kind)(0)
        except Unsupported as error:
            return Availability(available=False, reason=str(error))
        try:
            import openvino
        except ImportError:
            return Availability(available=False, reason=str(MissingPackage("openvino", "openvino")))
        versions, core = {"openvino": openvino.__version__}, openvino.Core()
        found = tuple(core.available_devices)
        own = plugin.seen(found)
        if not own:
            there = ", ".join(found) or "none"
            reason = f"OpenVINO has no {plugin.name} plugin that works here, only {there}: {plugin.missing}"
            return Availability(available=False, reason=reason, versions=versions, devices=found)
        capabilities = list(core.get_property(own[0], "OPTIMIZATION_CAPABILITIES"))
        return Availability(available=True, versions=versions, devices=found, details={"capabilities": capabilities})

    def start(self) -> None:
        """Import OpenVINO; threads and precision are pinned per compiled model."""
        import openvino

        self.core = openvino.Core()

    def config(self, dtype: str) -> Mapping[str, Any]:
        """Properties that a program of this dtype is compiled with."""
        budget = self.context.budget
        config = {**self.tunings[budget.tuning], "INFERENCE_NUM_THREADS": budget.threads}
        # The plugin has no more streams than threads; further requests wait in its queue.
        config["NUM_STREAMS"] = int(self._chosen.get("streams", min(self.context.streams, budget.threads)))
        if budget.precision == "strict":
            config["INFERENCE_PRECISION_HINT"] = HINTS[dtype]
            config["KV_CACHE_PRECISION"] = HINTS[dtype]
            if not quantization.kind_of(self.context.backend):  # then activations are rounded as its default has it
                config["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = 0
        if self._chosen.get("precision") == "auto":
            config.pop("INFERENCE_PRECISION_HINT", None)
        elif "precision" in self._chosen:
            config["INFERENCE_PRECISION_HINT"] = self._chosen["precision"]
        return self.plugin.kept(config)

    def denormals(self, optimised: bool) -> Any:
        """A product of denormal numbers in a model of its own, compiled once with this CPU_DENORMALS_OPTIMIZATION."""
        if "float32" not in self.plugin.dtypes:
            return untold(f"the {self.plugin.name} plugin does not compute in float32")
        if optimised not in self._denormals:
            config = {
                "CPU_DENORMALS_OPTIMIZATION": optimised,
                "INFERENCE_NUM_THREADS": self.context.budget.threads,
                "INFERENCE_PRECISION_HINT": "f32",
            }
            self._denormals[optimised] = denormals_of(self.core, self.plugin.device, self.plugin.kept(config))
        return self._denormals[optimised]

    def peaks(self) -> Mapping[str, Reading]:
        """What the plugin tells."""
        return self.plugin.peaks()

    def tracer(self, program: LoweredProgram) -> Tracer:
        """See `Runner`: the plugin's counters."""
        from steelyard.adapters.openvino_trace import CountersTracer

        return CountersTracer(lambda: self.load(program))

    def load(self, program: LoweredProgram) -> Executable:
        """Read the IR; its weights stay mapped until the model is compiled."""
        artifact = artifact_of(program, self.needs(self.context.backend)[-1])
        dtype, strict = program.program.dtype, self.context.budget.precision == "strict"
        if dtype not in HINTS or (strict and dtype not in self.plugin.dtypes):
            raise Unsupported(f"OpenVINO's {self.plugin.name} plugin does not compute in {dtype}")
        return self.executable(program, artifact, self.core.read_model(Path(artifact.directory) / artifact.entry))

    def executable(self, program: LoweredProgram, artifact: Artifact, model: Any) -> Executable:
        """A program from a model; the artifact names its inputs and outputs."""
        return _Compiled(self, program, artifact, model)


RUNNERS = {"openvino": OpenVino}
