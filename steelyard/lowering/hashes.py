"""What the files of a cache hash to, remembered so that each is read once."""

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path

from steelyard.core.hashing import file_sha256
from steelyard.core.owner import is_ours

_Known = dict[tuple[int, int, int], str]


class FileHashes:
    """sha256 of files by (inode, size, modification time), kept in `hashes.jsonl` under a cache's root.

    Hard links share one memory. Several processes may append at once: each line is short and written whole.
    """

    def __init__(self, root: Path) -> None:
        self._file = root / "hashes.jsonl"
        self._draft = root / "tmp" / "hashes.jsonl"
        self._known: _Known | None = None

    def of(self, path: Path, fresh: _Known | None = None) -> str:
        """The file's digest, computed if it is not known. With `fresh`, only digests in there count as known."""
        remembered = self._remembered()
        known = remembered if fresh is None else fresh
        stat = path.stat()
        identity = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        if identity not in known:
            known[identity] = remembered[identity] = file_sha256(path)
            # In a cache that is another's nothing can be kept: the next process hashes the file again.
            with contextlib.suppress(PermissionError), self._file.open("a") as stream:
                stream.write(_line(identity, known[identity]))
        return known[identity]

    def keep(self, files: Iterable[Path]) -> None:
        """Forget all but these files, unless what is remembered is another's. Only while nobody else uses the cache."""
        if self._file.exists() and not is_ours(self._file):
            return
        inodes = {path.stat().st_ino for path in files}
        kept = {identity: digest for identity, digest in self._remembered().items() if identity[0] in inodes}
        self._draft.write_text("".join(_line(identity, digest) for identity, digest in kept.items()))
        self._draft.replace(self._file)
        self._known = kept

    def _remembered(self) -> _Known:
        if self._known is None:
            self._known = {}
            with contextlib.suppress(FileNotFoundError, PermissionError), self._file.open() as stream:
                for line in stream:
                    with contextlib.suppress(ValueError):  # cut short by a full disk: that file is hashed again
                        inode, size, modified, digest = json.loads(line)
                        self._known[inode, size, modified] = digest
        return self._known


def _line(identity: tuple[int, int, int], digest: str) -> str:
    return json.dumps([*identity, digest]) + "\n"
