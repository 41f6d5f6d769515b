"""Which runs stand on which side, and in which versions and budgets the sides differ."""

from collections.abc import Sequence

from steelyard.across.sides import Labelled
from steelyard.analysis.factor import BUDGET_FIELDS, as_given, versions_of
from steelyard.tables.format import ABSENT
from steelyard.tables.table import Cell, Column, Row, Table


def runs_table(sides: Sequence[Labelled]) -> Table:
    """A row for each run."""
    rows = []
    for side in sides:
        for run in side.group.runs:
            manifest = run.manifest
            warm = sum(number > 0 for segment in run.segments for number in segment.rounds)
            grades = ", ".join(dict.fromkeys(segment.noise.grade for segment in run.segments))
            cells = (
                Cell(text=side.label),
                Cell(text=manifest.run_id),
                Cell(text=manifest.created_utc),
                Cell(text=manifest.device.name),
                Cell(text=f"{manifest.suite} {manifest.suite_version}"),
                Cell(value=warm),
                Cell(text=grades or ABSENT),
            )
            rows.append(Row(cells=cells, tags={"device": side.device}))
    return Table(
        name="across-runs",
        title="Runs",
        caption="The runs of each side; the noise grades are those of their segments.",
        columns=(
            Column(key="side", title="Side"),
            Column(key="run", title="Run", kind="code", wide=True),
            Column(key="created", title="Begun (UTC)"),
            Column(key="device", title="Device", wide=True),
            Column(key="suite", title="Suite"),
            Column(key="rounds", title="Warm rounds", kind="integer"),
            Column(key="grade", title="Noise"),
        ),
        rows=tuple(rows),
        place="detail",
    )


def versions_table(sides: Sequence[Labelled]) -> Table:
    """A row for each package that any side has; those in which the sides differ come first."""
    found = [
        {"steelyard": run.manifest.tool_version, **versions_of(run)} for run in (side.group.runs[0] for side in sides)
    ]
    names = sorted({name for versions in found for name in versions})
    texts = {name: tuple(versions.get(name, ABSENT) for versions in found) for name in names}
    return _settings("versions", "Versions", "What the runtimes said that they are, and the environment.", sides, texts)


def budgets_table(sides: Sequence[Labelled]) -> Table:
    """A row for each field of the budget."""
    budgets = [side.group.runs[0].manifest.budget for side in sides]
    texts = {name: tuple(as_given(budget, name) for budget in budgets) for name in BUDGET_FIELDS}
    return _settings("budgets", "Budgets", "What was given to every backend of a run.", sides, texts)


def _settings(
    name: str, title: str, caption: str, sides: Sequence[Labelled], texts: dict[str, tuple[str, ...]]
) -> Table:
    ordered = sorted(texts.items(), key=lambda entry: len(set(entry[1])) == 1)
    rows = []
    for setting, values in ordered:
        differs = "differs" if len(set(values)) > 1 else "same"
        rows.append(Row(cells=(Cell(text=setting), *(Cell(text=value) for value in values), Cell(text=differs))))
    return Table(
        name=f"across-{name}",
        title=title,
        caption=caption,
        columns=(
            Column(key="name", title="Name"),
            *(
                Column(key=f"side {number}", title=side.label, tags={"device": side.device})
                for number, side in enumerate(sides)
            ),
            Column(key="differs", title="Sides"),
        ),
        rows=tuple(rows),
        place="detail",
        empty="nothing is known",
    )
