"""Kernels for NVIDIA GPUs: the instructions of their PTX by sort, and what ptxas says of registers, spills and memory.

Triton keeps a kernel's PTX in its cache, beside a file of JSON that names the shared memory asked for at the launch.
ptxas comes with CUDA, and with Triton.
"""

import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from steelyard.core.compilation import PTX_SORTS, GpuKernel
from steelyard.guard.environment import for_child

_TARGET = re.compile(r"^\.target\s+(\w+)", re.MULTILINE)
_ENTRY = re.compile(r"\.entry\s+([\w$.]+)")
_GUARD = re.compile(r"^@!?%\w+\s+")
_SORTS = (
    ("tensor", r"(wg)?mma|wmma|tcgen05"),
    ("shared", r"(ld|st|atom|red)\S*\.shared|ldmatrix|stmatrix"),
    ("global", r"(ld|st|atom|red)\S*\.global|cp\.async|prefetch"),
    ("control", r"bra|brx|call|ret|exit|bar\b|barrier|membar|fence|mbarrier"),
    ("float", r"\w+\S*\.(e4m3|e5m2|b?f16|tf32|f32|f64)"),
)
"""The beginning of an opcode, in the order in which sorts are tried: a conversion from memory is of the memory."""
_RESOURCES = re.compile(r"Used (\d+) registers(?:.*?(\d+) bytes smem)?")
_SPILLS = re.compile(r"(\d+) bytes spill stores, (\d+) bytes spill loads")
_OF = re.compile(r"Compiling entry function '([^']+)'")
_TIMEOUT_S = 120


def kernels(files: Sequence[Path]) -> tuple[GpuKernel, ...]:
    """Every kernel of these files of PTX, in the order of the files."""
    return tuple(kernel for file in files for kernel in _of_file(file))


def _of_file(file: Path) -> Iterator[GpuKernel]:
    text = file.read_text(errors="replace")
    found = _TARGET.search(text)
    target = found[1] if found else ""
    told, untold = _assembled(file, target)
    asked = _asked(file)
    for name, instructions in listed(text).items():
        registers, spilled, own = told.get(name, (None, None, None))
        yield GpuKernel(
            name=name,
            target=target,
            instructions=instructions,
            registers=registers,
            spilled=spilled,
            shared=own if asked is None or own is None else own + asked,
            untold="" if name in told else untold or "ptxas did not name it",
        )


def listed(text: str) -> dict[str, dict[str, int]]:
    """Of each kernel in a listing of PTX its instructions by sort."""
    found: dict[str, Counter[str]] = {}
    kernel: Counter[str] | None = None
    goes_on = False
    for line in text.splitlines():
        words = line.partition("//")[0].strip()
        if entry := _ENTRY.search(words):
            kernel = found.setdefault(entry[1], Counter())
        elif ".func" in words:
            kernel = None
        elif kernel is not None and words:
            statement = _GUARD.sub("", words)
            # What begins with a dot declares something, with a dollar sign a label.
            if not goes_on and statement[0].isalpha():
                kernel[_sort(statement.split()[0].rstrip(";"))] += 1
            goes_on = not words.endswith((";", "{", "}", ":")) and (goes_on or statement[0].isalpha())
    return {name: {sort: counts[sort] for sort in PTX_SORTS} for name, counts in found.items()}


def _sort(opcode: str) -> str:
    return next((sort for sort, pattern in _SORTS if re.match(pattern, opcode)), "rest")


def _asked(file: Path) -> int | None:
    """Shared memory that is asked for when the kernel is launched, as Triton notes it; None where it does not."""
    try:
        noted = json.loads(file.with_suffix(".json").read_text())
    except (OSError, ValueError):
        return None
    size = noted.get("shared") if isinstance(noted, dict) else None
    return size if isinstance(size, int) else None


def _assembled(file: Path, target: str) -> tuple[Mapping[str, tuple[int, int, int]], str]:
    """Registers, bytes spilled and bytes of shared memory by kernel, or the reason why they are not known."""
    tool = _ptxas(target)
    if tool is None:
        return {}, "ptxas is not installed: it comes with CUDA, and with Triton"
    if not target:
        return {}, f"{file.name} names no target"
    command = [tool, "--verbose", f"--gpu-name={target}", "--output-file", "/dev/null", str(file)]
    try:
        done = subprocess.run(command, env=for_child(), capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return {}, f"ptxas took longer than {_TIMEOUT_S} s"
    if done.returncode:
        return {}, f"ptxas failed: {(done.stderr.strip().splitlines() or ['without a word'])[-1]}"
    return resources(done.stdout + done.stderr), ""


def resources(told: str) -> dict[str, tuple[int, int, int]]:
    """What `ptxas --verbose` says of each kernel: registers, bytes spilled, bytes of shared memory."""
    found: dict[str, tuple[int, int, int]] = {}
    name, spilled = "", 0
    for line in told.splitlines():
        if of := _OF.search(line):
            name, spilled = of[1], 0
        elif spills := _SPILLS.search(line):
            spilled = int(spills[1]) + int(spills[2])
        elif name and (used := _RESOURCES.search(line)):
            found[name] = int(used[1]), spilled, int(used[2] or 0)
    return found


def _ptxas(target: str) -> str | None:
    """The assembler that Triton brings for a target, from Blackwell (sm_100) on one of its own, else that on the
    path."""
    triton = find_spec("triton")
    if triton is not None and triton.origin is not None:
        recent = re.match(r"sm_\d{3}", target)
        folder = Path(triton.origin).parent / "backends" / "nvidia" / "bin"
        bundled = folder / ("ptxas-blackwell" if recent else "ptxas")
        if bundled.is_file():
            return str(bundled)
    return shutil.which("ptxas")
