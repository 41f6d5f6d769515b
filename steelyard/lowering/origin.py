"""Where a program comes from: what knows its weights, its references and the formats that it can be had in.

A source is a file in `steelyard/sources/`, which exports `SOURCE`, or an entry point of another package (group
`steelyard.sources`). Programs name theirs (`Program.kind`).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

from steelyard import plugins
from steelyard.core.errors import UsageError
from steelyard.core.lowered import Artifact, WorkCount
from steelyard.core.workload import Point, Program
from steelyard.lowering.cache import Cache
from steelyard.lowering.cached import Entry
from steelyard.lowering.format import Draft, Format
from steelyard.lowering.written import Written


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A program with the entry of its weights; `platform` is the device kind that artifacts are for, `written` the code
    behind its source."""

    cache: Cache
    program: Program
    weights: Entry
    platform: str
    written: Written


class Opened(ABC):
    """A program that formats are made of."""

    @abstractmethod
    def draft(self, form: Format, option: str | None, directory: Path) -> Draft:
        """Write the program in a format. Raises LoweringError with the reason where it cannot be had in that form."""

    def counts(self, made: Mapping[str, Artifact]) -> Mapping[str, WorkCount]:
        """The work of one call as compilers count it, by who counts; `made` are the artifacts that there are."""
        del made
        return {}


class Source(ABC):
    """One kind of program. `packages` are those whose versions may change references; files of a user's own that it
    reads end with one of `suffixes`, folders hold `marker`, and what it takes else matches `pattern`, which `example`
    shows."""

    name: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]
    suffixes: ClassVar[tuple[str, ...]] = ()
    marker: ClassVar[str] = ""
    pattern: ClassVar[str] = ""
    example: ClassVar[str] = ""

    def program_of(self, path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Program:
        """The program in a file, or behind a text that matches `pattern`, its inputs with these extents where it leaves
        them open. Raises UsageError where an extent is not known, CheckpointError for what is not what it should be."""
        raise UsageError(f"{path.name}: a program of {self.name} is not read from a file; {len(shapes)} shapes given")

    def shared(self, weights: Mapping[str, Entry]) -> Any:
        """What the references of several points with the same weights have in common; made once and handed to each."""
        del weights

    @abstractmethod
    def references(
        self, point: Point, weights: Mapping[str, Entry], shared: Any, count: int, directory: Path
    ) -> Mapping[str, Any]:
        """Write `count` input sets and references of a point (see `steelyard.lowering.references`); returns facts.
        `weights` are by the key of each set (`Weights.key`)."""

    @abstractmethod
    def open(self, found: Found) -> Opened:
        """The program, opened when the first format needs it."""

    def lacks(self, form: str) -> str:
        """Why nothing of this kind can be had in a format, or as the torch `module`; empty where it may."""
        del form
        return ""


def source_of(program: Program) -> Source:
    """The source of a program. Raises UsageError for one that nothing installed offers."""
    return cast(Source, plugins.source(program.kind))


def main_source(point: Point) -> Source:
    """The source of a point: its programs are of one kind."""
    return source_of(next(iter(point.programs.values())))
