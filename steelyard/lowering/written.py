"""What an entry of the cache owes to the authors of a suite, beside a definition: the version and content of code."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.core.code import changes, code_of
from steelyard.core.errors import LoweringError
from steelyard.core.hashing import stable_hash
from steelyard.core.workload import Point

Build = Callable[[Path], Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The modules behind `sources` as they were when this was made, and the suite that they belong to."""

    suite: str
    sources: tuple[str, ...]
    code: Mapping[str, str]

    @property
    def made_with(self) -> dict[str, str]:
        """What enters the key of an entry."""
        return {"suite": self.suite, "code": stable_hash(self.code, 24)}

    def watched(self, build: Build) -> Build:
        """The builder of an entry that keeps nothing where the code was edited meanwhile: which of the two it has
        imported is not known. It then raises LoweringError."""

        def build_watched(directory: Path) -> Mapping[str, Any]:
            facts = build(directory)
            if edited := changes(self.code, code_of(self.sources)):
                raise LoweringError(f"{', '.join(edited)} was edited while it was lowered: run again")
            return facts

        return build_watched


def written_by(point: Point, sources: Iterable[str]) -> Written:
    """The code of a point's suite behind `sources`, as it is now."""
    named = tuple(sources)
    return Written(suite=f"{point.suite} {point.suite_version}", sources=named, code=code_of(named))
