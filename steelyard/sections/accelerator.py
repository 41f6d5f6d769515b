"""What an accelerator said of itself: its own clock beside the host's, slowed windows, the L2 mode, graphs."""

import statistics
from collections.abc import Sequence

from steelyard.core.case import Arm
from steelyard.core.result import Result
from steelyard.core.targets import EXPERIMENTAL, is_seen
from steelyard.core.workload import Point
from steelyard.tables import provenance
from steelyard.tables.cells import tags, timed
from steelyard.tables.facts import Facts
from steelyard.tables.format import ABSENT
from steelyard.tables.section import Section
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table


def accelerator_tables(facts: Facts) -> tuple[Table, ...]:
    """The one table of a run on an accelerator; none of a run on a CPU."""
    return () if facts.run.manifest.device.kind == "cpu" else (_table(facts),)


def _table(facts: Facts) -> Table:
    foot = Footnotes()
    rows, used = [], []
    for point in facts.points:
        for arm in facts.arms:
            outcome = facts.outcome(arm, point)
            results = [each for each in facts.results(arm, point) if each.status == "ok" and each.measurements]
            host = facts.estimate(arm, point, "latency_s") if outcome.speed else None
            why = facts.reason(arm, point, "latency_s") if outcome.speed else outcome.remark
            used.append(host)
            cells = (
                Cell(text=facts.label(point)),
                Cell(text=arm.label),
                timed(host, foot) if host is not None else _none(why, arm, foot),
                _own(results, arm, foot) if outcome.speed else _none(why, arm, foot),
                Cell(text=_slowed(results)),
                Cell(text=_others(results)),
                Cell(text=facts.run.manifest.budget.l2_cache),
                Cell(text=_graphs(facts, arm, point)),
                Cell(text="seen" if is_seen(arm.backend, facts.run.manifest.device.kind) else EXPERIMENTAL),
            )
            rows.append(Row(cells=cells, tags=tags(facts, arm, point)))
    what = (
        "The host's time of a call, which is the one compared, beside the device's own by events around calls made "
        "apart: the median over launches of their medians, without an interval. Windows in which the driver held the "
        "clocks down are counted and kept."
    )
    return Table(
        name="device",
        title="The device",
        caption=provenance.caption(facts, facts.points, what, used),
        columns=(
            Column(key="point", title="Workload"),
            Column(key="backend", title="Backend"),
            Column(key="latency_s", title="Host", kind="number", unit="s", shown="ms"),
            Column(key="device_s", title="Device", kind="number", unit="s", shown="ms"),
            Column(key="slowed", title="Windows slowed", wide=True),
            Column(key="others", title="With others"),
            Column(key="l2", title="L2"),
            Column(key="graphs", title="Graphs", wide=True),
            Column(key="state", title="State", wide=True),
        ),
        rows=tuple(rows),
        footnotes=foot.all(),
        conditions=provenance.conditions(facts),
        place="detail",
        empty="nothing was planned",
    )


def _own(results: Sequence[Result], arm: Arm, foot: Footnotes) -> Cell:
    """The device's time; without one the reason of the last launch."""
    found = [own for result in results if (own := result.measurement("device_s")) is not None]
    if found:
        return Cell(value=statistics.median(statistics.median(own.steady_samples) for own in found))
    reasons = [why.reason for result in results if (why := result.details.device_time)]
    return _none(reasons[-1] if reasons else "no timed window", arm, foot)


def _slowed(results: Sequence[Result]) -> str:
    """How many windows were touched, and by what; or why nobody knows."""
    boards = [board for result in results if (board := result.details.board)]
    told = [board.slowed_by for board in boards if board.slowed_by is not None]
    if not told:
        return boards[-1].reason if boards else ABSENT
    touched = [causes for causes in told if causes]
    causes = sorted({cause for each in touched for cause in each})
    return f"{len(touched)} of {len(told)}" + (f": {', '.join(causes)}" if causes else "")


def _others(results: Sequence[Result]) -> str:
    """How many windows ended while others computed on the device."""
    boards = [board for result in results if (board := result.details.board)]
    counts = [board.foreign_processes for board in boards if board.foreign_processes is not None]
    return f"{sum(count > 0 for count in counts)} of {len(counts)}" if counts else ABSENT


def _graphs(facts: Facts, arm: Arm, point: Point) -> str:
    """Whether graphs replay the calls, as the options of the last launch tell it."""
    options = [result.options for result in facts.results(arm, point) if result.options]
    if not options:
        return ABSENT
    for key in ("graphs", "provider.enable_cuda_graph", "provider.trt_cuda_graph_enable"):
        if key in options[-1]:
            told = options[-1][key]
            return {"0": "none", "1": "CUDA graphs"}.get(str(told), str(told))
    return "not told"


def _none(reason: str, arm: Arm, foot: Footnotes) -> Cell:
    return Cell(text=ABSENT, notes=(foot.mark(f"{arm.label}: {reason}"),))


SECTION = Section(name="accelerator", tables={600: accelerator_tables})
