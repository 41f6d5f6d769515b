"""SHA256SUMS: what a set of files hashed to when it was given out, in the form that `sha256sum -c` reads."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from steelyard.artifact.finding import Finding
from steelyard.core.errors import StoreError
from steelyard.core.hashing import file_sha256
from steelyard.store.segments import own_files

NAME = "SHA256SUMS"
_LINE = re.compile(r"^([0-9a-f]{64})  (\S.*)$")


def sums_text(digests: Mapping[str, str]) -> str:
    """The file's text: a line for each name, in order."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))


def read_sums(path: Path) -> dict[str, str]:
    """The digests by name. Raises StoreError naming the line that is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path}: cannot be read: {error}") from error
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        match = _LINE.match(line)
        if match is None or match[2] in found:
            raise StoreError(f"{path}, line {number}: not a digest and a name of its own")
        found[match[2]] = match[1]
    return found


def run_files(path: Path) -> dict[str, Path]:
    """The files of a stored run by their names in it: the manifest and all segments; no report, lock or stranger."""
    return {name: file for name in own_files(path) if (file := path / name).is_file()}


def held_against(digests: Mapping[str, str], files: Mapping[str, Path], where: str) -> Iterator[Finding]:
    """Files against the digests that were given out: what changed, what is missing, what was never among them."""
    wrong = 0
    for name, digest in sorted(digests.items()):
        if name not in files:
            yield Finding(kind="wrong", where=name, text=f"{where} names it, and it is not there")
        elif (actual := file_sha256(files[name])) != digest:
            text = f"its sha256 is {actual[:12]}…, {where} says {digest[:12]}…"
            yield Finding(kind="wrong", where=name, text=text)
        else:
            continue
        wrong += 1
    for name in sorted(set(files) - set(digests)):
        wrong += 1
        yield Finding(kind="untraced", where=name, text=f"{where} does not name it")
    if not wrong:
        yield Finding(kind="holds", where=where, text=f"{len(digests)} files are those that were given out")
