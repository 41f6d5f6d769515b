"""What a bibliography says of a runtime, a model or a tool."""

import re
from dataclasses import dataclass
from typing import Literal

_KEY = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_URL = re.compile(r"https://[A-Za-z0-9./-]+")
_DOI = re.compile(r"10\.[0-9]+/[A-Za-z0-9./-]+")
_EPRINT = re.compile(r"[0-9]{4}\.[0-9]{4,5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """One entry of a bibliography, apart from the version that ran, which a report adds.

    Authors are `Family, Given`; a name without a comma is an organisation, and `others` at the end stands for the
    rest. `eprint` is a number of arXiv. Styles print addresses as they are, so that they may hold only characters
    that LaTeX takes literally: anything else is a ValueError, as is a `key` that is not of small letters, digits and
    single hyphens.
    """

    key: str
    title: str
    kind: Literal["misc", "inproceedings"] = "misc"
    authors: tuple[str, ...] = ()
    year: int | None = None
    booktitle: str = ""
    publisher: str = ""
    url: str = ""
    doi: str = ""
    eprint: str = ""

    def __post_init__(self) -> None:
        for name, form in (("key", _KEY), ("url", _URL), ("doi", _DOI), ("eprint", _EPRINT)):
            value = getattr(self, name)
            if (value or name == "key") and not form.fullmatch(value):
                raise ValueError(f"citation '{self.title}': {name} '{value}' is not of the form {form.pattern}")
