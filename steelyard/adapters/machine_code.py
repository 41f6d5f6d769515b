"""Machine code that a compiler generated: its size, read from ELF files, and its instructions by sort, from objdump."""

import re
import shutil
import struct
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from steelyard.core.compilation import INSTRUCTION_SORTS, MachineCode
from steelyard.core.errors import SteelyardError
from steelyard.core.metrics import Reading, absent
from steelyard.guard.environment import for_child

_MAGIC = b"\x7fELF"
_SECTION = struct.Struct("<IIQQQQIIQQ")
_EXECUTABLE, _NO_BITS = 0x4, 8
_X86_64 = 62
_HOSTS = {_X86_64: "x86-64", 183: "AArch64", 243: "RISC-V"}
_SCALAR = re.compile(r"(?!v?p|v?broadcast)\w*s[sdh]|v?cvtu?si2s[sdh][lq]|v?cvtt?s[sdh]2u?si[lq]?")
"""Names of scalar floating-point instructions. Those that begin with p, such as `vpabsd` and `vpdpbusd`, are on packed
integers, and a broadcast fills the register. Conversions from and to integers may end in the size of the integer."""
_PADDING = frozenset({"nop", "nopw", "nopl"})
_TIMEOUT_S = 120


def machine_code(objects: Sequence[bytes], absent_because: str) -> MachineCode:
    """What is in ELF files; without any the size is absent, for the reason. Raises SteelyardError for a file that is
    cut off."""
    if not objects:
        return MachineCode(bytes=absent("B", absent_because), instructions_untold=absent_because)
    size = sum(_executable_bytes(each) for each in objects)
    reading = Reading(value=float(size), unit="B", method="executable sections of the generated ELF files")
    counts, untold = _instructions(objects)
    return MachineCode(bytes=reading, objects=len(objects), instructions=counts, instructions_untold=untold)


def embedded(data: bytes) -> Iterator[bytes]:
    """The 64-bit ELF files for a host's processor that lie within other data. Raises SteelyardError for one that the
    data ends before."""
    at = data.find(_MAGIC)
    while at >= 0:
        end = at + len(_MAGIC)
        if data[at + 4 : at + 6] == b"\x02\x01" and _machine(data[at:]) in _HOSTS:
            length = _length(data[at:])
            yield data[at : at + length]
            end = at + length
        at = data.find(_MAGIC, end)


def _machine(data: bytes) -> int:
    return int.from_bytes(data[18:20], "little")


def _sections(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Type, flags, offset and size of each section."""
    try:
        (at,) = struct.unpack_from("<Q", data, 40)
        width, count = struct.unpack_from("<HH", data, 58)
        for number in range(count):
            _, kind, flags, _, offset, size, *_ = _SECTION.unpack_from(data, at + number * width)
            if kind != _NO_BITS and offset + size > len(data):
                raise SteelyardError(f"a generated ELF file of {len(data)} bytes lacks the end of section {number}")
            yield kind, flags, offset, size
    except struct.error as error:
        raise SteelyardError(f"a generated ELF file of {len(data)} bytes is cut off: {error}") from error


def _length(data: bytes) -> int:
    """Where the file at the beginning of the data ends."""
    ends = [offset + size for kind, _, offset, size in _sections(data) if kind != _NO_BITS]
    (at,) = struct.unpack_from("<Q", data, 40)
    width, count = struct.unpack_from("<HH", data, 58)
    return int(max([at + width * count, *ends]))


def _executable_bytes(data: bytes) -> int:
    if data[:4] != _MAGIC or data[4:6] != b"\x02\x01":
        raise SteelyardError("generated code is in no 64-bit ELF file")
    return sum(size for kind, flags, _, size in _sections(data) if flags & _EXECUTABLE and kind != _NO_BITS)


def _instructions(objects: Sequence[bytes]) -> tuple[dict[str, int], str]:
    """Instructions by sort, or the reason why they are not counted."""
    if others := {_machine(each) for each in objects} - {_X86_64}:
        return (
            {},
            f"instructions are told apart on x86-64 alone, not on {_HOSTS.get(others.pop(), 'another processor')}",
        )
    tool = shutil.which("objdump")
    if tool is None:
        return {}, "objdump is not installed: it comes with binutils"
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="objects-") as folder:
        for number, data in enumerate(objects):
            path = Path(folder) / f"{number}.o"
            path.write_bytes(data)
            command = [tool, "--disassemble", "--no-show-raw-insn", str(path)]
            try:
                done = subprocess.run(
                    command, env=for_child(), capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
                )
            except subprocess.TimeoutExpired:
                return {}, f"objdump took longer than {_TIMEOUT_S} s"
            if done.returncode:
                return {}, f"objdump failed: {(done.stderr.strip().splitlines() or ['without a word'])[-1]}"
            found.update(sorts(done.stdout))
    return {name: found[name] for name in INSTRUCTION_SORTS}, ""


def sorts(listing: str) -> Counter[str]:
    """Instructions of each sort in a listing of objdump, of x86-64 in the syntax of AT&T. Padding is not counted."""
    found: Counter[str] = Counter()
    for line in listing.splitlines():
        address, colon, text = line.partition(":\t")
        words = text.split()
        if not colon or not words or not _hexadecimal(address.strip()) or _PADDING.intersection(words):
            continue
        name = next(word for word in words if not word.startswith("{"))  # an encoding, as in {vex}
        if "%zmm" in text:
            found["zmm"] += 1
        elif "%ymm" in text:
            found["ymm"] += 1
        elif "%xmm" in text:
            found["float" if _SCALAR.fullmatch(name) else "xmm"] += 1
        else:
            found["rest"] += 1
    return found


def _hexadecimal(text: str) -> bool:
    return bool(text) and all(letter in "0123456789abcdef" for letter in text)
