"""The program at points of its compilation as text: a compressed file for each, beside a run's segments."""

import gzip
import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from steelyard.core.compilation import Compilation, CompilationFacts, Occasion, Representation
from steelyard.core.errors import StoreError

MOST_BYTES = 1 << 28
"""Of a text that is read back: no file may unfold without end."""


def written(found: Sequence[CompilationFacts], folder: Path, name: str) -> tuple[CompilationFacts, ...]:
    """What is told of compilations, the texts of those with empty caches in files whose names begin with `name`: those
    of any other are the same. Raises StoreError for what cannot be written."""
    return tuple(
        facts if facts.told is None else replace(facts, told=_apart(facts.told, facts.occasion, folder, name))
        for facts in found
    )


def read(form: Representation, folder: Path) -> str:
    """The text of a representation that has one. Raises StoreError naming the file, and what is wrong with it."""
    if PurePath(form.file).name != form.file:
        raise StoreError(f"{folder}: a result names a text outside of its folder: {form.file!r}")
    path = folder / form.file
    try:
        packed = path.read_bytes()
        if hashlib.sha256(packed).hexdigest() != form.sha256:
            raise StoreError(f"{path}: not the file that the launch wrote: its sha256 is another")
        unfolding = zlib.decompressobj(wbits=31)
        text = unfolding.decompress(packed, MOST_BYTES)
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror or error}") from error
    except zlib.error as error:
        raise StoreError(f"{path}: not a compressed text: {error}") from error
    if not unfolding.eof:
        raise StoreError(f"{path}: it is cut off, or has more than {MOST_BYTES >> 20} MiB of text")
    return text.decode(errors="replace")


def _apart(told: Compilation, occasion: Occasion, folder: Path, name: str) -> Compilation:
    forms = (
        _written(form, folder, f"{name}-{number}.txt.gz") if occasion == "cold" else replace(form, text="")
        for number, form in enumerate(told.representations, start=1)
    )
    return replace(told, representations=tuple(forms))


def _written(form: Representation, folder: Path, name: str) -> Representation:
    if not form.text:
        return form
    packed = gzip.compress(form.text.encode(), compresslevel=6, mtime=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(packed)
    except OSError as error:
        raise StoreError(f"{folder / name}: cannot be written: {error.strerror or error}") from error
    return replace(form, text="", file=name, sha256=hashlib.sha256(packed).hexdigest())
