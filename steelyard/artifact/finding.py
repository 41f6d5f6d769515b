"""What a check says: of what, and whether it holds."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["holds", "wrong", "untraced", "note"]
FAILING: tuple[Kind, ...] = ("wrong", "untraced")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One answer. `where` is a file, with a line where there is one, or a part of the run; `text` is a clause.

    `holds` was checked and is so; `wrong` was checked and is not; `untraced` could be traced to nothing that was
    measured; a `note` says what could not be checked and speaks against nobody.
    """

    kind: Kind
    where: str
    text: str


def whole(found: Iterable[Finding]) -> bool:
    """Whether everything was traced."""
    return not any(finding.kind in FAILING for finding in found)
