"""JSON decoded straight into dataclasses whose parts are often the same: each distinct text is decoded once.

What a runtime proved is the same in every launch of a case, and a point the same in the cases of all backends. Who
reads such a part gets one object, and so does who asks it for its hash.
"""

from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields
from functools import cache
from typing import Any

import msgspec


class Shared:
    """Decodes text of one type; equal text gives the same object."""

    def __init__(self, kind: Any) -> None:
        self._decoder = decoder(kind)
        self._known: dict[bytes, Any] = {}

    def value(self, text: bytes) -> Any:
        """What the text says. Raises msgspec.DecodeError."""
        if text not in self._known:
            self._known[text] = self._decoder.decode(text)
        return self._known[text]


@cache
def decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    """The strict decoder of a type."""
    return msgspec.json.Decoder(kind, strict=True)


def mirror(kind: Any, changed: Mapping[str, Any], without: Collection[str] = ()) -> Any:
    """A Struct with the fields of a dataclass but for those `without`, of other types where `changed` says so.

    A field that is changed to `msgspec.Raw` may be missing in the text; it is then empty.
    """
    described: list[Any] = []
    for field in fields(kind):
        if field.name in without:
            continue
        known, default = changed.get(field.name, field.type), field.default
        if known is msgspec.Raw:
            default = msgspec.Raw()
        elif field.default_factory is not MISSING:
            default = msgspec.field(default_factory=field.default_factory)
        described.append((field.name, known) if default is MISSING else (field.name, known, default))
    return msgspec.defstruct(f"Stored{kind.__name__}", described, kw_only=True, gc=False)
