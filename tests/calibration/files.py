"""The data of the stages: JSON files that a person can read line by line and that compare well in git."""

from pathlib import Path
from typing import Any

import msgspec

from steelyard import wire


def write(target: Path, value: Any) -> None:
    """Write a dataclass as JSON: a line for each field, and for each member of a field that is a list.

    The file appears at once or not at all, so that an interrupted stage leaves the last whole one.
    """
    lines = []
    for name, field in msgspec.json.decode(wire.encode(value)).items():
        text = msgspec.json.encode(field).decode()
        if isinstance(field, list) and field:
            text = "[\n  " + ",\n  ".join(msgspec.json.encode(member).decode() for member in field) + "\n]"
        lines.append(f'"{name}": {text}')
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    part.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    part.replace(target)
