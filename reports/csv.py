"""CSV: every table as it stands, and all of them as one tidy table, in base units with full precision."""

from pathlib import Path

from steelyard.render.drawing import Value, csv_text
from steelyard.render.output import ReportInputs, save
from steelyard.tables.table import Cell, Column, Table

TIDY = (
    *("table", "row", "arm", "point", "workload", "status", "column", "unit", "value", "low", "high", "confidence"),
    *("text", "flags", "notes"),
)


class Csv:
    """`csv/NAME.csv` for each table, `csv/all.csv` with one line per cell."""

    name = "csv"
    draws = False

    def write(self, inputs: ReportInputs, directory: Path) -> tuple[Path, ...]:
        """Write one file a table, and the tidy one."""
        folder = directory / self.name
        files = [save(folder / f"{table.name}.csv", sheet(table)) for table in inputs.data.tables]
        tidy = [line for table in inputs.data.tables if table.place != "data" for line in _tidy(table)]
        return (*files, save(folder / "all.csv", csv_text(TIDY, tidy)))


def sheet(table: Table) -> str:
    """One table: for each numeric column its value in the base unit and, where there are any, its interval."""
    with_interval = {
        column.key
        for position, column in enumerate(table.columns)
        if any(row.cells[position].interval is not None for row in table.rows)
    }
    heads: list[str] = []
    for column in table.columns:
        heads.append(column.key)
        if column.key in with_interval:
            heads += [f"{column.key}_low", f"{column.key}_high", f"{column.key}_confidence"]
    lines: list[list[Value]] = []
    for row in table.rows:
        line: list[Value] = []
        for column, cell in zip(table.columns, row.cells, strict=True):
            line.append(_plain(column, cell))
            if column.key in with_interval:
                line += _interval(cell)
        remarks = [note.text for note in table.footnotes if any(note.mark in cell.notes for cell in row.cells)]
        lines.append([*line, "; ".join(remarks)])
    return csv_text([*heads, "remarks"], lines)


def _tidy(table: Table) -> list[list[Value]]:
    remarks = {note.mark: note.text for note in table.footnotes}
    lines: list[list[Value]] = []
    for number, row in enumerate(table.rows):
        for column, cell in zip(table.columns, row.cells, strict=True):
            tags = [row.tags.get(name, "") for name in ("arm", "point", "workload", "status")]
            value = _number(column, cell)
            notes = "; ".join(remarks[mark] for mark in cell.notes)
            lines.append(
                [
                    *(table.name, number, *tags, column.key, column.unit, value),
                    *(*_interval(cell), cell.text, " ".join(cell.flags), notes),
                ]
            )
    return lines


def _plain(column: Column, cell: Cell) -> Value:
    return _number(column, cell) if column.numeric else cell.text


def _number(column: Column, cell: Cell) -> Value:
    if not column.numeric or cell.value is None:
        return None
    return int(cell.value) if column.kind == "integer" and float(cell.value).is_integer() else float(cell.value)


def _interval(cell: Cell) -> list[Value]:
    if cell.interval is None:
        return [None, None, None]
    return [cell.interval.low, cell.interval.high, cell.interval.confidence]


REPORT = Csv()
