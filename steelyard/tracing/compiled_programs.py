"""What compilers of a traced run made of the programs: representations before and after, and machine code."""

from collections.abc import Iterator, Mapping, Sequence

from steelyard.across.sides import common, short
from steelyard.core.compilation import INSTRUCTION_SORTS, Compilation
from steelyard.tables.format import ABSENT
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table
from steelyard.tracing.compilations import HEAD, Compiled, head

_MOST_OPERATORS = 5


def tables(found: Sequence[Compiled]) -> tuple[Table, ...]:
    """The tables of representations and of machine code."""
    labels, shared = short({each.case.point.title: each.case.point for each in found})
    return _representations(found, labels, shared), _code(found, labels, shared)


def _once(found: Sequence[Compiled]) -> Iterator[tuple[Compiled, Compilation]]:
    """The first compilation of each case by each backend of which something is told."""
    seen = set()
    for each in found:
        key = each.arm, each.case.id
        if each.told is not None and key not in seen:
            seen.add(key)
            yield each, each.told


def _representations(found: Sequence[Compiled], labels: Mapping[str, str], shared: str) -> Table:
    foot, rows = Footnotes(), []
    for each, told in _once(found):
        for form in told.representations:
            why = () if form.bytes is not None else (foot.mark(f"{each.arm}: it is not written as text or a file"),)
            frequent = ", ".join(f"{count} {kind}" for kind, count in list(form.operators.items())[:_MOST_OPERATORS])
            cells = (
                *head(each, labels)[:2],
                Cell(text=form.name),
                Cell(value=form.count),
                Cell(value=len(form.operators)),
                Cell(text=ABSENT, notes=why) if form.bytes is None else Cell(value=form.bytes),
                Cell(text=frequent),
            )
            rows.append(Row(cells=cells, tags=each.tags))
    return Table(
        name="representations",
        title="The program before and after",
        caption="The program at points of its compilation: operators without constants, inputs and outputs, and the "
        f"size of its text or file without weights. {common(shared)}",
        columns=(
            *HEAD[:2],
            Column(key="form", title="Representation", wide=True),
            Column(key="operators", title="Operators", kind="integer"),
            Column(key="kinds", title="Kinds", kind="integer"),
            Column(key="bytes", title="Size", kind="number", unit="B", shown="KiB"),
            Column(key="frequent", title="Most frequent", kind="code", wide=True),
        ),
        rows=tuple(rows),
        footnotes=foot.all(),
        place="detail",
        empty="no launch told of a program's representations",
    )


def _code(found: Sequence[Compiled], labels: Mapping[str, str], shared: str) -> Table:
    foot, rows = Footnotes(), []
    for each, told in _once(found):
        code = told.code
        no_size = (foot.mark(f"{each.arm}: {code.bytes.reason}"),) if code.bytes.value is None else ()
        no_sorts = () if code.instructions else (foot.mark(f"{each.arm}: {code.instructions_untold}"),)
        total = sum(code.instructions.values())
        cells = (
            *head(each, labels)[:2],
            Cell(text=ABSENT, notes=no_size) if no_size else Cell(value=code.bytes.value),
            Cell(text=ABSENT, notes=no_size) if no_size else Cell(value=code.objects),
            Cell(text=ABSENT, notes=no_sorts) if no_sorts else Cell(value=total),
            *(
                Cell(text=ABSENT, notes=no_sorts)
                if no_sorts
                else Cell(value=100 * code.instructions.get(name, 0) / max(total, 1))
                for name in INSTRUCTION_SORTS
            ),
        )
        rows.append(Row(cells=cells, tags=each.tags))
    return Table(
        name="machine-code",
        title="Generated machine code",
        caption="What compilers generated for the processor: executable sections, and instructions by the widest "
        f"vector register that they name. Libraries that came compiled are not in it. {common(shared)}",
        columns=(
            *HEAD[:2],
            Column(key="bytes", title="Code", kind="number", unit="B", shown="KiB"),
            Column(key="objects", title="Objects", kind="integer"),
            Column(key="instructions", title="Instructions", kind="integer"),
            *(
                Column(key=name, title=title.capitalize(), kind="number", unit="%")
                for name, title in INSTRUCTION_SORTS.items()
            ),
        ),
        rows=tuple(rows),
        footnotes=foot.all(),
        place="detail",
        empty="no launch told of machine code",
    )
