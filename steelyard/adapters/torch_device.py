"""The kinds of device that PyTorch runs on: how one is found, bound, waited for and timed, and what it tells.

ROCm builds of torch answer to the names of CUDA; which of the two a build is for stands in `torch.version`.
"""

import contextlib
import importlib.metadata
import os
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from steelyard.adapters.torch_timer import EventTimer
from steelyard.core.backend import Budget
from steelyard.core.errors import Unsupported
from steelyard.core.metrics import Reading, absent


class TorchDevice:
    """One device; as it stands, the CPU. `type` is torch's own word for the kind."""

    type: ClassVar[str] = "cpu"
    caps_memory: ClassVar[bool] = False
    tells_tf32: ClassVar[str] = "no such type on a CPU"
    no_dtypes: ClassVar[tuple[str, ...]] = ()

    def __init__(self, index: int) -> None:
        import torch

        self.device = torch.device(self.type) if self.type == "cpu" else torch.device(self.type, index)

    @classmethod
    def missing(cls) -> str:
        """Why torch has no such device here, and what to do about it; empty if it has one."""
        return ""

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Every such device that torch sees. The CPU has no name in torch."""
        return ("cpu",)

    @property
    def platform(self) -> str:
        """What the proof calls the place of execution."""
        return self.type

    def bind(self, budget: Budget) -> None:
        """Make it the process's device and keep the budget's precision and memory cap on it."""

    def wait(self) -> Callable[[], None] | None:
        """Returns when all that was asked of the device is done; None where a call is that already."""
        return None

    def timer(self) -> EventTimer:
        """Times calls on the device's own clock. Raises Unsupported with the reason where there is none."""
        raise Unsupported("a CPU's own time is the host's")

    def flush(self) -> Callable[[], None]:
        """See `Runner.flush`."""
        raise Unsupported(f"torch does not tell the size of the L2 cache of {self.type}")

    def reset_peaks(self) -> None:
        """The peaks of the caching allocator start anew."""

    def peaks(self) -> Mapping[str, Reading]:
        """What tensors took at most, and what the allocator held. The driver's context is in neither."""
        return {"allocator_peak_bytes": absent("B", "torch counts no CPU allocations")}

    def tf32(self, precision: str) -> str:
        """Whether TF32 may stand in for float32; `precision` is that of matrix products."""
        return self.tells_tf32

    def loose(self) -> tuple[str, ...]:
        """What would compute in less than the dtype, or elsewhere, although the precision is strict."""
        return ()

    def facts(self) -> Mapping[str, Any]:
        """What is set on such a device alone."""
        return {}


class _Accelerator(TorchDevice):
    """A device with an allocator and events of its own, whose calls return before they are done."""

    caps_memory = True
    cache: ClassVar[str] = "L2_cache_size"
    """Where the device's properties tell how large its last cache is."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self._api = self.api()

    @classmethod
    def api(cls) -> Any:
        """The part of torch that speaks of it: torch.cuda, torch.xpu."""
        import torch

        return getattr(torch, cls.type)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        api = cls.api()
        return tuple(str(api.get_device_name(index)) for index in range(api.device_count()))

    @property
    def platform(self) -> str:
        return str(self._api.get_device_name(self.device))

    def bind(self, budget: Budget) -> None:
        self._api.set_device(self.device)
        if budget.memory_cap_bytes is not None:
            whole = self._api.get_device_properties(self.device).total_memory
            self._api.set_per_process_memory_fraction(min(1.0, budget.memory_cap_bytes / whole), self.device)

    def wait(self) -> Callable[[], None] | None:
        synchronize, device = self._api.synchronize, self.device
        return lambda: synchronize(device)

    def timer(self) -> EventTimer:
        return EventTimer(self._api)

    def flush(self) -> Callable[[], None]:
        import torch

        size = int(getattr(self._api.get_device_properties(self.device), self.cache))
        if size <= 0:
            raise Unsupported(f"torch does not tell the size of the L2 cache of {self.platform}")
        buffer = torch.empty(2 * size, dtype=torch.uint8, device=self.device)
        synchronize, device = self._api.synchronize, self.device

        def flush() -> None:
            buffer.zero_()
            synchronize(device)

        return flush

    def reset_peaks(self) -> None:
        self._api.reset_peak_memory_stats(self.device)

    def peaks(self) -> Mapping[str, Reading]:
        return {
            metric: Reading(
                value=float(getattr(self._api, function)(self.device)), unit="B", method=f"torch.{self.type}.{function}"
            )
            for metric, function in (
                ("allocator_peak_bytes", "max_memory_allocated"),
                ("allocator_reserved_bytes", "max_memory_reserved"),
            )
        }


class Cuda(_Accelerator):
    """An NVIDIA GPU."""

    type = "cuda"

    @classmethod
    def missing(cls) -> str:  # noqa: D102
        import torch

        if torch.version.cuda is None:
            return f"torch {torch.__version__} is built without CUDA: pip install 'steelyard[cuda]'"
        return "" if torch.cuda.is_available() else "torch sees no CUDA device"

    def tf32(self, precision: str) -> str:  # noqa: D102
        import torch

        return "allowed" if torch.backends.cudnn.allow_tf32 or precision != "highest" else "off"

    def loose(self) -> tuple[str, ...]:  # noqa: D102
        import torch

        return ("cuDNN may use TF32 although the precision is strict",) if torch.backends.cudnn.allow_tf32 else ()


class Rocm(Cuda):
    """An AMD GPU, under CUDA's names."""

    @classmethod
    def missing(cls) -> str:  # noqa: D102
        import torch

        if torch.version.hip is None:
            return (
                f"torch {torch.__version__} is built without ROCm: install the build for your ROCm version, as "
                "pytorch.org/get-started/locally tells (--index-url .../whl/rocmX.Y)"
            )
        return "" if torch.cuda.is_available() else "torch sees no ROCm device"

    def facts(self) -> Mapping[str, Any]:  # noqa: D102
        import torch

        return {"hip": torch.version.hip}


class Xpu(_Accelerator):
    """An Intel GPU."""

    type = "xpu"
    cache = "last_level_cache_size"

    @classmethod
    def missing(cls) -> str:  # noqa: D102
        import torch

        if torch.version.xpu is None:
            return (
                f"torch {torch.__version__} is built without Intel GPUs: install that build, as "
                "pytorch.org/get-started/locally tells (--index-url .../whl/xpu)"
            )
        return "" if torch.xpu.is_available() else "torch sees no Intel GPU: is its compute runtime installed?"

    def bind(self, budget: Budget) -> None:  # noqa: D102
        import torch

        super().bind(budget)
        if budget.precision == "strict":
            torch.backends.mkldnn.allow_tf32 = False

    def tf32(self, precision: str) -> str:  # noqa: D102
        import torch

        return "allowed" if torch.backends.mkldnn.allow_tf32 or precision != "highest" else "off"

    def loose(self) -> tuple[str, ...]:  # noqa: D102
        import torch

        return ("oneDNN may use TF32 although the precision is strict",) if torch.backends.mkldnn.allow_tf32 else ()


class Mps(TorchDevice):
    """The GPU of an Apple chip. It has no peaks, one queue, and no float64."""

    type = "mps"
    tells_tf32 = "no such type on an Apple GPU"
    no_dtypes = ("float64",)
    _SWITCHES = ("PYTORCH_ENABLE_MPS_FALLBACK", "PYTORCH_MPS_FAST_MATH")

    @classmethod
    def missing(cls) -> str:  # noqa: D102
        import torch

        if not torch.backends.mps.is_built():
            return f"torch {torch.__version__} is built without Metal: it is in the builds for macOS on arm64"
        return "" if torch.mps.is_available() else "torch sees no Metal device: macOS 14 or later is needed"

    @classmethod
    def names(cls) -> tuple[str, ...]:  # noqa: D102
        import torch

        return ("mps",) * int(torch.mps.device_count())

    def bind(self, budget: Budget) -> None:  # noqa: D102
        if budget.memory_cap_bytes is not None:
            raise Unsupported("Metal caps a share of what it recommends, not a number of bytes: leave --memory-cap out")

    def wait(self) -> Callable[[], None] | None:  # noqa: D102
        import torch

        synchronize: Callable[[], None] = torch.mps.synchronize
        return synchronize

    def timer(self) -> EventTimer:  # noqa: D102
        import torch

        return EventTimer(torch.mps.event)

    def peaks(self) -> Mapping[str, Reading]:  # noqa: D102
        return {"allocator_peak_bytes": absent("B", "torch.mps keeps no peak")}

    def loose(self) -> tuple[str, ...]:  # noqa: D102
        told = {"PYTORCH_ENABLE_MPS_FALLBACK": "lets the CPU compute", "PYTORCH_MPS_FAST_MATH": "loosens arithmetic"}
        return tuple(f"{name} is set, which {told[name]}" for name in self._SWITCHES if os.environ.get(name) == "1")

    def facts(self) -> Mapping[str, Any]:  # noqa: D102
        return {name: os.environ.get(name, "unset") for name in self._SWITCHES}


_KINDS: Mapping[str, type[TorchDevice]] = {"cpu": TorchDevice, "cuda": Cuda, "rocm": Rocm, "xpu": Xpu, "mps": Mps}
KINDS = tuple(_KINDS)


def device_class(kind: str) -> type[TorchDevice]:
    """What PyTorch calls such a device. Raises Unsupported for a kind that it does not run on."""
    if kind not in _KINDS:
        raise Unsupported(f"PyTorch runs on no {kind}, only on {', '.join(_KINDS)}")
    return _KINDS[kind]


def package_versions(*packages: str) -> dict[str, str]:
    """Versions of those that are installed."""
    found = {}
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found
