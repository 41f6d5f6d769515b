"""How close each backend comes to the fastest over all workload points: the performance profile of Dolan and More.

E. D. Dolan, J. J. More, Benchmarking optimization software with performance profiles, Math. Programming 91 (2002),
201-213. There a problem counts for every solver; one that a solver fails has a ratio beyond all others.
"""

from steelyard.core.case import Arm
from steelyard.core.workload import Point
from steelyard.tables import provenance
from steelyard.tables.cells import tags
from steelyard.tables.facts import Facts
from steelyard.tables.format import TIMES, counted
from steelyard.tables.overall import LEAST_POINTS
from steelyard.tables.section import Section
from steelyard.tables.table import Cell, Column, Row, Table

METRIC = "latency_s"
UNSOLVED = "without a time"
APPROXIMATE = "approximate"
"""In the place of a time that is not one of equal work: it says nothing of who is the fastest."""


def profile_table(facts: Facts) -> Table:
    """A row per backend and point: latency over that of the point's fastest backend, and the share of all points at
    which the backend comes that close. Points without any time are left out, as there no ratio is defined."""
    times = {point.key: _times(facts, point) for point in facts.points}
    known = [point for point in facts.points if times[point.key]]
    rows = []
    for arm in facts.arms if len(known) >= LEAST_POINTS else ():
        ratios = sorted(
            (times[point.key][arm.label] / min(times[point.key].values()), place)
            for place, point in enumerate(known)
            if arm.label in times[point.key]
        )
        for count, (ratio, place) in enumerate(ratios, start=1):
            cells = (Cell(text=arm.label), Cell(value=ratio), Cell(value=count / len(known)))
            rows.append(Row(cells=cells, tags=tags(facts, arm, known[place])))
        rows += [_failed(facts, arm, point) for point in known if arm.label not in times[point.key]]
    missing = len(facts.points) - len(known)
    left = f" {counted(missing, 'configuration')} that no backend completed left out." if missing else ""
    return Table(
        name="profile",
        title="Performance profile",
        caption=f"The share of {counted(len(known), 'configuration')} at which a backend is within a factor of the "
        "fastest there, by latency. A configuration that a backend did not complete counts as never reached."
        f"{left}",
        columns=(
            Column(key="backend", title="Backend"),
            Column(key="ratio", title="Latency / fastest", kind="number", unit="1", shown=TIMES),
            Column(key="share", title="Configurations within it", kind="number", unit="1", shown="%"),
        ),
        rows=tuple(rows),
        place="data",
        empty=f"a profile is a distribution over configurations and means nothing below {LEAST_POINTS} with a time; "
        f"this run has {len(known)}",
        basis=provenance.basis([facts.estimate(arm, point, METRIC) for arm in facts.arms for point in known]),
    )


def _times(facts: Facts, point: Point) -> dict[str, float]:
    found = {}
    for arm in facts.arms:
        estimate = facts.estimate(arm, point, METRIC)
        outcome = facts.outcome(arm, point)
        if estimate is not None and outcome.speed and not outcome.approximate:
            found[arm.label] = estimate.value
    return found


def _failed(facts: Facts, arm: Arm, point: Point) -> Row:
    outcome = facts.outcome(arm, point)
    status = outcome.status.replace("_", " ")
    word = status if status != "ok" else APPROXIMATE if outcome.approximate else UNSOLVED
    return Row(cells=(Cell(text=arm.label), Cell(text=word), Cell(text=word)), tags=tags(facts, arm, point))


SECTION = Section(name="profiles", tables={2900: profile_table})
