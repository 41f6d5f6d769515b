"""Whether files that are given out name their author's machine: the names of this host and user, and home folders.

The store leaves such names out when it writes (`steelyard.store.privacy`); this is the second look, before anything
leaves the house. It knows only the machine that it runs on, and the usual places of homes on any other.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from steelyard.core.errors import StoreError
from steelyard.store import codec, samples
from steelyard.store.privacy import scrub_home, scrub_tree

_HOMES = re.compile(r"(?:/home/|/Users/|[A-Za-z]:\\\\?Users\\\\?)(?![<\s\"'/\\])[^/\s\"'<>\\]+")
_PLACEHOLDERS = ("<home>", "<host>", "<user>")
_TEXTS = ("launch", "arm", "metric", "layer")  # of the samples


def refuse_names(files: Mapping[str, bytes | Path]) -> None:
    """Raises StoreError that names the file, the place and what stands there."""
    for name, content in sorted(files.items()):
        for place, text in _named(name, content):
            where = f"{name}, {place}" if place else name
            raise StoreError(
                f"{where}: names a machine or its user: {text!r}; remove it and measure again, or give the bundle out "
                "under your name with --no-anonymous"
            )


def _named(name: str, content: bytes | Path) -> Iterator[tuple[str, str]]:
    """Place and text of everything that names somebody."""
    if isinstance(content, Path) and name.endswith(samples.NAME):
        yield from _columns(content)
        return
    data = content if isinstance(content, bytes) else content.read_bytes()
    if name.endswith((".pdf", ".png")):  # drawn from the texts of the tables, which are looked at as text
        return
    for number, line in enumerate(data.decode(errors="replace").splitlines(), start=1):
        if found := _HOMES.search(line):
            yield f"line {number}", found[0]
        elif scrub_home(line) != line:
            yield f"line {number}", _around(line, scrub_home(line))
        if name.startswith("run/") and name.endswith((".json", ".jsonl")):
            value = codec.load(line.encode(), name)
            for place, text in _differing(value, scrub_tree(value)):
                yield f"line {number}, {place}", text


def _columns(path: Path) -> Iterator[tuple[str, str]]:
    table = samples.read_columns(path, _TEXTS, _TEXTS)
    for name in _TEXTS:
        for text in table[name].unique().to_pylist():
            if scrub_home(text) != text or _HOMES.search(text):
                yield f"column {name}", text


def _differing(old: Any, new: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Where scrubbing changed a text."""
    if isinstance(old, dict):
        for key in old:
            yield from _differing(old[key], new[key], f"{place}.{key}" if place else key)
    elif isinstance(old, list):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _differing(one, other, f"{place}[{index}]")
    elif old != new and isinstance(old, str) and not _only_placeholders(old, new):
        yield place, _around(old, new)


def _only_placeholders(old: str, new: str) -> bool:
    """Whether nothing but a placeholder was scrubbed again, as on a machine that is called `host`."""
    for mark in _PLACEHOLDERS:
        old, new = old.replace(mark, ""), new.replace(f"<{mark}>", "").replace(mark, "")
    return old == new


def _around(old: str, new: str) -> str:
    at = next((i for i, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), 0)
    return old[max(0, at - 20) : at + 40]
