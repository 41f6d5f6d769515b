"""What Inductor makes once for an installation and no program: which instruction sets its compiler can use, tried by
compiling, and the headers of its kernels, compiled.

torch itself keeps the headers apart from its cache, so that they outlive it (`torch._inductor.codecache`). A launch's
temporary folder, where they would lie, begins empty: on a small machine they were half of a cold compilation.
"""

import os
import subprocess
import sys
from pathlib import Path

from steelyard.guard.child import program_command

_PROGRAM = "import torch; torch.compile(lambda given: given + 1)(torch.ones(8))"
_CACHE = "TORCHINDUCTOR_CACHE_DIR"


def share(folder: Path, scratch: Path) -> None:
    """Keep both in `folder`, and make what is not there yet: before the first compilation of this process.

    Files are named after what they were made from (source, flags, compiler), so a later version finds nothing of it.
    """
    import torch
    from torch._inductor import codecache, cpu_vec_isa

    headers, here = folder / "headers", Path(codecache._HEADER_DIR)
    headers.mkdir(parents=True, exist_ok=True)
    if not here.exists():
        here.parent.mkdir(parents=True, exist_ok=True)
        here.symlink_to(headers, target_is_directory=True)
    own = os.environ[_CACHE]
    os.environ[_CACHE] = str(folder / "probes")
    try:
        cpu_vec_isa.pick_vec_isa()  # remembered by the process
    finally:
        os.environ[_CACHE] = own
    made = headers / f"made-by-torch-{torch.__version__}"
    if not made.exists():
        done = subprocess.run(
            program_command([sys.executable, "-c", _PROGRAM]),
            env={**os.environ, _CACHE: str(scratch / "smallest-program")},
            capture_output=True,
            check=False,
        )
        if done.returncode == 0:  # else the first compilation says why
            made.touch()
