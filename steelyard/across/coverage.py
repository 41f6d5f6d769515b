"""Every workload on every backend of every side: how it ended there, and why."""

from collections.abc import Iterator, Mapping, Sequence

from steelyard.across.sides import ACROSS, Labelled, backends, column, common, short, titles
from steelyard.core.workload import Point
from steelyard.tables.facts import Facts, gather
from steelyard.tables.format import ABSENT, counted
from steelyard.tables.outcome import Outcome, together
from steelyard.tables.table import Cell, Column, Flag, Footnotes, Row, Table


def coverage_table(sides: Sequence[Labelled]) -> Table:
    """A row for each workload point, a column for each backend on each side, also for those that ran nowhere."""
    gathered = {side.label: tuple(gather(run) for run in side.group.runs) for side in sides}
    places = (*backends(sides), *((side, name) for name in _never_run(sides) for side in sides))
    points = _points(sides, gathered)
    labels, shared = short(points)
    foot = Footnotes()
    rows = []
    for title, point in points.items():
        cells = [Cell(text=labels[title])]
        for side, arm in places:
            text, notes = _status_with_remarks(gathered[side.label], side, arm, title, labels[title])
            flags: tuple[Flag, ...] = () if text == "ok" else ("failed",)
            cells.append(Cell(text=text, flags=flags, notes=tuple(foot.mark(note) for note in notes)))
        rows.append(Row(cells=tuple(cells), tags={"point": labels[title], "workload": point.workload}))
    return Table(
        name="across-coverage",
        title=f"Coverage, {ACROSS}",
        caption="How every backend ended on every workload over all launches of all runs of a side, the cold ones "
        f"included, and why. {common(shared)}".strip(),
        columns=(Column(key="point", title="Workload", wide=True), *(column(side, arm) for side, arm in places)),
        rows=tuple(rows),
        footnotes=foot.all(),
        place="detail",
        empty="nothing was planned",
    )


def _points(sides: Sequence[Labelled], gathered: Mapping[str, Sequence[Facts]]) -> dict[str, Point]:
    """Every point by title, also what only some runs of a side have."""
    found = titles(sides)
    for facts in (facts for side in sides for facts in gathered[side.label]):
        for point in facts.points:
            found.setdefault(point.title, point)
    return found


def _never_run(sides: Sequence[Labelled]) -> tuple[str, ...]:
    """The backends that were asked for and ran on no side."""
    manifests = [run.manifest for side in sides for run in side.group.runs]
    ran = {name for manifest in manifests for arm in manifest.arms for name in (arm.label, arm.backend.text)}
    asked = (entry.backend for manifest in manifests for entry in manifest.left_out if entry.backend != "all")
    return tuple(dict.fromkeys(name for name in asked if name not in ran))


def _status_with_remarks(
    runs: Sequence[Facts], side: Labelled, arm: str, title: str, label: str
) -> tuple[str, Iterator[str]]:
    """The status of a backend at a point of a side, and the remarks on it."""
    found = [outcome for facts in runs if (outcome := _outcome(facts, arm, title)) is not None]
    if found:
        return together(found).status.replace("_", " "), _remarks(found, len(runs), side, arm, label)
    planned = any(point.title == title for facts in runs for point in facts.points)
    return ABSENT, iter(
        [f"{arm} was not run on {side.label}" if planned else f"not among the configurations of {side.label}"]
    )


def _remarks(found: Sequence[Outcome], runs: int, side: Labelled, arm: str, label: str) -> Iterator[str]:
    outcome = together(found)
    never = sum(item.status == outcome.status and not item.launches for item in found)
    if never and outcome.launches:  # left out of some runs before they began
        yield f"{outcome.status.replace('_', ' ')} in {never} of {counted(runs, 'run')}: {outcome.reason}"
    elif outcome.remark:
        yield outcome.remark
    if words := outcome.last_words:
        yield f"Log of {arm} on {side.label}, {label}: {words}"
    if len(found) < runs:
        yield f"part of {len(found)} of {counted(runs, 'run')} of {side.label}"


def _outcome(facts: Facts, label: str, title: str) -> Outcome | None:
    """How a backend fared at a point of one run; None where the run was not asked for it."""
    arm = next((arm for arm in facts.arms if arm.label == label), None)
    point = next((point for point in facts.points if point.title == title), None)
    names = {label} if arm is None else {label, arm.backend.text}
    places = {"", title} if point is None else {"", title, point.key}
    reasons = [e.reason for e in facts.run.manifest.left_out if e.backend in names and e.point in places]
    known = None if arm is None or point is None else facts.outcome(arm, point)
    if known is not None and known.launches:
        return known
    if reasons:
        return Outcome(status="unsupported", ok=0, launches=0, stage="plan", reason="; ".join(reasons))
    return known
