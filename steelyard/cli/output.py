"""What the reading verbs print: tables that fit the terminal, or versioned JSON. Stored text is shown, never obeyed."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import typer

from steelyard.core.visible import visible

JSON_VERSION = 1
"""Of every JSON document the reading verbs print; see docs/json.md. Raised when a field changes its meaning or goes."""

_WHOLE = 40
"""A first column no wider than this is never folded: it holds the name that a user copies."""


def print_json(kind: str, fields: Mapping[str, Any]) -> None:
    """One JSON object on stdout: `kind`, `version`, then the fields. Unknown numbers are null.

    Where stdout cannot have a character, or it is a hidden one, JSON's own escape stands for it: data never loses any.
    """
    import msgspec

    from steelyard import wire

    data = wire.encode({"kind": f"steelyard-{kind}", "version": JSON_VERSION, **fields})
    text = msgspec.json.format(data, indent=2).decode()
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # outside strings JSON is ASCII
        text = "".join(letter if letter.isascii() else json.dumps(letter)[1:-1] for letter in text)
    typer.echo(visible(text, lines=True, stand_in=lambda letter: json.dumps(letter)[1:-1]))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> None:
    """A table as wide as the terminal at most (80 columns where there is none); long words fold.

    `right` names the columns that are set flush right.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if title:  # not by click, which writes UTF-8 to an ASCII stdout
        sys.stdout.write(f"{printable(title)}\n")
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False, show_edge=False)
    for number, column in enumerate(columns):
        keep = number == 0 and all(len(row[0]) <= _WHOLE for row in rows)
        justify: Literal["left", "right"] = "right" if column in right else "left"
        table.add_column(Text(printable(column)), justify=justify, overflow="fold", no_wrap=keep)
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    Console(highlight=False, soft_wrap=False).print(table)


def printable(text: str) -> str:
    """Text as a terminal may have it: a stored reason must not move the cursor, hide or turn round what is read."""
    return visible(text, lines=True)
