"""What every runner on PyTorch shares: the original module, and its parameters, shared by a launch's programs.

A program that takes its KV cache as state is built with `in_place=True`: the tensors passed in are
updated and stay where they are, as PyTorch users do it.
"""

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from steelyard.adapters import denormals
from steelyard.adapters.torch_device import KINDS, TorchDevice, device_class, package_versions
from steelyard.adapters.torch_executable import PACKAGES, TorchExecutable
from steelyard.core import quantization
from steelyard.core.backend import Availability, BackendSpec
from steelyard.core.citation import Citation
from steelyard.core.errors import MissingPackage, Unsupported, UsageError
from steelyard.core.lowered import LoweredProgram
from steelyard.core.metrics import Reading
from steelyard.core.result import untold
from steelyard.core.runner import LaunchContext, Runner
from steelyard.core.tracing import Tracer

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_OPENMP = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_PROC_BIND", "KMP_BLOCKTIME")
PINNED: Mapping[str, Any] = {
    "inference_mode": "but for programs that compute gradients",
    "interop_threads": 1,
    "precision=strict": {"float32_matmul_precision": "highest", "allow_tf32": False},
}
"""What every tuning on PyTorch has."""

CITATION = Citation(
    key="pytorch",
    kind="inproceedings",
    title="PyTorch 2: Faster Machine Learning Through Dynamic Python Bytecode Transformation and Graph Compilation",
    authors=("Ansel, Jason", "Yang, Edward", "He, Horace", "others"),
    year=2024,
    booktitle="29th ACM International Conference on Architectural Support for Programming Languages and Operating "
    "Systems, Volume 2 (ASPLOS '24)",
    publisher="ACM",
    doi="10.1145/3620665.3640366",
)
"""What a paper cites for PyTorch, whichever backend it ran."""


class TorchRunner(Runner):
    """A runtime that executes the original torch module; as it stands, eager."""

    formats = ("module",)
    script = "steelyard.adapters.torch_script:script"
    tunings: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": PINNED,
        "max": {**PINNED, "cudnn.benchmark": True},
    }
    keeps_cache = ""
    requirements = ("torch", "transformers", "gguf")
    compile_s_per_gb = 0.5
    kinds = KINDS
    tells: ClassVar[Mapping[str, str]] = {
        "compilation": "steelyard.adapters.torch_compilation",
        "memory": "steelyard.adapters.torch_memory",
    }
    accepts: ClassVar[Mapping[str, str]] = {}
    caps_memory = "torch.cuda.set_per_process_memory_fraction"
    executable: ClassVar[type[TorchExecutable]] = TorchExecutable
    target: TorchDevice
    """The device, from `start` on."""

    def __init__(self, context: LaunchContext) -> None:
        super().__init__(context)
        self.check_options(context.backend)
        self.device: Any = None
        self._parameters: dict[str, dict[str, Any]] = {}

    @classmethod
    def availability(cls, backend: BackendSpec, device_kind: str) -> Availability:
        """Torch is there and sees such a device."""
        try:
            kind = device_class(device_kind)
        except Unsupported as error:
            return Availability(available=False, reason=str(error))
        try:
            import torch  # noqa: F401 (imported here for its reason to fail)
        except ImportError as error:
            missing = error.name == "torch"
            reason = str(MissingPackage("torch", "torch")) if missing else f"torch does not import: {error}"
            return Availability(available=False, reason=reason)
        versions = package_versions(*PACKAGES)
        if reason := kind.missing():
            return Availability(available=False, reason=reason, versions=versions)
        try:
            cls.resolve(backend)
        except UsageError as error:
            return Availability(available=False, reason=str(error), versions=versions)
        return Availability(available=True, versions=versions, devices=kind.names())

    @classmethod
    def resolve(cls, backend: BackendSpec) -> None:
        """Raises UsageError where what stands behind the backend's colon is not there; as it stands, nothing does."""

    @classmethod
    def environment(cls, context: LaunchContext) -> Mapping[str, str]:
        """OpenMP and MKL sized by the budget. The wait policy stays the runtime's own and is recorded in the proof."""
        return dict.fromkeys(_THREADS, str(context.threads_a_call))

    def start(self) -> None:
        """Import torch; pin threads and precision; enter inference mode for the life of the process."""
        try:
            import torch
        except ImportError as error:
            raise MissingPackage("torch", "torch") from error
        if not quantization.kind_of(self.context.backend):
            # transformers imports it wherever it is installed, which would be part of what every row takes to start.
            sys.modules.setdefault("torchao", None)  # type: ignore[arg-type]
        budget, device = self.context.budget, self.context.device
        self.target = device_class(device.kind)(device.index)
        torch.set_num_threads(self.context.threads_a_call)
        if torch.get_num_interop_threads() != 1:
            torch.set_num_interop_threads(1)
        if budget.precision == "strict":
            torch.set_float32_matmul_precision("highest")
            torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.benchmark = budget.tuning == "max"
        self.device = self.target.device
        self.target.bind(budget)
        self._mode = torch.inference_mode()
        self._mode.__enter__()

    def flush(self) -> Callable[[], None]:
        """By a tensor of zeros."""
        return self.target.flush()

    def reset_peaks(self) -> None:
        """Of the caching allocator."""
        self.target.reset_peaks()

    def peaks(self) -> Mapping[str, Reading]:
        """Of the caching allocator."""
        return self.target.peaks()

    def load(self, program: LoweredProgram) -> TorchExecutable:
        """Build the original module; programs of one launch share one set of parameters."""
        if program.program.dtype in self.target.no_dtypes:
            raise Unsupported(f"torch on {self.target.type} has no {program.program.dtype}")
        if program.program.gradients:
            self._leave_inference_mode()
        return self.executable(self, program.program, self.module(program))

    def tracer(self, program: LoweredProgram) -> Tracer:
        """With torch.profiler."""
        from steelyard.adapters.torch_graph import eager
        from steelyard.adapters.torch_trace import TorchTracer

        return TorchTracer(self.load(program), self.target.type, eager)

    def _leave_inference_mode(self) -> None:
        """Its tensors can take no part in a gradient."""
        import torch

        if torch.is_inference_mode_enabled():
            self._mode.__exit__(None, None, None)
            self._mode = torch.no_grad()
            self._mode.__enter__()

    def module(self, program: LoweredProgram) -> Any:
        """The original module with its weights on the device."""
        from steelyard.lowering.source import build_module

        return self.share(build_module(program.program, program.weights_file, in_place=True), program.weights_file)

    def share(self, module: Any, weights_file: str) -> Any:
        """The module on the device, its parameters those that an earlier module of the same weights has put there."""
        held = self._parameters.setdefault(weights_file, {})
        for prefix, part in module.named_modules(remove_duplicate=False):
            for name, parameter in tuple(part.named_parameters(recurse=False)):
                shared = held.get(f"{prefix}.{name}")
                if shared is not None and shared.shape == parameter.shape and shared.dtype == parameter.dtype:
                    setattr(part, name, shared)
        module.to(self.device)
        for prefix, part in module.named_modules(remove_duplicate=False):
            held.update((f"{prefix}.{name}", item) for name, item in part.named_parameters(recurse=False))
        return module

    def kept_budget(self) -> dict[str, Any]:
        """What is read back of the budget, in the common words."""
        import torch

        precision = self.matmul_precision()
        waiting = {name: os.environ[name] for name in _OPENMP if name in os.environ}
        return {
            "inter_op": torch.get_num_interop_threads(),
            "waiting": waiting or untold("no variable sets it, and OpenMP does not tell its default"),
            "matrix_precision": f"{precision}; oneDNN: {torch.backends.mkldnn.matmul.fp32_precision}"
            if self.target.type == "cpu"
            else precision,
            "tf32": self.target.tf32(precision),
            "denormals": self._denormals(),
            "denormals_told_by": "tried",
        }

    def matmul_precision(self) -> str:
        """What float32 matrix products may be computed in: `highest`, `high`, `medium`, or library by library."""
        import torch

        try:
            return str(torch.get_float32_matmul_precision())
        except RuntimeError:  # the one switch cannot say it: the libraries were given switches of their own
            libraries = {"oneDNN": torch.backends.mkldnn.matmul, "CUDA": torch.backends.cuda.matmul}
            return ", ".join(f"{name} {library.fp32_precision}" for name, library in libraries.items())

    def _denormals(self) -> str:
        """A product of denormal numbers, long enough for every thread of the pool to have a part of it."""
        import torch

        given = torch.full((1 << 17,), denormals.TINY, device=self.device)
        return denormals.in_words(int((given * 1.5).count_nonzero()), given.numel())

    def facts(self) -> dict[str, Any]:
        """What the process says of itself: threads, waiting, instruction set, precision switches."""
        import torch

        return {
            "interop_threads": torch.get_num_interop_threads(),
            "affinity_cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
            "openmp": {name: os.environ.get(name, "unset") for name in _OPENMP},
            # File names only: a preloaded OpenMP or allocator changes everything, its folder is the user's affair.
            "preloaded": [os.path.basename(path) for path in os.environ.get("LD_PRELOAD", "").split()],
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "mkldnn": torch.backends.mkldnn.is_available(),
            "float32_matmul_precision": self.matmul_precision(),
            "cudnn_allow_tf32": torch.backends.cudnn.allow_tf32,
            "inference_mode": torch.is_inference_mode_enabled(),
            **self.target.facts(),
        }
