"""What Inductor is given and needs on each kind of device."""

import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steelyard.core.errors import Unsupported
from steelyard.hardware.compiler import not_loadable, not_quoted, program

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
        try:
            program("CC", ("gcc", "clang"), "Triton")
        except Unsupported as error:
            return f"Triton needs a C compiler: {error}"
        return _no_place()
    return _no_cpp() or _no_place()


def _no_cpp() -> str:
    """Why Inductor has no C++ compiler that it can use."""
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        chosen = program("CXX", ("clang++" if sys.platform == "darwin" else "g++",), "Inductor")
        get_cpp_compiler()
    except Unsupported as error:
        return f"Inductor needs a C++ compiler: {error}"
    except InvalidCxxCompiler:
        return f"Inductor needs a C++ compiler, and '{chosen} --version' fails: set CXX to one that runs"
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        return "Inductor needs the headers of Python and finds no Python.h: apt install python3-dev"
    return ""


def _no_place() -> str:
    """Why what Inductor compiles cannot be written or loaded where it would lie: a launch's folders are in TMPDIR."""
    import torch

    temporary, torch_folder = Path(tempfile.gettempdir()), Path(torch.__file__).parent
    if reason := not_loadable(temporary) or not_quoted(temporary):
        return f"Inductor compiles in the temporary folder, but {reason}: set TMPDIR to another"
    if reason := not_quoted(torch_folder):
        return f"torch is installed in {torch_folder}, but {reason}: make its environment in another folder"
    return ""
