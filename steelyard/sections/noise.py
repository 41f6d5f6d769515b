"""What the machine did meanwhile: the control arm, the segments with their grades, every launch in time order."""

import statistics

from steelyard.core.metrics import METRICS, Reading
from steelyard.core.result import Result
from steelyard.core.run import Run, Segment, launches_by_segment
from steelyard.core.workload import Point
from steelyard.guard.speed import LAG, SPREAD, over_fastest
from steelyard.measure.driver import metrics_of
from steelyard.tables import provenance
from steelyard.tables.facts import Facts
from steelyard.tables.format import ABSENT, duration, fixed, percent, plain, size
from steelyard.tables.provenance import launches_of_a_round
from steelyard.tables.section import Section
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table


def control_table(facts: Facts) -> Table:
    """The baseline against itself: the ratio that ought to be one, and the noise floor that follows."""
    foot = Footnotes()
    rows, ratios = [], []
    control = facts.control
    for point in facts.points if control is not None else ():
        assert control is not None
        for metric in dict.fromkeys((*metrics_of(point), *METRICS)):
            comparison = facts.comparison(control, point, metric)
            if comparison is None:
                continue
            cells = [Cell(text=facts.label(point)), Cell(text=metric)]
            if comparison.ratio is None:
                mark = foot.mark(comparison.reason or "the control arm gave no pairs")
                cells += [Cell(text=ABSENT, notes=(mark,)), Cell(text=ABSENT), Cell(text=ABSENT)]
            else:
                ratios.append(comparison.ratio)
                floor = comparison.floor
                why = () if floor is not None else (foot.mark(comparison.reason or "too few rounds for an interval"),)
                cells += [
                    Cell(value=comparison.ratio.value, interval=comparison.ratio.interval),
                    Cell(value=floor) if floor is not None else Cell(text=ABSENT, notes=why),
                    Cell(value=comparison.ratio.n),
                ]
            about = {"point": facts.label(point), "workload": point.workload, "metric": metric, "arm": control.label}
            rows.append(Row(cells=tuple(cells), tags=about))
    return Table(
        name="control",
        title="Control arm",
        caption=f"The baseline ({facts.run.manifest.baseline}) launched twice in each round: the ratio of the two, "
        f"which ought to be 1 ({provenance.levels(r.interval for r in ratios)}), and the noise floor, the end "
        f"of its interval that lies farther from 1.",
        columns=(
            Column(key="point", title="Workload"),
            Column(key="metric", title="Metric", kind="code"),
            Column(key="ratio", title="Control / baseline", kind="number", unit="1"),
            Column(key="floor", title="Noise floor", kind="number", unit="1", shown="%"),
            Column(key="pairs", title="Rounds", kind="integer"),
        ),
        rows=tuple(rows),
        footnotes=foot.all(),
        place="detail",
        empty="the run had no control arm, so that its noise floor is not known",
    )


def segments_table(facts: Facts) -> Table:
    """The segments: rounds, why each ended, the grade of the machine with its evidence."""
    rows = []
    for segment in facts.run.segments:
        readings = "; ".join(
            _reading_text(name, reading)
            for name, reading in sorted(segment.noise.readings.items())
            if "/cpu" not in name  # single CPUs: the worst one stands for them
        )
        supervisor = "; ".join(_reading_text(name, reading) for name, reading in sorted(segment.supervisor.items()))
        cells = (
            Cell(value=segment.index),
            Cell(text=segment.started_utc.replace("+00:00", "Z")),
            Cell(value=len(segment.rounds)),
            Cell(text=segment.ended),
            Cell(text=segment.noise.grade, flags=("withheld",) if segment.noise.grade == "F" else ()),
            Cell(text="; ".join(segment.noise.evidence) or readings or "nothing was read"),
            Cell(text=supervisor or "nothing was read"),
            Cell(text="; ".join(f"{number}: {told}" for number, told in segment.disturbed.items()) or "none"),
            Cell(text=_turns(facts.run, segment)),
            Cell(text=_clock(segment)),
        )
        rows.append(Row(cells=cells))
    return Table(
        name="segments",
        title="Segments and noise grade",
        caption="What was measured in one go, why it ended, and the grade (A to F) of the machine: the worse of what "
        "it got beforehand and that of the typical launch. At F all verdicts are withheld. Contaminated rounds are "
        "those that others than the run touched; the times of the configurations that the touched launches ran count "
        "nowhere, but where more than half of the rounds were so: then they are shown, and no verdict is given. Of "
        "launches that took turns the medians of what a turn costs are told.",
        columns=(
            Column(key="segment", title="Segment", kind="integer"),
            Column(key="started", title="Started"),
            Column(key="rounds", title="Rounds", kind="integer"),
            Column(key="ended", title="Ended by"),
            Column(key="grade", title="Grade"),
            Column(key="evidence", title="Evidence", wide=True),
            Column(key="supervisor", title="Supervisor", wide=True),
            Column(key="contaminated", title="Contaminated rounds", wide=True),
            Column(key="turns", title="Launches of a round", wide=True),
            Column(key="clock", title="Clock", wide=True),
        ),
        rows=tuple(rows),
        place="detail",
        empty="no segment was finished",
    )


def _turns(run: Run, segment: Segment) -> str:
    """The same with what turns cost: the hand-over from one to the next, and the first call of a turn beside the rest
    of it."""
    warm = {number for number in segment.rounds if number > 0}
    handovers = [each.handover_s for each in run.launches if each.round in warm and each.handover_s is not None]
    turns = [result.details.turns for result in run.results if result.round in warm]
    ratios = [ratio for each in turns if each and (ratio := each.first_call_over_the_rest) is not None]
    parts = [launches_of_a_round(run, segment)]
    parts += [f"hand-over {duration(statistics.median(handovers))}"] if handovers else []
    parts += [f"first call of a turn {fixed(statistics.median(ratios), 2)} x the rest, left out"] if ratios else []
    return "; ".join(parts)


def _clock(segment: Segment) -> str:
    """How much the clock of the measured CPUs moved, as far as it was read."""
    lag, spread = (segment.noise.readings.get(f"during/{name}") for name in (LAG, SPREAD))
    parts = []
    if lag is not None and lag.value is not None:
        parts.append(f"{percent(lag.value)} slower in the typical launch than in the fastest")
    if spread is not None and spread.value is not None:
        parts.append(f"{percent(spread.value)} between two launches of a round")
    return "; ".join(parts) or "not read"


def _reading_text(name: str, reading: Reading) -> str:
    """A reading in words: `cpu share: 0.03 %`."""
    words = name.removesuffix("_bytes").removesuffix("_s").removesuffix("_hz").replace("_", " ")
    if reading.value is None:
        return f"{words}: {reading.reason}"
    if reading.unit == "B":
        return f"{words}: {size(reading.value)}"
    if reading.unit == "s":
        return f"{words}: {duration(reading.value)}"
    if reading.unit == "Hz":
        return f"{words}: {fixed(reading.value / 1e6, 1)} MHz"
    return f"{words}: {percent(reading.value) if name.endswith('share') else plain(reading.value)}"


def _without_median(facts: Facts, result: Result, point: Point) -> str:
    if result.round == 0:
        return "cold round"
    if result.round in facts.contaminated[point.key]:
        return "contaminated round"
    arm = next(arm for arm in facts.sides.arms if arm.label == result.arm)
    lost = result.round in facts.sides.side(arm, point.key).contaminated
    return "time lost to the host" if lost else "no steady number"


def launches_table(facts: Facts) -> Table:
    """One row per launch, point and metric: its median, in time order. The raw material of every estimate."""
    # A segment's clock begins at zero, so that later segments are set behind the earlier ones.
    started: dict[str, float] = {}
    clocks: dict[str, float] = {}
    end = 0.0
    for launches in launches_by_segment(facts.run.launches):
        clocks.update(over_fastest(launches))
        started.update((record.launch, end + record.started_s) for record in launches)
        end += max(record.ended_s for record in launches)
    points = {case.id: case.point for case in facts.run.manifest.cases}
    rows = []
    for result in facts.run.results:
        point = points.get(result.case_id)
        if point is None or result.launch not in started:
            continue
        for measurement in result.measurements:
            median = facts.launch_median(result.arm, point, measurement.metric, result.place)
            cells = (
                Cell(value=result.round),
                Cell(value=result.group),
                Cell(value=result.position),
                Cell(text=result.arm),
                Cell(text=facts.label(point)),
                Cell(text=measurement.metric),
                Cell(text=measurement.layer),
                Cell(text=result.status),
                Cell(value=started[result.launch]),
                Cell(value=median) if median is not None else Cell(text=_without_median(facts, result, point)),
                Cell(value=len(measurement.samples)),
                Cell(value=measurement.cut),
                Cell(text=measurement.steady),
                Cell(text=measurement.stop),
                Cell(value=clocks[result.launch]) if result.launch in clocks else Cell(text="not read"),
            )
            about = {"arm": result.arm, "point": facts.label(point), "workload": point.workload}
            rows.append(Row(cells=cells, tags=about | {"metric": measurement.metric, "status": result.status}))
    return Table(
        name="launches",
        title="Medians of every launch",
        caption="The median of the samples after the warm-up cut, per launch, workload and metric, in base units. "
        "Clock: how fast the spin meter found the measured CPUs between the turns of the launch, or else before and "
        "after it, over the fastest launch of its segment; no number is corrected for it.",
        columns=(
            Column(key="round", title="Round", kind="integer"),
            Column(key="group", title="Group", kind="integer"),
            Column(key="position", title="Position", kind="integer"),
            Column(key="arm", title="Backend"),
            Column(key="point", title="Workload"),
            Column(key="metric", title="Metric"),
            Column(key="layer", title="Layer"),
            Column(key="status", title="Status"),
            Column(key="started_s", title="Started", kind="number", unit="s"),
            Column(key="median_s", title="Median", kind="number", unit="s"),
            Column(key="samples", title="Samples", kind="integer"),
            Column(key="cut", title="Warm-up", kind="integer"),
            Column(key="steady", title="Steady state"),
            Column(key="stop", title="Stopped by"),
            Column(key="clock", title="Clock", kind="number", unit="1"),
        ),
        rows=tuple(rows),
        place="data",
        empty="no launch took samples",
    )


SECTION = Section(name="noise", tables={2200: control_table, 2400: segments_table, 2800: launches_table})
