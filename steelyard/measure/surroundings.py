"""What a launch's own process says of its budget whatever the runtime: the CPUs of all its threads, its variables."""

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from steelyard.core.result import untold

_OBEYED = (
    "ATEN_", "CUBLAS_", "CUDA_", "CUDNN_", "DNNL_", "GLIBC_TUNABLES", "GOMP_", "JAX_", "KMP_", "LD_PRELOAD", "LIBTPU_",
    "MALLOC_", "MIOPEN_", "MKL_", "NPROC", "NVIDIA_TF32_OVERRIDE", "OMP_", "ONEAPI_", "ONEDNN_", "OPENBLAS_",
    "OPENVINO_", "ORT_", "OV_", "PYTORCH_", "SYCL_", "TBB_", "TF_CPP_", "TF_CUDNN_", "TF_ENABLE_", "TF_FORCE_",
    "TF_GPU_", "TF_NUM_", "TF_XLA_", "TORCH", "TRITON_", "XLA_", "ZE_AFFINITY_MASK",
)  # fmt: skip
"""Beginnings of the names of variables that the runtimes and their thread pools read."""


def cpus_of_threads(tasks: Path = Path("/proc/self/task")) -> tuple[int, ...] | None:
    """The CPUs that any thread of this process may run on: pools pin threads without the process knowing.

    None where the system does not list threads.
    """
    if not tasks.is_dir():
        return None
    found: set[int] = set()
    for task in tasks.iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # the thread ended meanwhile
            match = re.search(r"^Cpus_allowed_list:\s*(\S+)", (task / "status").read_text(), re.MULTILINE)
            if match is not None:
                found |= _listed(match[1])
    return tuple(sorted(found)) or None


def obeyed(name: str) -> bool:
    """Whether a runtime or a thread pool reads a variable of this name."""
    return name.startswith(_OBEYED)


def variables(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that runtimes obey. A path is not stored, only that there is one."""
    return {
        name: "(a path)" if os.sep in value else value for name, value in sorted(environment.items()) if obeyed(name)
    }


def surroundings(environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """`cpus` and `environment` as `Proof.budget` has them."""
    cpus = cpus_of_threads()
    return {
        "cpus": untold("the system does not list the threads of a process") if cpus is None else list(cpus),
        "environment": variables(os.environ if environment is None else environment),
    }


def misplaced(cpus: Any, budget: Sequence[int], threads: int) -> tuple[str, ...]:
    """What is wrong with the CPUs of the process: threads beyond the budget's CPUs, or all on too few of them.

    A budget without CPUs pins nothing, and unknown CPUs say nothing.
    """
    if not budget or not isinstance(cpus, list):
        return ()
    beyond = sorted(set(cpus) - set(budget))
    if beyond:
        return (f"threads may run on the CPUs {_text(beyond)} besides those of the budget ({_text(budget)})",)
    if len(cpus) < min(threads, len(budget)):
        return (
            f"all threads are held on the CPUs {_text(cpus)}, the budget has {_text(budget)} for {threads} of them",
        )
    return ()


def _listed(text: str) -> set[int]:
    """`0-2,5` as numbers."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def _text(cpus: Sequence[int]) -> str:
    return ", ".join(map(str, sorted(cpus)))
