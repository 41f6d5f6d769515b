"""The file of a history: a line of JSON for each case of each run, which are added and never changed."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from steelyard import wire
from steelyard.core.errors import StoreError
from steelyard.history.nights import Night
from steelyard.lowering.locks import locked

NAME = "history.jsonl"


def read(path: Path) -> tuple[Night, ...]:
    """What the file holds, in the order of the runs' own times; nothing where there is no file. A last line that was
    cut off counts for nothing: it is written anew with its run. Raises StoreError naming the line that is no record."""
    if not path.exists():
        return ()
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path}: cannot be read as a history: {error}") from error
    *whole, _ = lines
    found: dict[object, Night] = {}
    for number, line in enumerate(whole, start=1):
        night = wire.decode(line, Night, f"{path}, line {number}")
        known = found.get(night.key)
        if known is None or night.launches > known.launches:  # a run that was gone on with
            found[night.key] = night
    return tuple(sorted(found.values(), key=lambda night: (night.created_utc, night.run)))


def append(path: Path, nights: Iterable[Night]) -> int:
    """Add those that the file does not hold, or holds with fewer launches, since when the run was gone on with; returns
    how many. Others may add to it at the same time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.with_name(f".{path.name}.lock")):
            known = {night.key: night.launches for night in read(path)}
            new = [night for night in nights if night.launches > known.get(night.key, -1)]
            _write(path, new)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror or error}") from error
    return len(new)


def _write(path: Path, nights: Sequence[Night]) -> None:
    with path.open("ab+") as stream:
        stream.seek(0)
        stream.truncate(_whole(stream.read()))
        for night in nights:
            stream.write(wire.encode(night) + b"\n")


def _whole(data: bytes) -> int:
    """The length of a file's lines that are ended."""
    return data.rfind(b"\n") + 1
