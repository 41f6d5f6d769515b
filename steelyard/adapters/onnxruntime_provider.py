"""The execution providers of ONNX Runtime that are driven: their devices, options, memory and precision read back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from steelyard.core.backend import BackendSpec
from steelyard.core.errors import Unsupported, unknown_name
from steelyard.core.result import untold
from steelyard.core.runner import LaunchContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One execution provider.

    `memory` is what ONNX Runtime calls the device memory that inputs and outputs are bound to: the kind, and the PCI
    vendor where the kind does not say it (-1 if it does). None where they stay on the host.
    """

    name: str
    device: str
    memory: tuple[str, int] | None
    install: str

    def options(self, context: LaunchContext) -> Mapping[str, str]:
        """What the provider is given: the device, the precision, the cap of memory, and graphs off by name."""
        return {}

    def tf32(self, options: Mapping[str, str]) -> Any:
        """Whether TF32 may stand in for float32, from the options that the session holds."""
        return "no such type on a CPU" if self.device == "cpu" else untold("the provider has no option use_tf32")

    def loose(self, options: Mapping[str, str]) -> tuple[str, ...]:
        """What the session's options allow although the precision is strict."""
        return tuple(f"the session has {name} = {options[name]}" for name in self.narrow if _on(options.get(name)))

    @property
    def narrow(self) -> tuple[str, ...]:
        """Options that compute in less than the dtype."""
        return ()


class Cuda(Provider):
    """NVIDIA's kernels: cuDNN, cuBLAS and ONNX Runtime's own."""

    def options(self, context: LaunchContext) -> Mapping[str, str]:  # noqa: D102
        budget = context.budget
        options = {"device_id": str(context.device.index), "use_tf32": "0" if budget.precision == "strict" else "1"}
        # ONNX Runtime's default, given by name so that the tuning table tells it.
        options["enable_cuda_graph"] = "0"
        if budget.memory_cap_bytes is not None:
            options["gpu_mem_limit"] = str(budget.memory_cap_bytes)
            # By default the arena doubles, and would meet the limit at half of it.
            options["arena_extend_strategy"] = "kSameAsRequested"
        return options

    def tf32(self, options: Mapping[str, str]) -> Any:  # noqa: D102
        told = {"0": "off", "1": "allowed"}.get(options.get("use_tf32", ""))
        return told or untold("the provider has no option use_tf32")

    def loose(self, options: Mapping[str, str]) -> tuple[str, ...]:  # noqa: D102
        return ("TF32 is on although the precision is strict",) if options.get("use_tf32") == "1" else ()


class TensorRt(Provider):
    """NVIDIA's TensorRT; its engines are kept in the launch's compile cache."""

    def options(self, context: LaunchContext) -> Mapping[str, str]:  # noqa: D102
        if context.budget.memory_cap_bytes is not None:
            raise Unsupported("TensorRT takes no limit of memory beyond its workspace: leave --memory-cap out")
        cache = str(context.compile_cache / "tensorrt")
        return {
            "device_id": str(context.device.index),
            **dict.fromkeys(self.narrow, "0"),
            "trt_cuda_graph_enable": "0",
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": cache,
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": cache,
            "trt_builder_optimization_level": "5" if context.budget.tuning == "max" else "3",
        }

    def tf32(self, options: Mapping[str, str]) -> Any:  # noqa: D102
        return untold("TensorRT allows TF32 by default; ONNX Runtime's provider neither tells nor turns it off")

    @property
    def narrow(self) -> tuple[str, ...]:  # noqa: D102
        return ("trt_fp16_enable", "trt_int8_enable")


class MiGraphX(Provider):
    """AMD's graph compiler."""

    def options(self, context: LaunchContext) -> Mapping[str, str]:  # noqa: D102
        budget = context.budget
        tuned = "1" if budget.tuning == "max" else "0"
        options = {
            "device_id": str(context.device.index),
            **dict.fromkeys(self.narrow, "0"),
            "migraphx_exhaustive_tune": tuned,
        }
        if budget.memory_cap_bytes is not None:
            options["migraphx_mem_limit"] = str(budget.memory_cap_bytes)
            options["migraphx_arena_extend_strategy"] = "kSameAsRequested"
        return options

    def tf32(self, options: Mapping[str, str]) -> Any:  # noqa: D102
        return untold("MIGraphX has no option of reduced float32 precision")

    @property
    def narrow(self) -> tuple[str, ...]:  # noqa: D102
        return ("migraphx_fp16_enable", "migraphx_fp8_enable", "migraphx_int8_enable")


class CoreMl(Provider):
    """Apple's Core ML on the GPU; inputs and outputs stay on the host, whose memory the GPU shares."""

    def options(self, context: LaunchContext) -> Mapping[str, str]:  # noqa: D102
        if context.budget.memory_cap_bytes is not None:
            raise Unsupported("Core ML takes no limit of memory: leave --memory-cap out")
        return {
            "ModelFormat": "MLProgram",
            "MLComputeUnits": "CPUAndGPU",
            "RequireStaticInputShapes": "1",
            "AllowLowPrecisionAccumulationOnGPU": "0",
            "ModelCacheDirectory": str(context.compile_cache / "coreml"),
        }

    def tf32(self, options: Mapping[str, str]) -> Any:  # noqa: D102
        return "no such type on an Apple GPU"

    @property
    def narrow(self) -> tuple[str, ...]:  # noqa: D102
        return ("AllowLowPrecisionAccumulationOnGPU",)


_AMD = 0x1002

PROVIDERS: Mapping[str, Provider] = {
    "cpu": Provider(
        name="CPUExecutionProvider", device="cpu", memory=None, install="pip install 'steelyard[onnxruntime]'"
    ),
    "cuda": Cuda(
        name="CUDAExecutionProvider", device="cuda", memory=("cuda", -1), install="pip install 'steelyard[cuda]'"
    ),
    "tensorrt": TensorRt(
        name="TensorrtExecutionProvider",
        device="cuda",
        memory=("cuda", -1),
        install="pip install 'steelyard[cuda]' tensorrt",
    ),
    "migraphx": MiGraphX(
        name="MIGraphXExecutionProvider",
        device="rocm",
        memory=("gpu", _AMD),
        install="install AMD's onnxruntime-migraphx for your ROCm version",
    ),
    "coreml": CoreMl(
        name="CoreMLExecutionProvider",
        device="mps",
        memory=None,
        install="pip install onnxruntime on macOS for arm64, whose build has it",
    ),
}
"""By the name that the user writes. The first of a device kind is that kind's default."""

_NOT_DRIVEN = ("dml", "dnnl", "openvino", "qnn", "rocm", "webgpu", "xnnpack")


def provider_of(backend: BackendSpec, device_kind: str) -> Provider:
    """The provider of a backend on a kind of device. Raises Unsupported or UsageError with the reason."""
    if backend.provider is None:
        for provider in PROVIDERS.values():
            if provider.device == device_kind:
                return provider
        raise Unsupported(f"ONNX Runtime on '{device_kind}': no provider of such a device is driven")
    name = backend.provider
    if name in _NOT_DRIVEN:
        raise Unsupported(f"ONNX Runtime's provider '{name}' is not driven: use one of {', '.join(PROVIDERS)}")
    if name not in PROVIDERS:
        raise unknown_name("ONNX Runtime provider", name, (*PROVIDERS, *_NOT_DRIVEN))
    found = PROVIDERS[name]
    if found.device != device_kind:
        raise Unsupported(
            f"the provider '{name}' does not run on the device '{device_kind}': use --device {found.device}"
        )
    return found


def _on(value: str | None) -> bool:
    """ONNX Runtime spells a switch as 0 and 1, or as False and True."""
    return value is not None and value.lower() in ("1", "true")
