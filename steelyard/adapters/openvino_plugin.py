"""OpenVINO's plugins for CPU, Intel GPU and NPU: names, properties, precisions, and where tensors lie."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from steelyard.adapters.bound import Array, Place, numpy_type
from steelyard.core.backend import BackendSpec
from steelyard.core.errors import Unsupported, unknown_name
from steelyard.core.metrics import Reading, absent
from steelyard.core.result import untold
from steelyard.core.workload import TensorSpec


class Plugin:
    """One plugin on one device; as it stands, the CPU's."""

    name: ClassVar[str] = "CPU"
    kind: ClassVar[str] = "cpu"
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "float16", "bfloat16")
    counts_threads: ClassVar[bool] = True
    """Whether the budget's threads are the plugin's: on an accelerator they only feed it."""

    foreign: ClassVar[tuple[str, ...]] = ()
    """Properties of a tuning that the plugin does not have."""

    tf32: ClassVar[Any] = "no such type on a CPU"
    inputs: ClassVar[str] = "bound"
    missing: ClassVar[str] = "pip install 'steelyard[openvino]'"

    def __init__(self, index: int) -> None:
        self.index = index

    @property
    def device(self) -> str:
        """What `compile_model` is given."""
        return self.name

    @property
    def executes_on(self) -> tuple[str, ...]:
        """What EXECUTION_DEVICES may say when all runs here."""
        return (self.name,)

    def seen(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        """Those of OpenVINO's devices that belong to the plugin."""
        return tuple(each for each in devices if each.partition(".")[0] == self.name)

    def kept(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The properties that the plugin has."""
        return {name: value for name, value in config.items() if name not in self.foreign}

    def places(self, core: Any, value_on: Callable[[Array, TensorSpec], Any]) -> Callable[[TensorSpec], Place]:
        """How a place for a tensor is made."""
        return lambda spec: Place(spec, value_on)

    def peaks(self) -> Mapping[str, Reading]:
        """The plugin has no figure of a peak."""
        return {"allocator_peak_bytes": absent("B", f"OpenVINO's {self.name} plugin tells no memory figures")}

    def facts(self, core: Any) -> Mapping[str, Any]:
        """What the plugin says of the device and of its memory."""
        return {}


class _Accelerator(Plugin):
    counts_threads = False
    foreign: ClassVar[tuple[str, ...]] = ("ENABLE_CPU_PINNING", "CPU_DENORMALS_OPTIMIZATION", "INFERENCE_NUM_THREADS")
    tells: ClassVar[tuple[str, ...]] = ("FULL_DEVICE_NAME",)

    def facts(self, core: Any) -> Mapping[str, Any]:
        known = set(core.get_property(self.device, "SUPPORTED_PROPERTIES"))
        return {name: core.get_property(self.device, name) for name in self.tells if name in known}


class Gpu(_Accelerator):
    """An Intel GPU. Tensors lie in its own memory, so that no call copies."""

    name, kind = "GPU", "xpu"
    dtypes = ("float32", "float16")
    tf32 = untold("the plugin does not tell whether its matrix units round float32")
    inputs = "bound in device memory"
    tells = ("FULL_DEVICE_NAME", "GPU_DEVICE_TOTAL_MEM_SIZE", "GPU_MEMORY_STATISTICS", "GPU_UARCH_VERSION")
    missing = "install Intel's compute runtime (intel-opencl-icd, level-zero), and join the group render"

    @property
    def device(self) -> str:  # noqa: D102
        return f"GPU.{self.index}"

    @property
    def executes_on(self) -> tuple[str, ...]:  # noqa: D102
        return ("GPU", "GPU.0") if self.index == 0 else (self.device,)

    def places(self, core: Any, value_on: Callable[[Array, TensorSpec], Any]) -> Callable[[TensorSpec], Place]:  # noqa: D102
        context = core.get_default_context(self.device)
        return lambda spec: RemotePlace(spec, context, value_on)

    def peaks(self) -> Mapping[str, Reading]:  # noqa: D102
        return {"allocator_peak_bytes": absent("B", "GPU_MEMORY_STATISTICS tells what is held, and no peak")}


class Npu(_Accelerator):
    """An Intel NPU: computes in half precision, on the host's memory."""

    name, kind = "NPU", "npu"
    dtypes = ("float16",)
    foreign = (*_Accelerator.foreign, "NUM_STREAMS", "KV_CACHE_PRECISION", "DYNAMIC_QUANTIZATION_GROUP_SIZE")
    tf32 = "no such type on an NPU"
    inputs = "bound on the host, whose memory the NPU shares"
    tells = ("FULL_DEVICE_NAME", "NPU_DEVICE_TOTAL_MEM_SIZE", "NPU_DEVICE_ALLOC_MEM_SIZE", "NPU_DRIVER_VERSION")
    missing = "install Intel's NPU driver (intel-driver-compiler-npu, intel-level-zero-npu), and join the group render"


class RemotePlace(Place):
    """A tensor in the memory of a GPU, filled and read through copies."""

    def __init__(self, spec: TensorSpec, context: Any, value_on: Callable[[Array, TensorSpec], Any]) -> None:
        import numpy as np

        self.spec, self._value_on = spec, value_on
        host = value_on(np.zeros(spec.shape, numpy_type(spec)), spec)
        self.value = context.create_tensor(host.get_element_type(), host.get_shape(), {})
        self.value.copy_from(host)

    def write(self, array: Array) -> None:
        """See `Place`: a copy to the device."""
        import numpy as np

        self.check(array)
        self.value.copy_from(self._value_on(np.array(array, order="C", copy=True), self.spec))

    def read(self) -> Array:
        """See `Place`: a copy from the device."""
        import numpy as np

        array: Array = np.empty(self.spec.shape, numpy_type(self.spec))
        self.value.copy_to(self._value_on(array, self.spec))
        return array


_PLUGINS: Mapping[str, type[Plugin]] = {"cpu": Plugin, "gpu": Gpu, "npu": Npu}
KINDS = tuple(plugin.kind for plugin in _PLUGINS.values())
TELLS: Mapping[str, str] = {
    "compilation": "steelyard.adapters.openvino_compilation",
    "memory": "steelyard.adapters.openvino_memory",
}
"""See `Runner.tells`."""

_NOT_DRIVEN = ("auto", "batch", "hetero", "multi")


def plugin_of(backend: BackendSpec, device_kind: str) -> type[Plugin]:
    """The plugin of a backend on a kind of device. Raises Unsupported or UsageError with the reason."""
    if backend.provider is None:
        for plugin in _PLUGINS.values():
            if plugin.kind == device_kind:
                return plugin
        raise Unsupported(f"OpenVINO runs on no {device_kind}, only on cpu, xpu and npu")
    name = backend.provider.lower()
    if name in _NOT_DRIVEN:
        raise Unsupported(f"OpenVINO's '{name}' chooses devices itself: name one of {', '.join(_PLUGINS)}")
    if name not in _PLUGINS:
        raise unknown_name("OpenVINO device", name, (*_PLUGINS, *_NOT_DRIVEN))
    found = _PLUGINS[name]
    if found.kind != device_kind:
        raise Unsupported(f"OpenVINO's '{name}' does not run on the device '{device_kind}': use --device {found.kind}")
    return found
