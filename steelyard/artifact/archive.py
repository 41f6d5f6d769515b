"""Bundles as files: a .tar.gz with the same bytes each time, and reading one without trusting it."""

import gzip
import io
import os
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from steelyard.core.errors import StoreError
from steelyard.store import left_behind

SUFFIXES = (".tar.gz", ".tgz")
MOST_FILES = 20_000
MOST_BYTES = 16 << 30
"""Unpacked, all files together: a run of a million samples takes some 20 MB."""
_CHUNK = 1 << 20
_REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE)


def pack(files: Mapping[str, bytes | Path], target: Path) -> None:
    """Write an archive: names in order, owner 0, mode 644, time 0, so that equal contents give equal bytes.

    `target` is replaced at once when the archive is whole. Raises StoreError.
    """
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with (
            draft.open("wb") as raw,
            gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=9, mtime=0) as stream,
            tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive,
        ):
            for name, content in sorted(files.items()):
                member = tarfile.TarInfo(name)
                member.mode = 0o644
                if isinstance(content, bytes):
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
                else:
                    member.size = content.stat().st_size
                    with content.open("rb") as source:
                        archive.addfile(member, source)
        draft.replace(target)
    except OSError as error:
        raise StoreError(f"{target}: cannot be written: {error.strerror or error}") from error
    finally:
        draft.unlink(missing_ok=True)


def unpack(source: Path, directory: Path, most_files: int = MOST_FILES, most_bytes: int = MOST_BYTES) -> Path:
    """Unpack below `directory`, which is empty, and return the bundle's one top folder.

    Only ordinary files with plain relative names are taken; anything else is refused by name: absolute paths, `..`,
    links, devices, a name given twice, too many files, too many bytes. What a desktop's archiver adds is left out.
    Raises StoreError.
    """
    count = total = 0
    tops: set[str] = set()
    try:
        with tarfile.open(source, mode="r|gz") as archive:
            for member in archive:
                if member.isdir() or left_behind(member.name):
                    continue
                parts = _parts(source, member)
                count, total = count + 1, total + member.size
                if count > most_files or total > most_bytes:
                    raise StoreError(
                        f"{source}: larger than a bundle may be ({most_files} files, {most_bytes} bytes unpacked)"
                    )
                tops.add(parts[0])
                _write(archive, member, directory.joinpath(*parts), source)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise StoreError(f"{source}: not a bundle, or damaged: {error}") from error
    except OSError as error:
        raise StoreError(f"{source}: cannot be unpacked: {error.strerror or error}") from error
    if len(tops) != 1:
        raise StoreError(f"{source}: not a bundle: it holds {len(tops)} top folders, not one")
    return directory / tops.pop()


def _parts(source: Path, member: tarfile.TarInfo) -> tuple[str, ...]:
    """The name as parts. Raises StoreError for one that could lead elsewhere."""
    name = member.name
    parts = PurePosixPath(name).parts
    if member.type not in _REGULAR:
        raise StoreError(f"{source}: '{name}' is not an ordinary file; bundles hold no links and no devices")
    plain = name.isprintable() and "\\" not in name and not name.startswith("/")
    if not plain or len(parts) < 2 or ".." in parts or name != "/".join(parts):
        raise StoreError(f"{source}: '{name!r}' is not a plain name below the bundle's folder")
    return parts


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path, source: Path) -> None:
    if target.exists():
        raise StoreError(f"{source}: '{member.name}' is there twice")
    target.parent.mkdir(parents=True, exist_ok=True)
    content = archive.extractfile(member)
    if content is None:
        raise StoreError(f"{source}: '{member.name}' has no content")
    with content, target.open("xb") as stream:
        while chunk := content.read(_CHUNK):
            stream.write(chunk)
