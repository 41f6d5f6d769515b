"""What compilers of a traced run made of the programs: representations before and after, and machine code."""

from collections.abc import Iterator, Mapping, Sequence

from steelyard.across.sides import common, short
from steelyard.core.compilation import INSTRUCTION_SORTS, PTX_SORTS, Compilation, GpuKernel
from steelyard.tables.format import ABSENT
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table
from steelyard.tracing.compilations import HEAD, Compiled, head

_MOST_OPERATORS = 5


def tables(found: Sequence[Compiled]) -> tuple[Table, ...]:
    """The tables of representations, of machine code, and where any was generated for a GPU of its kernels."""
    labels, shared = short({each.case.point.title: each.case.point for each in found})
    of_gpu = any(told.kernels for _, told in _once(found))
    kernels = (_gpu_kernels(found, labels, shared),) if of_gpu else ()
    return _representations(found, labels, shared), _code(found, labels, shared), *kernels


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


def _gpu_kernels(found: Sequence[Compiled], labels: Mapping[str, str], shared: str) -> Table:
    foot, rows = Footnotes(), []

    def cell(kernel: GpuKernel, value: int | None) -> Cell:
        return Cell(text=ABSENT, notes=(foot.mark(kernel.untold),)) if value is None else Cell(value=value)

    for each, told in _once(found):
        for kernel in told.kernels:
            total = sum(kernel.instructions.values())
            cells = (
                *head(each, labels)[:2],
                Cell(text=kernel.name),
                cell(kernel, kernel.registers),
                cell(kernel, kernel.spilled),
                cell(kernel, kernel.shared),
                Cell(value=total),
                *(Cell(value=100 * kernel.instructions.get(sort, 0) / max(total, 1)) for sort in PTX_SORTS),
            )
            rows.append(Row(cells=cells, tags=each.tags))
    return Table(
        name="gpu-kernels",
        title="Generated kernels of the GPU",
        caption="Kernels that compilers generated: registers of a thread, bytes that it spills to memory and back, "
        "shared memory of a block, as ptxas tells, and the instructions of the PTX by what executes them. "
        f"{common(shared)}",
        columns=(
            *HEAD[:2],
            Column(key="kernel", title="Kernel", kind="code", wide=True),
            Column(key="registers", title="Registers", kind="integer"),
            Column(key="spilled", title="Spilled", kind="number", unit="B"),
            Column(key="shared", title="Shared memory", kind="number", unit="B", shown="KiB"),
            Column(key="instructions", title="Instructions", kind="integer"),
            *(
                Column(key=f"of_{sort}", title=title.capitalize(), kind="number", unit="%")
                for sort, title in PTX_SORTS.items()
            ),
        ),
        rows=tuple(rows),
        footnotes=foot.all(),
        place="detail",
    )
