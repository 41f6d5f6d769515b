"""How every backend ended at every configuration, as a small file to be kept: what a later run is held against."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from steelyard import wire
from steelyard.core.errors import StoreError, UsageError
from steelyard.core.run import Run
from steelyard.tables.facts import gather

ABSENT = "absent"
"""In place of a status where one side has no such configuration or backend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statuses:
    """Statuses by the title of a configuration, and there by backend; `versions` are those of what ran."""

    suite: str
    statuses: Mapping[str, Mapping[str, str]]
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One backend at one configuration that ended otherwise than before."""

    title: str
    backend: str
    before: str
    after: str


def statuses_of(run: Run) -> Statuses:
    """Of a stored run, what was left out before it began included; without the control arm."""
    facts = gather(run)
    named = [arm.label for arm in facts.arms]
    left_out = dict.fromkeys(entry.backend for entry in run.manifest.left_out if not entry.point)
    versions = run.manifest.environment.get("versions")
    return Statuses(
        suite=run.manifest.suite,
        statuses={
            point.title: {
                **{arm.label: str(facts.outcome(arm, point).status) for arm in facts.arms},
                **{name: "unsupported" for name in left_out if name not in named},
            }
            for point in facts.points
        },
        versions={name: str(text) for name, text in versions.items()} if isinstance(versions, dict) else {},
    )


def read(path: Path) -> Statuses:
    """Statuses that were kept. Raises StoreError for a file that holds none."""
    return wire.read(path, Statuses)


def write(statuses: Statuses, path: Path) -> None:
    """A file that a repository can hold: a line for each configuration, in order. Raises StoreError where it cannot be
    written."""
    plain = json.loads(wire.encode(statuses))
    rows = {title: json.dumps(plain["statuses"][title], sort_keys=True) for title in sorted(plain["statuses"])}
    lines = ",\n".join(f"  {json.dumps(title)}: {row}" for title, row in rows.items())
    text = f'{{"suite": {json.dumps(plain["suite"])},\n "versions": {json.dumps(plain["versions"], sort_keys=True)},\n'
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'{text} "statuses": {{\n{lines}\n}}}}\n', encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror or error}") from error


def differences(before: Statuses, after: Statuses) -> Iterator[Changed]:
    """What ended otherwise, what is new and what is gone, by configuration and backend."""
    for title in dict.fromkeys([*before.statuses, *after.statuses]):
        old, new = before.statuses.get(title, {}), after.statuses.get(title, {})
        for backend in dict.fromkeys([*old, *new]):
            one, other = old.get(backend, ABSENT), new.get(backend, ABSENT)
            if one != other:
                yield Changed(title=title, backend=backend, before=one, after=other)


def common(one: Statuses, other: Statuses) -> tuple[Statuses, Statuses]:
    """Both, cut down to the configurations and backends that each of them has. Raises UsageError if there are none."""
    shared = {
        title: row.keys() & other.statuses[title].keys()
        for title, row in one.statuses.items()
        if title in other.statuses
    }
    if not any(shared.values()):
        raise UsageError("the two have no configuration in common that one backend ran on both sides")

    def cut(whole: Statuses) -> Statuses:
        rows = {
            title: {backend: status for backend, status in whole.statuses[title].items() if backend in backends}
            for title, backends in shared.items()
        }
        return replace(whole, statuses=rows)

    return cut(one), cut(other)


def pass_rates(statuses: Statuses) -> Mapping[str, tuple[int, int]]:
    """For each backend how many configurations ended ok, and of how many."""
    found: dict[str, tuple[int, int]] = {}
    for row in statuses.statuses.values():
        for backend, status in row.items():
            ok, total = found.get(backend, (0, 0))
            found[backend] = ok + (status == "ok"), total + 1
    return found
