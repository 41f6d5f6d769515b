"""What a report's folder says of itself: from which run it was rendered, with which options, and what drew it.

`rendered.json` lies beside the report's files. It proves nothing: `bench verify` renders the same anew and compares.
"""

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from steelyard import __version__, wire
from steelyard.across.prices import Price
from steelyard.core.errors import StoreError
from steelyard.core.hashing import file_sha256
from steelyard.hardware.cpu import cpu_facts

NAME = "rendered.json"
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A file of another tool that was printed as a table beside the run: its name and what it hashed to."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Formats that were written with the same options. `figures_beside`: links to `figures/` were written.

    `earlier` are the runs of a history before the run itself; `venue` is what figures were drawn for, empty for the
    default look.
    """

    formats: tuple[str, ...]
    figures_beside: bool = False
    beside: tuple[Beside, ...] = ()
    earlier: tuple[str, ...] = ()
    venue: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedRun:
    """A run that a report was made from, and the state that it was in."""

    run: str
    digest: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Across:
    """What a report of several runs (`bench compare --report`) was made from: the runs of each side, the first being
    what the others are held against, the factor where one was named, and the prices that were given."""

    sides: tuple[tuple[ReportedRun, ...], ...]
    factor: str = ""
    prices: tuple[Price, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Which run, in which state, by which versions, and how. `arithmetic` is what the last digits depend on.

    Of a report of several runs `across` names them, and `run` is that of the first side.
    """

    kind: str = "steelyard-report"
    version: int = _VERSION
    run: str
    digest: str | None
    across: Across | None = None
    tool: str
    drawing: Mapping[str, str] = field(default_factory=dict)
    arithmetic: Mapping[str, str] = field(default_factory=dict)
    batches: tuple[Batch, ...] = ()


def tool() -> str:
    """The version of this program."""
    return __version__


def drawing() -> dict[str, str]:
    """What draws figures, with versions."""
    return {"matplotlib": importlib.metadata.version("matplotlib")}


def arithmetic() -> dict[str, str]:
    """What logarithms, and with them the last digits, depend on: numpy, the C library, the CPU's instructions."""
    isa = cpu_facts()["isa"]
    return {
        "numpy": importlib.metadata.version("numpy"),
        "libc": " ".join(platform.libc_ver()),
        "isa": " ".join(isa) if isinstance(isa, list) else "unknown",
    }


def beside_of(paths: Sequence[Path]) -> tuple[Beside, ...]:
    """Names and hashes of such files. Raises OSError."""
    return tuple(Beside(name=path.name, sha256=file_sha256(path)) for path in paths)


def read_receipt(directory: Path) -> Receipt | None:
    """What a folder says of itself; None where it says nothing. Raises StoreError for a damaged or newer receipt."""
    path = directory / NAME
    if not path.is_file():
        return None
    found = wire.read(path, Receipt)
    if found.kind != "steelyard-report" or found.version > _VERSION:
        raise StoreError(f"{path}: not the receipt of a report that this version of steelyard reads")
    return found


def with_batch(
    before: Receipt | None, run: str, digest: str | None, batch: Batch, across: Across | None = None
) -> Receipt:
    """The receipt after a batch was written. Formats written before stay if the runs and the versions are the same."""
    now = Receipt(
        run=run, digest=digest, across=across, tool=tool(), drawing=drawing(), arithmetic=arithmetic()
    )  # fmt: skip
    kept: list[Batch] = []
    if before is not None and replace(before, batches=()) == now:
        trimmed = [
            replace(old, formats=tuple(name for name in old.formats if name not in batch.formats))
            for old in before.batches
        ]
        kept = [old for old in trimmed if old.formats]
    return replace(now, batches=(*kept, batch))


def receipt_text(receipt: Receipt) -> str:
    """As it is stored."""
    return msgspec.json.format(wire.encode(receipt), indent=2).decode() + "\n"
