"""Graph breaks and recompilations as tables of a report."""

from collections.abc import Iterator

from steelyard.core.breaks import Breaks, Compilation, GraphBreak
from steelyard.tables.format import ABSENT, counted, duration, fixed
from steelyard.tables.table import Cell, Column, Footnotes, Paragraph, ReportData, Row, Table

_METHOD = (
    "The module is compiled with fullgraph off, so that Python goes on where a graph ends, and called with each of the "
    "inputs in turn, without gradients.",
    "Breaks, functions that are left uncompiled and guards that failed are what torch's own log of compilations says.",
    "The cost is that of all breaks together with what compiling gains: both kinds of calls were timed in turns in one "
    "process, which supports no verdict.",
)


def build_breaks(found: Breaks, created_utc: str) -> ReportData:
    """Lay out what was found."""
    return ReportData(
        run_id="",
        title=f"{found.factory}: graph breaks and recompilations",
        created_utc=created_utc,
        device="",
        baseline="",
        headline_workload="",
        arms=(),
        headline=tuple(_headline(found)),
        paragraphs=(Paragraph(name="methodology", title="Methodology", sentences=_METHOD),),
        tables=(_breaks(found), _recompilations(found), _compilations(found), _calls(found)),
        macros=(),
        conditions=(
            f"{found.factory}, torch {found.torch}, torch.compile with backend {found.backend}, "
            f"{counted(found.threads, 'thread')}.",
        ),
    )


def _headline(found: Breaks) -> Iterator[str]:
    again = len(found.recompilations)
    seconds = sum(each.seconds for each in found.compilations)
    yield (
        f"{counted(len(found.breaks), 'graph break')} and {counted(again, 'recompilation')} in "
        f"{counted(len(found.calls), 'call')}; {counted(found.graphs, 'graph')}, {duration(seconds)} of compilation."
    )
    for index, call in enumerate(found.calls):
        if call.failed:
            yield f"Call {index} ({call.inputs}) failed when compiled: {call.failed}."
    if found.cost is None:
        yield f"No calls were timed: {found.untimed}."
        return
    cost = found.cost
    yield (
        f"A call as it is compiled takes {duration(cost.compiled_s)}, as it is written {duration(cost.eager_s)}: "
        f"{fixed(cost.compiled_s / cost.eager_s, 2)} times as long (medians of {cost.calls} calls each)."
    )


def _breaks(found: Breaks) -> Table:
    foot = Footnotes()
    return Table(
        name="graph-breaks",
        title="Graph breaks",
        caption="Where a graph ends because the compiler cannot follow the code, and why; a place counts once, however "
        "often it was met.",
        columns=(
            Column(key="where", title="Place", kind="code", wide=True),
            Column(key="function", title="Function", kind="code"),
            Column(key="reason", title="Reason", wide=True),
            Column(key="hint", title="What to do", wide=True),
            Column(key="times", title="Met", kind="integer"),
        ),
        rows=tuple(_break(each, foot) for each in found.breaks),
        footnotes=foot.all(),
        empty="none was told before a call failed" if _failed(found) else "none: each call ran as one graph",
    )


def _break(each: GraphBreak, foot: Footnotes) -> Row:
    notes = []
    if each.skipped:
        notes.append(foot.mark("the compiler cannot go on in the middle of the function: all of it runs as written"))
    if each.caller:
        notes.append(foot.mark(f"called from {each.caller}"))
    reason = ": ".join(filter(None, (each.reason, each.explanation)))
    return Row(
        cells=(
            Cell(text=each.where),
            Cell(text=each.function),
            Cell(text=reason, notes=tuple(notes)),
            Cell(text=each.hint),
            Cell(value=each.times),
        ),
        tags={"where": each.where},
    )


def _recompilations(found: Breaks) -> Table:
    return Table(
        name="recompilations",
        title="Recompilations",
        caption="Functions that were compiled again because a guard of theirs failed: what they had been compiled for "
        "no longer held.",
        columns=(
            Column(key="function", title="Function", kind="code", wide=True),
            Column(key="where", title="Place", kind="code"),
            Column(key="guard", title="Guard that failed", kind="code", wide=True),
            Column(key="code", title="Because of", kind="code", wide=True),
            Column(key="call", title="In call", kind="integer"),
            Column(key="seconds", title="Compilation", kind="number", unit="s"),
        ),
        rows=tuple(
            Row(
                cells=(
                    Cell(text=each.function),
                    Cell(text=each.where),
                    Cell(text=each.guard),
                    Cell(text=each.code),
                    Cell(value=each.call),
                    Cell(value=each.seconds),
                )
            )
            for each in found.recompilations
        ),
        empty=_no_recompilation(found),
    )


def _failed(found: Breaks) -> bool:
    return any(call.failed for call in found.calls)


def _no_recompilation(found: Breaks) -> str:
    if _failed(found):
        return "none was told before a call failed"
    several = "none: what was compiled first served every call"
    return several if len(found.calls) > 1 else "none: there was one call"


def _compilations(found: Breaks) -> Table:
    foot = Footnotes()
    return Table(
        name="compilations",
        title="Compilations",
        caption="Each function that was compiled, parts behind a break as functions of their own: the operators of its "
        "graph, and what tracing and compiling it took.",
        columns=(
            Column(key="function", title="Function", kind="code", wide=True),
            Column(key="where", title="Place", kind="code"),
            Column(key="operators", title="Operators", kind="integer"),
            Column(key="seconds", title="Compilation", kind="number", unit="s"),
            Column(key="call", title="In call", kind="integer"),
        ),
        rows=tuple(
            Row(
                cells=(
                    Cell(text=each.function),
                    Cell(text=each.where),
                    _operators(each, foot),
                    Cell(value=each.seconds),
                    Cell(value=each.call),
                )
            )
            for each in found.compilations
        ),
        footnotes=foot.all(),
        place="detail",
        empty="nothing was compiled",
    )


def _operators(each: Compilation, foot: Footnotes) -> Cell:
    if each.operators is not None:
        return Cell(value=each.operators)
    return Cell(text=ABSENT, notes=(foot.mark(each.failed or "no tensor is computed in it: there is no graph"),))


def _calls(found: Breaks) -> Table:
    return Table(
        name="calls",
        title="Calls",
        caption="What each call was given, and what was compiled in it.",
        columns=(
            Column(key="call", title="Call", kind="integer"),
            Column(key="inputs", title="Inputs", kind="code", wide=True),
            Column(key="compiled", title="Compilations", kind="integer"),
            Column(key="seconds", title="Compilation", kind="number", unit="s"),
            Column(key="failed", title="Failed", wide=True),
        ),
        rows=tuple(
            Row(
                cells=(
                    Cell(value=index),
                    Cell(text=call.inputs),
                    Cell(value=sum(each.call == index for each in found.compilations)),
                    Cell(value=sum(each.seconds for each in found.compilations if each.call == index)),
                    Cell(text=call.failed),
                )
            )
            for index, call in enumerate(found.calls)
        ),
        place="detail",
    )
