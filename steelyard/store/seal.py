"""One digest that stands for a whole run: what a report prints, so that the run behind it is known from all others."""

import hashlib
from pathlib import Path

from steelyard.core.errors import StoreError
from steelyard.core.hashing import file_sha256
from steelyard.store import segments


def run_digest(path: Path) -> str | None:
    """The sha256 over a line `<sha256>  <name>` for manifest.json and each segment.json, in this order.

    A segment.json holds the hashes of its segment's other files and of the manifest, so that every byte of the run
    enters. None while a segment is not published: such a run still grows. Raises StoreError for a file that cannot
    be read.
    """
    found = segments.found(path)
    if not found or not all(found.values()):
        return None
    files = [path / segments.MANIFEST, *(segments.directory(path, index) / segments.SEGMENT for index in found)]
    lines = [f"{_sha256(file)}  {file.relative_to(path).as_posix()}\n" for file in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _sha256(file: Path) -> str:
    try:
        return file_sha256(file)
    except OSError as error:
        raise StoreError(f"{file}: cannot be read: {error.strerror}") from error
