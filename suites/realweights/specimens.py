"""Small files of known types, made by a seed with the standard library; the labels are Magika's names of the types."""

import bz2
import gzip
import io
import json
import lzma
import random
import struct
import tarfile
import wave
import zipfile
import zlib
from collections.abc import Callable

_WORDS = (
    "amber", "birch", "cobalt", "delta", "ember", "fjord", "glacier", "harbor", "indigo", "juniper", "kelp", "lagoon",
    "meadow", "nectar", "onyx", "pebble",
)  # fmt: skip
Make = Callable[[random.Random], bytes]


def files(index: int, count: int) -> list[tuple[str, bytes]]:
    """So many files with their labels, other ones for each index."""
    source = random.Random(2000 + index)  # noqa: S311 (a seed, no secret)
    return [(label, MAKERS[label](source)) for label in source.sample(sorted(MAKERS), count)]


def _word(source: random.Random) -> str:
    return source.choice(_WORDS)


def _table(source: random.Random) -> list[tuple[str, int, float]]:
    return [(_word(source), source.randrange(1000), round(source.random() * 100, 2)) for _ in range(24)]


def _prose(source: random.Random, lines: int = 30) -> str:
    return "\n".join(
        f"The {_word(source)} {_word(source)} stands by the {_word(source)}, {source.randrange(2, 90)} paces away."
        for _ in range(lines)
    )


def _python(source: random.Random) -> bytes:
    blocks = [
        f"def {_word(source)}_{number}(values: list[int]) -> int:\n    total = {source.randrange(9)}\n"
        f"    for value in values:\n        if value % {source.randrange(2, 9)} == 0:\n            total += value\n"
        "    return total\n"
        for number in range(8)
    ]
    return ("import os\nimport sys\nfrom pathlib import Path\n\n\n" + "\n\n".join(blocks)).encode()


def _c(source: random.Random) -> bytes:
    blocks = [
        f"static int {_word(source)}_{number}(const int *values, size_t count)\n{{\n"
        f"    int total = {source.randrange(9)};\n"
        "    for (size_t i = 0; i < count; i++) {\n        total += values[i];\n    }\n    return total;\n}\n"
        for number in range(8)
    ]
    return ("#include <stddef.h>\n#include <stdio.h>\n#include <stdlib.h>\n\n" + "\n".join(blocks)).encode()


def _java(source: random.Random) -> bytes:
    methods = [
        f"    public static int {_word(source)}{number}(List<Integer> values) {{\n"
        f"        int total = {source.randrange(9)};\n"
        "        for (int value : values) {\n            total += value;\n        }\n        return total;\n    }\n"
        for number in range(8)
    ]
    head = "package org.example;\n\nimport java.util.ArrayList;\nimport java.util.List;\n\npublic class Counter {\n"
    return (head + "\n".join(methods) + "}\n").encode()


def _rust(source: random.Random) -> bytes:
    blocks = [
        f"pub fn {_word(source)}_{number}(values: &[i64]) -> Option<i64> {{\n"
        f"    let mut total = {source.randrange(9)};\n"
        "    for value in values.iter() {\n        total += value;\n    }\n    Some(total)\n}\n"
        for number in range(8)
    ]
    return ("use std::collections::HashMap;\nuse std::fmt;\n\n" + "\n".join(blocks)).encode()


def _go(source: random.Random) -> bytes:
    blocks = [
        f"func {_word(source)}{number}(values []int) (int, error) {{\n\ttotal := {source.randrange(9)}\n"
        "\tfor _, value := range values {\n\t\ttotal += value\n\t}\n\treturn total, nil\n}\n"
        for number in range(8)
    ]
    return ('package main\n\nimport (\n\t"fmt"\n\t"os"\n)\n\n' + "\n".join(blocks)).encode()


def _html(source: random.Random) -> bytes:
    rows = "\n".join(f"<tr><td>{name}</td><td>{count}</td></tr>" for name, count, _ in _table(source))
    head = f'<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{_word(source)}</title></head>\n'
    return f"{head}<body>\n<h1>{_word(source)}</h1>\n<table>\n{rows}\n</table>\n</body>\n</html>\n".encode()


def _css(source: random.Random) -> bytes:
    rules = [
        f".{_word(source)}-{number} {{\n  margin: 0 {source.randrange(9)}px;\n"
        f"  color: #{source.randrange(1 << 24):06x};\n"
        "  display: flex;\n}\n"
        for number in range(16)
    ]
    return "\n".join(rules).encode()


def _svg(source: random.Random) -> bytes:
    marks = "\n".join(
        f'<circle cx="{source.randrange(200)}" cy="{source.randrange(200)}" r="{source.randrange(1, 9)}" fill="navy"/>'
        for _ in range(24)
    )
    size = 'width="200" height="200" viewBox="0 0 200 200"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n{marks}\n</svg>\n'.encode()


def _json(source: random.Random) -> bytes:
    rows = [{"name": name, "count": count, "share": share} for name, count, share in _table(source)]
    return json.dumps({"rows": rows, "kind": _word(source)}, indent=2).encode()


def _csv(source: random.Random) -> bytes:
    return "\n".join(["name,count,share", *(f"{a},{b},{c}" for a, b, c in _table(source))]).encode()


def _sql(source: random.Random) -> bytes:
    name = _word(source)
    insert = f"INSERT INTO {name} (name, count, share) VALUES"
    rows = "\n".join(f"{insert} ('{a}', {b}, {c});" for a, b, c in _table(source))
    made = (
        f"CREATE TABLE {name} (\n  id INTEGER PRIMARY KEY,\n  name TEXT NOT NULL,\n  count INTEGER,\n  share REAL\n);\n"
    )
    return (made + rows + f"\nSELECT name, SUM(count) FROM {name} GROUP BY name ORDER BY name;\n").encode()


def _shell(source: random.Random) -> bytes:
    steps = "\n".join(
        f'if [ ! -d "$HOME/{_word(source)}" ]; then\n  mkdir -p "$HOME/{_word(source)}"\n  echo "made {number}"\nfi'
        for number in range(12)
    )
    return f"#!/bin/sh\nset -eu\n\n{steps}\n".encode()


def _latex(source: random.Random) -> bytes:
    sections = "\n\n".join(
        f"\\section{{{_word(source).title()}}}\n\\label{{sec:{number}}}\n{_prose(source, 3)}\n"
        f"\\begin{{equation}}\n  x_{{{number}}} = \\frac{{a + b}}{{{source.randrange(2, 9)}}}\n\\end{{equation}}"
        for number in range(5)
    )
    head = "\\documentclass{article}\n\\usepackage{amsmath}\n\\begin{document}\n"
    return f"{head}{sections}\n\\end{{document}}\n".encode()


def _png(source: random.Random) -> bytes:
    side = 48
    rows = b"".join(b"\0" + bytes(source.randrange(256) for _ in range(3 * side)) for _ in range(side))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _bmp(source: random.Random) -> bytes:
    side = 32
    pixels = bytes(source.randrange(256) for _ in range(3 * side * side))
    size = 54 + len(pixels)
    return (
        b"BM"
        + struct.pack("<IHHIIiiHHIIiiII", size, 0, 0, 54, 40, side, side, 1, 24, 0, len(pixels), 0, 0, 0, 0)
        + pixels
    )


def _wav(source: random.Random) -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(struct.pack("<2000h", *(source.randrange(-9000, 9000) for _ in range(2000))))
    return stream.getvalue()


def _zip(source: random.Random) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(4):
            entry = zipfile.ZipInfo(f"{_word(source)}/{number}.txt", (2020, 1, 1, 0, 0, 0))
            archive.writestr(entry, _prose(source), zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def _tar(source: random.Random) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for number in range(3):
            data = _prose(source).encode()
            entry = tarfile.TarInfo(f"{_word(source)}/{number}.txt")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


MAKERS: dict[str, Make] = {
    "python": _python,
    "c": _c,
    "java": _java,
    "rust": _rust,
    "go": _go,
    "html": _html,
    "css": _css,
    "svg": _svg,
    "json": _json,
    "csv": _csv,
    "sql": _sql,
    "shell": _shell,
    "latex": _latex,
    "txt": lambda source: _prose(source).encode(),
    "png": _png,
    "bmp": _bmp,
    "wav": _wav,
    "zip": _zip,
    "tar": _tar,
    "gzip": lambda source: gzip.compress(_prose(source, 60).encode(), mtime=0),
    "bzip": lambda source: bz2.compress(_prose(source, 60).encode()),
    "xz": lambda source: lzma.compress(_prose(source, 60).encode()),
}
