"""What `compare` says of each further side against the first."""

from collections.abc import Sequence

from steelyard.across.sides import ACROSS, Labelled, common, short, titles
from steelyard.analysis.across import FEWEST_RUNS
from steelyard.core.comparison import Comparison
from steelyard.tables.format import ABSENT, TIMES, percent
from steelyard.tables.provenance import levels
from steelyard.tables.table import Cell, Column, Flag, Footnotes, Row, Table


def verdict_table(sides: Sequence[Labelled], pairs: Sequence[tuple[str, Comparison]]) -> Table:
    """Each further side against the first: speed-up with interval, verdict, and why there is none."""
    foot = Footnotes()
    labels, shared = short(titles(sides))
    swapped = any(item.baseline != item.candidate for _, item in pairs)
    devices = {side.label: side.group.runs[0].manifest.device.name for side in sides}
    rows = []
    for label, item in pairs:
        times = item.speedup
        place = labels.get(item.title, item.title)
        marks = (foot.mark(item.remark),) if item.remark else ()
        flags: tuple[Flag, ...] = () if item.decided else ("withheld",)
        cells = (
            Cell(text=place),
            Cell(text=item.metric.removesuffix("_s")),
            Cell(text=item.candidate),
            Cell(text=label),
            *((Cell(text=item.baseline),) if swapped else ()),
            Cell(text=ABSENT, notes=marks) if times is None else Cell(value=times.value, interval=times.interval),
            _effect(item, foot),
            Cell(text=item.verdict, flags=flags, notes=marks),
            Cell(text=item.scope),
        )
        about = {"arm": item.candidate, "workload": item.workload, "point": place, "verdict": item.verdict}
        about["device"] = devices[label]
        rows.append(Row(cells=cells, tags=about))
    margins = " and ".join(sorted({percent(item.margin) for _, item in pairs}))
    ratios = levels(None if item.speedup is None else item.speedup.interval for _, item in pairs)
    against = sides[0].label if swapped else f"the same backend on {sides[0].label}"
    return Table(
        name="across-verdicts",
        title=f"Comparison, {ACROSS}",
        caption=f"Speed-up over {against}, above 1 is faster, {ACROSS}: nothing is paired; {ratios}. "
        f"{common(shared)}Faster or slower: the whole interval lies beyond the larger of {margins or 'the margin'} "
        "and the effect of the run, which is what one run differs from the next by the control arms.",
        columns=(
            Column(key="point", title="Workload", wide=True),
            Column(key="metric", title="Time"),
            Column(key="backend", title="Backend"),
            Column(key="side", title="Side"),
            *((Column(key="baseline", title="Against"),) if swapped else ()),
            Column(key="speedup", title="Speed-up", kind="number", unit="1", shown=TIMES),
            Column(key="effect", title="Effect of the run", kind="number", unit="1", shown="%"),
            Column(key="verdict", title="Verdict"),
            Column(key="scope", title="Scope"),
        ),
        rows=tuple(rows),
        footnotes=foot.all(),
        empty="the sides have no configuration and metric in common",
    )


def _effect(item: Comparison, foot: Footnotes) -> Cell:
    """What one run differs from the next, as far as the control arms tell."""
    if item.floor is None:
        return Cell(
            text=ABSENT,
            notes=(foot.mark(f"fewer than {FEWEST_RUNS} runs with a control arm and this backend on a side"),),
        )
    return Cell(value=item.floor)
