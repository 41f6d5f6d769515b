"""The environment of every process that we start: what is kept of the shell's, what we set, what its starter adds.

It is an allow-list, so that no variable of the shell changes a number unseen, and the same for the process that
asks whether a backend is usable as for the one that measures it. What runtimes would have obeyed is named.
"""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from steelyard.measure.surroundings import obeyed
from steelyard.measure.telemetry import OFF

_KEPT = frozenset({
    "HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "VIRTUAL_ENV",
    # where Python finds and keeps modules
    "PYTHONHOME", "PYTHONNOUSERSITE", "PYTHONPATH", "PYTHONPYCACHEPREFIX", "PYTHONUSERBASE",
    # compilers, and where they look
    "CC", "CXX", "CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH", "CUDA_HOME", "CUDA_PATH",
    "ROCM_HOME", "ROCM_PATH",
    # where a suite's weights may come from
    "HF_ENDPOINT", "HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_TOKEN", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR",
    "SSL_CERT_FILE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
})  # fmt: skip
_KEPT_PREFIXES = ("LC_", "XDG_", "STEELYARD_", "CUDA_VISIBLE", "NVIDIA_", "HSA_", "ROCR_", "HIP_", "TPU_", "COV_")
_SET: Mapping[str, str] = {
    **OFF,
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # as `steelyard.guard.visible` counts
    "ZE_ENABLE_PCI_ID_DEVICE_ORDER": "1",  # as `steelyard.guard.visible_intel` does
}


def for_another_python(variables: Mapping[str, str]) -> dict[str, str]:
    """For the interpreter of another environment: without what says where ours finds modules."""
    ours = ("PYTHONHOME", "PYTHONPATH", "PYTHONUSERBASE", "VIRTUAL_ENV")
    return {**{name: value for name, value in variables.items() if name not in ours}, "PYTHONNOUSERSITE": "1"}


def for_child(
    own: Mapping[str, str] | None = None,
    *,
    temporary: Path | None = None,
    apart: bool = False,
    shell: Mapping[str, str] = os.environ,
) -> dict[str, str]:
    """A process's environment, complete before it starts. `own` is what its starter sets, and wins over the shell.

    `temporary` is the folder for what it writes and forgets; by default the one where we ourselves do. `apart` is for
    one that runs on the Python of an environment of its own.
    """
    kept = {name: value for name, value in shell.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES)}
    kept = for_another_python(kept) if apart else kept
    return {**kept, "TMPDIR": str(temporary or tempfile.gettempdir()), **(own or {}), **_SET}


def not_passed_on(shell: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables of the shell that runtimes obey and that no process of ours has as they stand there."""
    given = for_child(shell=shell)
    return {name: value for name, value in shell.items() if obeyed(name) and given.get(name) != value}


def shell_warning() -> str:
    """One line on the shell's variables that runtimes would have obeyed; empty if there are none."""
    names = ", ".join(sorted(not_passed_on()))
    return f"not passed on: {names} (set in this shell; backends run without them)" if names else ""
