"""The stand-in for NVML's library, built where it is needed; how to set it up stands at the head of its source."""

import ctypes
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_name("libnvidia_ml.c")
SONAME = "libnvidia-ml.so.1"
SETTINGS = "STEELYARD_STUB_NVML"


def build(directory: Path) -> Path:
    """Compile the library into `directory` and return its path."""
    directory.mkdir(parents=True, exist_ok=True)
    library = directory / SONAME
    compiler = shutil.which("cc") or "cc"
    flags = ["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-Wl,-soname,{SONAME}"]
    subprocess.run([compiler, *flags, "-o", str(library), str(SOURCE)], check=True)
    return library


@functools.cache
def loaded() -> ctypes.CDLL:
    """The library in this process, once: the binding finds it by its soname, and a second copy would be another."""
    with tempfile.TemporaryDirectory() as directory:
        return ctypes.CDLL(str(build(Path(directory))))


def environment(library: Path, settings: str) -> dict[str, str]:
    """Variables under which a child process finds the library and its boards."""
    path = os.pathsep.join(filter(None, (str(library.parent), os.environ.get("LD_LIBRARY_PATH", ""))))
    return {"LD_LIBRARY_PATH": path, SETTINGS: settings}
