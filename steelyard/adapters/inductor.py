"""What Inductor is given and needs on each kind of device."""

import os
import shutil
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_MAX_CPU: Mapping[str, Any] = {"max_autotune": True, "freezing": True}
_MAX_GPU: Mapping[str, Any] = {**_MAX_CPU, "coordinate_descent_tuning": True}
_MAX_CUDA: Mapping[str, Any] = {**_MAX_GPU, "triton.cudagraphs": True}
MAX: Mapping[str, Mapping[str, Any]] = {
    "cpu": _MAX_CPU,
    "cuda": _MAX_CUDA,
    "rocm": _MAX_CUDA,
    "xpu": _MAX_GPU,
    "mps": _MAX_CPU,
}
"""Options of the tuning `max` by device kind."""

MAX_AOT: Mapping[str, Any] = {"max_autotune": True}

_TRITON = {
    "cuda": "pip install triton",
    "rocm": "it comes with torch's build for rocm",
    "xpu": "it comes with torch's build for xpu",
}


def graphs(device_kind: str, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """The row of the tuning table that says whether CUDA (or HIP) graphs replay the calls; none for other kinds.

    Inductor's own default is not to: `mode="reduce-overhead"` and the option `triton.cudagraphs` switch them on.
    """
    if device_kind not in ("cuda", "rocm"):
        return {}
    return {"graphs": "CUDA graphs" if options.get("triton.cudagraphs") else "none (Inductor's default)"}


def no_compiler(device_kind: str) -> str:
    """Why Inductor could not compile for such a device here; empty if it can."""
    if device_kind == "mps":  # Inductor writes Metal there, which the system compiles
        return ""
    if device_kind in _TRITON:
        from torch.utils._triton import has_triton

        if not has_triton():
            return f"Inductor needs Triton for {device_kind} and torch finds none that works: {_TRITON[device_kind]}"
        if not any(shutil.which(name) for name in (os.environ.get("CC", "cc"), "gcc", "clang")):
            return "Triton needs a C compiler and finds neither $CC, gcc nor clang: apt install gcc"
        return ""
    from torch._inductor import config
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        tried = next((name for name in reversed(config.cpp.cxx) if name), "g++")
        return f"Inductor needs a C++ compiler and '{tried}' does not run: apt install g++, or set CXX"
    header = Path(sysconfig.get_path("include")) / "Python.h"
    return (
        ""
        if header.is_file()
        else "Inductor needs the headers of Python and finds no Python.h: apt install python3-dev"
    )
