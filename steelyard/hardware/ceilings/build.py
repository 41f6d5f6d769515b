"""Loops in C, compiled by the user's compiler for the CPU that is measured; kept in the cache."""

import ctypes
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from steelyard.core import owner
from steelyard.core.errors import Unsupported
from steelyard.core.hashing import stable_hash
from steelyard.guard import proc
from steelyard.guard.environment import for_child
from steelyard.hardware.compiler import command, not_loadable
from steelyard.hardware.cpu import cpu_facts
from steelyard.lowering.cache import cache_root

SOURCES: Mapping[str, str] = {"native": "kernels.c", "instructions": "instructions.c"}
"""Who measures with a library of its own, and what it is made of."""
_FLAGS = ("-O3", "-ffp-contract=fast", "-fno-builtin", "-shared", "-fPIC", "-pthread")
# Left to themselves compilers make the copying loop a call of memcpy, which for large buffers goes around the caches:
# another loop than the one that is named. `-fno-builtin` keeps Clang from it, this option GCC.
_AS_WRITTEN = "-fno-tree-loop-distribute-patterns"
_NATIVE = ("-march=native", "-mcpu=native")
"""The second is how it is written for some architectures."""
_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """The compiled loops: where they lie, and with what they were compiled."""

    path: Path
    compiler: str


def source(by: str) -> bytes:
    """The C of a library."""
    return resources.files("steelyard.hardware.ceilings").joinpath(SOURCES[by]).read_bytes()


@owner.naming_the_owner()
def library(by: str = "native", root: Path = proc.ROOT) -> Library:
    """The library of `by` for this CPU, compiled unless the cache has it. Raises Unsupported where it cannot be
    compiled, and Denied where what the cache has is closed."""
    compiler = command("CC", ("cc", "gcc", "clang"))
    version = _said([*compiler, "--version"]).partition("\n")[0]
    code = source(by)
    cpu = cpu_facts(root)
    key = stable_hash([code.decode(), version, _FLAGS, cpu["model"], cpu["isa"]], 24)
    folder = cache_root() / "native"
    path, told = folder / f"ceilings-{key}.so", folder / f"ceilings-{key}.txt"
    owner.readable(path)
    if not (path.is_file() and told.is_file() and _loads(path)):
        folder.mkdir(parents=True, exist_ok=True)
        if reason := not_loadable(folder):
            raise Unsupported(f"compiled loops are kept in the cache, and {reason}: set STEELYARD_CACHE to another")
        draft = folder / f".ceilings-{key}.{os.getpid()}"
        try:
            flags = _compile(compiler, code, draft)
            told.write_text(f"{version}; {' '.join(flags)}\n")
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    return Library(path=path, compiler=told.read_text().strip())


def _compile(compiler: Sequence[str], source: bytes, path: Path) -> list[str]:
    """Write the library and return the flags that the compiler took. Raises Unsupported with its first complaint."""
    complaint = ""
    for extra in ((_AS_WRITTEN,), ()):
        for native in _NATIVE:
            flags = [*_FLAGS, native, *extra]
            try:
                done = subprocess.run(
                    [*compiler, *flags, "-x", "c", "-", "-o", str(path)],
                    env=for_child(),
                    input=source,
                    capture_output=True,
                    timeout=_TIMEOUT_S,
                    check=False,
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                raise Unsupported(f"the C compiler {compiler[0]} failed: {error}") from error
            if done.returncode == 0 and _loads(path):
                return flags
            said = done.stderr.decode(errors="replace").strip().splitlines()
            complaint = complaint or (said[0] if said else "it said nothing")
    raise Unsupported(f"the C compiler {compiler[0]} could not compile the loops: {complaint}")


def _loads(path: Path) -> bool:
    try:
        ctypes.CDLL(str(path))
    except OSError:
        return False
    return True


def _said(line: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            line,
            env=for_child(),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unsupported(f"the C compiler {line[0]} failed: {error}") from error
    if done.returncode != 0 or not done.stdout.strip():
        raise Unsupported(f"{line[0]} does not tell its version, and is taken for no C compiler")
    return done.stdout.strip()
