"""The vendors' ways of timing: which of our backends each is held against, at which layer, and how it is started."""

import importlib.util
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from steelyard.core.backend import DeviceKind, parse_backend
from steelyard.core.result import Layer
from tests.validation import internal

OURS = "ours"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one side said in one launch: its samples, seconds per call, each the mean of `calls_per_sample` calls.

    `in_order` is whether they stand in the order in which they were taken (else within each turn they do not), so that
    something can be said of a steady state. `turns` are the first samples of the turns, none of a window in one piece.
    `wall_s` is the median of our ordinary latency (`bound_wall`) in the same launch where the layer is another.
    """

    samples_s: tuple[float, ...]
    calls_per_sample: int = 1
    in_order: bool = True
    wall_s: float | None = None
    turns: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One way of timing that is not ours.

    `backend` is ours to hold it against, `layer` what both times include, `module` with its `arguments` what is run as
    `python -m MODULE REQUEST EVENTS GO ARGUMENTS` (`child`) for one point, `missing` gives why it cannot be
    used here, or an empty string. `differs` says what its number includes that ours does not, or the other way round.
    `in_turns` is whether it can stand between two parts of its window; a program that runs to its end cannot.
    """

    name: str
    backend: str
    layer: Layer
    device_kind: DeviceKind
    module: str
    missing: Callable[[], str]
    differs: str
    arguments: tuple[str, ...] = ()
    in_turns: bool = True

    @property
    def key(self) -> str:
        """What tells it from all others."""
        return f"{self.name} ({self.backend})"

    @property
    def runner(self) -> str:
        """The name of our backend without provider and options."""
        return parse_backend(self.backend).runner

    @property
    def our_runner(self) -> str:
        """What our side's worker is given: for the runtime's own layer, a backend that keeps those times."""
        if self.layer == "runtime_internal":
            return self.backend.replace("openvino", internal.PATH, 1)
        return self.backend


def _module(name: str, extra: str) -> Callable[[], str]:
    hint = f"no module {name}: pip install 'steelyard[{extra}]'"
    return lambda: "" if importlib.util.find_spec(name) else hint  # a name without dots: nothing is imported


def _program(name: str, hint: str) -> Callable[[], str]:
    return lambda: "" if shutil.which(name) else f"no program {name} on PATH: {hint}"


def _no_layer() -> str:
    return "it times the device, and no runner records that layer yet"


_LOOP = "tests.validation.bare"
_BENCHMARK_APP = "tests.validation.benchmark_app"
_ONE_SET = "one input set instead of eight in turn, no performance hint, no steady state to be judged"
_TORCH = "its samples are means of blocks, so ours are averaged likewise; its own loop and the release of outputs count"
TOOLS: Sequence[Tool] = (
    Tool(
        name="bare loop",
        backend="onnxruntime",
        layer="bound_wall",
        device_kind="cpu",
        module=_LOOP,
        missing=_module("onnxruntime", "onnxruntime"),
        differs="default session options, where ours also records the placement of nodes",
    ),
    Tool(
        name="onnxruntime_perf_test",
        backend="onnxruntime",
        layer="bound_wall",
        device_kind="cpu",
        module="tests.validation.perf_test",
        in_turns=False,
        missing=_program("onnxruntime_perf_test", "it is no part of the wheel; built with ONNX Runtime"),
        differs="generated inputs, and each call allocates its outputs",
    ),
    Tool(
        name="benchmark_app",
        backend="openvino[kv_cache=ping_pong]",
        layer="runtime_internal",
        device_kind="cpu",
        module=_BENCHMARK_APP,
        arguments=("sync",),
        missing=_module("openvino", "openvino"),
        differs="it computes in the calling thread (`infer`), ours hands each call to the plugin's (`start_async`, as "
        f"-api async), because `infer` in Python wraps every output; {_ONE_SET}",
    ),
    Tool(
        name="benchmark_app -api async",
        backend="openvino[kv_cache=ping_pong]",
        layer="runtime_internal",
        device_kind="cpu",
        module=_BENCHMARK_APP,
        arguments=("async",),
        missing=_module("openvino", "openvino"),
        differs=_ONE_SET,
    ),
    Tool(
        name="torch.utils.benchmark",
        backend="eager",
        layer="bound_wall",
        device_kind="cpu",
        module="tests.validation.torch_timer",
        missing=_module("torch", "torch"),
        differs=_TORCH,
    ),
    Tool(
        name="torch.utils.benchmark",
        backend="inductor",
        layer="bound_wall",
        device_kind="cpu",
        module="tests.validation.torch_timer",
        missing=_module("torch", "torch"),
        differs=_TORCH,
    ),
    Tool(
        name="bare loop",
        backend="xla",
        layer="bound_wall",
        device_kind="cpu",
        module=_LOOP,
        missing=_module("jax", "xla"),
        differs="no difference between the two is known",
    ),
    Tool(
        name="cuda-bench",
        backend="inductor",
        layer="device",
        device_kind="cuda",
        module="",
        missing=_no_layer,
        differs="",
    ),
    Tool(
        name="trtexec",
        backend="onnxruntime:tensorrt",
        layer="bound_wall",
        device_kind="cuda",
        module="tests.validation.trtexec",
        in_turns=False,
        missing=_program("trtexec", "it comes with TensorRT"),
        differs="TensorRT without ONNX Runtime around it; random inputs",
    ),
)


def absent(tool: Tool, device_kind: str, ours: Mapping[str, str]) -> str:
    """Why a comparison cannot be made here, or an empty string. `ours` has the reason by backend that cannot run."""
    if tool.device_kind != device_kind:
        return f"it needs a {tool.device_kind} device; this is {device_kind}"
    return tool.missing() or ours.get(tool.our_runner, "")
