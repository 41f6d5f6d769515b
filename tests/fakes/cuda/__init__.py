"""The stand-in for CUDA's driver library, built where it is needed; how it is set up stands in its source."""

import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("libcuda.c")
SONAME = "libcuda.so.1"


def build(directory: Path) -> Path:
    """Compile the library into `directory` and return its path."""
    directory.mkdir(parents=True, exist_ok=True)
    library = directory / SONAME
    flags = ["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-Wl,-soname,{SONAME}"]
    subprocess.run([shutil.which("cc") or "cc", *flags, "-o", str(library), str(SOURCE)], check=True)
    return library
