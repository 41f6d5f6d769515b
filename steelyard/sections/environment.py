"""Where and how the run was made: machine, versions and plan as facts."""

from collections.abc import Iterator, Mapping
from typing import Any

from steelyard.core.run import protocol
from steelyard.core.virtual_environment import VirtualEnvironment
from steelyard.tables import provenance
from steelyard.tables.facts import Facts
from steelyard.tables.format import counted, plain
from steelyard.tables.section import Section
from steelyard.tables.table import Cell, Column, Row, Table


def environment_table(facts: Facts) -> Table:
    """The fingerprint of the machine and its software; what could not be read says why."""
    manifest = facts.run.manifest
    pairs = [
        ("device", f"{manifest.device.id}: {manifest.device.name}"),
        ("steelyard", manifest.tool_version),
        *((f"environment of {name}", _held(found)) for name, found in manifest.environments.items()),
    ]
    return _fact_table(
        "environment", "Machine and versions", "The machine and the software as found.", pairs, manifest.environment
    )


def plan_table(facts: Facts) -> Table:
    """The plan: command, budget, rounds, why it stopped, what effects could be found."""
    manifest = facts.run.manifest
    budget = manifest.budget
    rounds = sum(len(segment.rounds) for segment in facts.run.segments)
    pairs = [
        ("command", " ".join(manifest.command)),
        ("suite", f"{manifest.suite} version {manifest.suite_version}, headline {manifest.headline}"),
        ("run", f"{manifest.run_id}, {manifest.created_utc}"),
        ("digest of the run", facts.run.digest or "none: it is not stored, or still grows"),
        (
            "budget",
            f"{counted(budget.threads, 'thread')} on CPUs {plain(budget.cpus)}; tuning {budget.tuning}; precision "
            f"{budget.precision}; copies {budget.copies} the sample; shapes {budget.shapes}; layout {budget.layout}",
        ),
        *((("L2 cache", budget.l2_cache),) if budget.l2 is not None else ()),
        *((("memory cap", budget.memory_cap),) if budget.memory_cap_bytes is not None else ()),
        *(
            (f"code of {backend}", plain({n: d[:12] for n, d in code.items()}))
            for backend, code in manifest.code.items()
        ),
        *((("tolerance", "; ".join(stated)),) if (stated := provenance.stated(facts)) else ()),
        ("rounds measured", f"{rounds}, the cold one included"),
        ("launches", str(len(facts.run.launches))),
        *((("launches of a round", how),) if (how := protocol(facts.run.launches)) else ()),
        ("ended by", ", ".join(segment.ended for segment in facts.run.segments) or "not finished"),
    ]
    return _fact_table("plan", "Plan and stopping", "What was asked, planned and done.", pairs, manifest.plan)


def _held(found: VirtualEnvironment) -> str:
    beneath = "; beneath them those of the environment of bench" if found.inherits else ""
    return f"Python {found.python}; {plain(found.packages)}{beneath}"


def _fact_table(name: str, title: str, caption: str, pairs: list[tuple[str, str]], more: Mapping[str, Any]) -> Table:
    facts = [*pairs, *_flat(more)]
    return Table(
        name=name,
        title=title,
        caption=caption,
        columns=(Column(key="fact", title="Fact"), Column(key="value", title="Value", wide=True)),
        rows=tuple(Row(cells=(Cell(text=fact), Cell(text=value))) for fact, value in facts),
        place="detail",
        empty="nothing was recorded",
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        label = f"{prefix}{name}".replace("_", " ")
        if isinstance(value, Mapping) and set(value) != {"value", "reason"} and value:
            yield from _flat(value, f"{label}, ")
        else:
            yield label, plain(value)


SECTION = Section(name="environment", tables={2600: plan_table, 2700: environment_table})
