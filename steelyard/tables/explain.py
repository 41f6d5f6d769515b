"""One case explained: what each backend was given, what it did, and every field in which the backends differ."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from steelyard.core.case import Arm
from steelyard.core.errors import UsageError, unknown_name
from steelyard.core.workload import Point
from steelyard.tables.explain_fields import (
    Field,
    correctness_fields,
    cost_fields,
    execution_fields,
    flat,
    request_fields,
    tuning_row,
    varied,
)
from steelyard.tables.facts import Facts
from steelyard.tables.format import counted, plain

_SHORTEST = 4
"""So many digits of a case's id say which is meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldGroup:
    """Fields under one heading: `given`, `did`, `answer`, `time and memory`."""

    title: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A case of a run, backend by backend.

    `alike` is what the run gave to all: the work and the budget. `cases` are ids by arm label. `own` holds
    what has no counterpart in other runtimes, by arm label: options declared, options compiled with,
    what was read back in the runtime's own words. `remarks` tell what went wrong.
    """

    point: Point
    cases: Mapping[str, str]
    alike: Mapping[str, str]
    sections: tuple[FieldGroup, ...]
    own: Mapping[str, Mapping[str, str]]
    remarks: tuple[str, ...]

    @property
    def arms(self) -> tuple[str, ...]:
        """The backends by label, the baseline first."""
        return tuple(self.cases)

    @property
    def differing(self) -> tuple[str, ...]:
        """Names of all fields in which the backends differ."""
        return tuple(field.name for part in self.sections for field in part.fields if field.compared == "differs")


def find_point(facts: Facts, wanted: str) -> Point:
    """The point that is meant: the id of one of its cases or its beginning, or `workload/axis=value ...`.

    Raises UsageError where that fits none or several points, naming them.
    """
    cases = facts.run.manifest.cases
    if len(wanted) >= _SHORTEST:
        keys = {case.point.key for case in cases if case.id.startswith(wanted)}
        if len(keys) == 1:
            return next(point for point in facts.points if point.key in keys)
        if keys:
            raise UsageError(f"'{wanted}' begins the ids of cases of {len(keys)} configurations; give more of the id")
    workload, *words = re.split(r"[/\s,]+", wanted.strip())
    if workload not in facts.workloads:
        raise unknown_name("case", wanted, [_spelling(facts, point) for point in facts.points])
    found = [
        point
        for point in facts.at(workload)
        if {word for word in words if word} <= {f"{name}={value}" for name, value in point.axes.items()}
    ]
    if len(found) == 1:
        return found[0]
    fitting = ", ".join(_spelling(facts, point) for point in found or facts.at(workload))
    raise UsageError(f"'{wanted}' fits {counted(len(found), 'configuration')} of this run; there are {fitting}")


def explain(facts: Facts, point: Point) -> Explanation:
    """Everything that the stored run knows of a point, backend by backend."""
    planned = facts.cases_at(point)
    cases = {arm.label: case for arm in facts.arms if (case := planned.get(arm.backend.text)) is not None}
    arms = tuple(arm for arm in facts.arms if arm.label in cases)
    remarks = [f"{arm.label}: {remark}" for arm in arms if (remark := facts.outcome(arm, point).remark)]
    remarks += [f"{item.backend}: left out: {item.reason}" for item in facts.run.manifest.left_out if not item.point]
    return Explanation(
        point=point,
        cases={label: case.id for label, case in cases.items()},
        alike=_alike(facts, point),
        sections=(
            FieldGroup(title="given", fields=request_fields(facts, arms, point)),
            FieldGroup(title="did", fields=execution_fields(facts, arms, point)),
            FieldGroup(title="answer", fields=correctness_fields(facts, arms, point)),
            FieldGroup(title="time and memory", fields=cost_fields(facts, arms, point)),
        ),
        own={arm.label: _own(facts, arm, point) for arm in arms},
        remarks=tuple(dict.fromkeys(remarks)),
    )


def _alike(facts: Facts, point: Point) -> dict[str, str]:
    manifest = facts.run.manifest
    lowered = manifest.lowered.get(point.key)
    programs = point.programs.values()
    case = next(iter(facts.cases_at(point).values()))
    alike = {
        "definition": lowered.identity.definition[:8] if lowered else "the configuration was not lowered",
        "code": lowered.identity.code[:8] if lowered else "",
        "weights": f"{lowered.identity.weights[:8]}, {_several(p.weights.origin for p in programs)}" if lowered else "",
        "inputs": lowered.identity.inputs[:8] if lowered else "",
        "reference": lowered.identity.reference[:8] if lowered else "",
        "dtype": _several(program.dtype for program in programs),
        "scenario": case.scenario,
        "device": manifest.device.name,
        "timed window": f"{plain(manifest.settings.window_s)} s a launch" if manifest.settings else "",
    }
    budget = case.budget
    alike |= {name: plain(getattr(budget, name)) for name in ("threads", "cpus", "tuning", "precision", "copies")}
    alike |= {name: plain(getattr(budget, name)) for name in ("shapes", "layout")}
    alike["memory_cap"] = budget.memory_cap if budget.memory_cap_bytes is not None else ""
    alike["l2_cache"] = budget.l2 or ""
    alike["tolerance"] = "; ".join(
        dict.fromkeys(filter(None, (each.stated for each in facts.cases_at(point).values())))
    )
    return {name: text for name, text in alike.items() if text}


def _own(facts: Facts, arm: Arm, point: Point) -> dict[str, str]:
    row = tuning_row(facts, arm)
    found = {f"declared: {name}": text for name, text in flat(row.options if row else {}).items()}
    compiled = varied(facts, arm, point, lambda result: flat(result.options))
    found |= {f"compiled with: {name}": text for name, text in compiled.items()}
    told = varied(facts, arm, point, lambda result: flat(result.proof.details if result.proof else {}))
    return found | {f"read back: {name}": text for name, text in told.items()}


def _several(values: Iterable[str]) -> str:
    return ", ".join(sorted(set(values)))


def _spelling(facts: Facts, point: Point) -> str:
    """How a point of this run is named on the command line: `decode/batch=8`."""
    workload, *words = facts.label(point).split(" ")
    return "/".join(filter(None, (workload, " ".join(words))))
