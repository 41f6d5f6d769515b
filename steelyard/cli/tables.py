"""A table of a report on the terminal."""

import typer

from steelyard.cli.output import print_table, printable
from steelyard.tables.format import shown
from steelyard.tables.table import Cell, Column, Table


def print_report_table(table: Table) -> None:
    """The table with its caption and footnotes; in place of rows the reason where it has none."""
    if not table.rows:
        typer.echo(printable(f"{table.title}: {table.empty}"))
        return
    rows = [
        tuple(_text(cell, column) for cell, column in zip(row.cells, table.columns, strict=True)) for row in table.rows
    ]
    right = [column.heading for column in table.columns if column.numeric]
    print_table(table.title, [column.heading for column in table.columns], rows, right=right)
    typer.echo(printable(table.caption))
    for note in table.footnotes:
        typer.echo(printable(f"  [{note.mark}] {note.text}"))
    for text in table.notes:
        typer.echo(printable(f"  {text}"))


def _text(cell: Cell, column: Column) -> str:
    """A cell with the marks of its footnotes."""
    return " ".join((shown(cell, column).text, *(f"[{mark}]" for mark in cell.notes)))
