"""Out of memory, told from other failures; and the limit that a process puts on itself.

What a runtime says when it gets no memory is a sentence of its own; the marks below were taken from what each of
them raises or prints. A runtime that says none of them is `failed` or `crashed`, and its reason is kept.
"""

from pathlib import Path

_MARKS = (
    "outofmemory",  # torch.OutOfMemoryError, hipErrorOutOfMemory
    "out of memory",  # CUDA, XLA, the kernel
    "out_of_memory",  # CUDA_ERROR_OUT_OF_MEMORY
    "cudaerrormemoryallocation",
    "status_alloc_failed",  # cuBLAS, cuDNN
    "resource_exhausted",  # XLA
    "bad_alloc",  # C++ wherever it is not caught
    "bad allocation",
    "failed to allocate memory",  # the arenas of ONNX Runtime
    "memory allocation still failed",  # OpenBLAS under numpy
    "memory allocation failed",
    "can't allocate memory",  # torch on a CPU
    "cannot allocate memory",  # ENOMEM
    "not enough memory",
    "unable to allocate",  # numpy
    "cl_mem_object_allocation_failure",  # OpenCL under OpenVINO
    "memoryerror",
)


def out_of_memory(text: str) -> bool:
    """Whether the text of an error, or the last words of a process, say that memory ran out."""
    lowered = text.lower()
    return any(mark in lowered for mark in _MARKS)


def limit_own_memory(limit_bytes: int | None) -> None:
    """Let this process and each of its children have so much private writable memory (RLIMIT_DATA)."""
    import resource

    if limit_bytes is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, limit_bytes))


def oom_kills() -> int:
    """How many processes the kernel has ended for want of memory, as far as it tells."""
    try:
        text = Path("/proc/vmstat").read_text()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("oom_kill "))
