"""In what two groups of runs differ: backend, device, version, a field of the budget, or what forbids comparing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from steelyard.core.backend import Budget
from steelyard.core.errors import UsageError, unknown_name
from steelyard.core.run import Run, protocol
from steelyard.store.differences import HOST

BUDGET_FIELDS = (
    *("threads", "cpus", "tuning", "precision", "copies", "shapes", "layout", "memory_cap", "l2_cache"),
    "tolerance",
)
FACTORS = ("backend", "device", "version", *BUDGET_FIELDS)
_VERSIONS = ("packages", "versions", "python")


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """What differs on purpose, and `others`: what differs besides, as `name: baseline -> candidate`.

    `arms` are the labels to compare, (baseline's, candidate's); the labels differ for the factor `backend` only.
    """

    name: str
    arms: tuple[tuple[str, str], ...]
    others: tuple[str, ...] = ()


def find_factor(baseline: Sequence[Run], candidate: Sequence[Run], wanted: str | None = None) -> Factor:
    """The one factor in which the sides differ.

    Raises UsageError where runs of one side differ among themselves, where nothing or more than one
    thing differs (unless `wanted` says which is meant: then the rest stands in `others`), or where no
    backend is on both sides.
    """
    if not baseline or not candidate:
        raise UsageError("comparing needs at least one run on each side")
    if wanted is not None and wanted not in FACTORS:
        raise unknown_name("factor", wanted, FACTORS)
    for name, runs in (("baseline", baseline), ("candidate", candidate)):
        for run in runs[1:]:
            inner = _differences(runs[0], run)
            if inner or _labels(run) != _labels(runs[0]):
                told = "; ".join(text for texts in inner.values() for text in texts) or "the backends differ"
                raise UsageError(
                    f"the {name} runs {runs[0].manifest.run_id} and {run.manifest.run_id} are not alike ({told}); "
                    "give runs of one setting on each side"
                )
    differences = _differences(baseline[0], candidate[0])
    before, after = _labels(baseline[0]), _labels(candidate[0])
    common = tuple((label, label) for label in before if label in after)
    only = [label for label in before if label not in after], [label for label in after if label not in before]
    swapped = ((only[0][0], only[1][0]),) if len(only[0]) == len(only[1]) == 1 else ()
    if wanted is None:
        names = [name for name in differences if name in FACTORS]
        if swapped and not differences:
            wanted = "backend"
        elif len(names) == len(differences) == 1:
            wanted = names[0]
        else:
            listed = "; ".join(text for texts in differences.values() for text in texts)
            what = f"in more than one thing: {listed}" if differences else "in nothing: there is no factor to compare"
            raise UsageError(f"the two sides differ {what}. Name the factor that is meant, one of {', '.join(FACTORS)}")
    arms = swapped if wanted == "backend" else common
    if not arms:
        raise UsageError(
            f"no pair of backends to compare by {wanted}: baseline runs have {', '.join(before)}, "
            f"candidate runs {', '.join(after)}"
        )
    others = tuple(text for name, texts in differences.items() if name != wanted for text in texts)
    return Factor(name=wanted, arms=arms, others=others)


def _labels(run: Run) -> tuple[str, ...]:
    return tuple(arm.label for arm in run.manifest.arms if not arm.control)


def _differences(one: Run, other: Run) -> dict[str, tuple[str, ...]]:
    """Differences by the factor that they belong to; `host` and `scenario` are no factors.

    Another device is another host: kernel and CPU then belong to the factor device.
    """
    before, after = one.manifest, other.manifest
    found: dict[str, list[str]] = {}

    def note(factor: str, name: str, old: Any, new: Any) -> None:
        if old != new:
            found.setdefault(factor, []).append(f"{name}: {old} -> {new}")

    note("device", "device", _device(one), _device(other))
    note("version", "tool", before.tool_version, after.tool_version)
    old_versions, new_versions = versions_of(one), versions_of(other)
    for name in sorted({*old_versions, *new_versions}):
        if name in old_versions and name in new_versions:  # a package on one side only belongs to another backend
            note("version", name, old_versions[name], new_versions[name])
    machine_and_threads = [(run.environment.get("cpu"), run.budget.threads) for run in (before, after)]
    # A CPU's number means something on one machine only, and other threads need other CPUs anyway.
    places_count = "device" not in found and machine_and_threads[0] == machine_and_threads[1]
    for name in BUDGET_FIELDS:
        if name != "cpus" or places_count:
            note(name, name, as_given(before.budget, name), as_given(after.budget, name))
    host = "device" if "device" in found else "host"
    for name in HOST:
        note(host, name, before.environment.get(name), after.environment.get(name))
    protocols = [protocol(run.launches) for run in (one, other)]
    if all(protocols):
        note("scenario", "launches of a round", *protocols)
    scenarios = [" and ".join(sorted({case.scenario for case in run.manifest.cases})) for run in (one, other)]
    note("scenario", "scenario", *scenarios)
    return {name: tuple(texts) for name, texts in found.items()}


def as_given(budget: Budget, name: str) -> str:
    """A field of the budget as its option takes it."""
    value = getattr(budget, name)
    return ",".join(map(str, value)) if isinstance(value, tuple) else "none" if value is None else str(value)


def _device(run: Run) -> str:
    return f"{run.manifest.device.kind} {run.manifest.device.name}"


def versions_of(run: Run) -> dict[str, str]:
    """What the proofs read back, and what the environment says of Python and packages."""
    found: dict[str, str] = {}
    for name in _VERSIONS:
        value = run.manifest.environment.get(name)
        if isinstance(value, Mapping):
            found |= {str(key): str(text) for key, text in value.items()}
        elif value is not None:
            found[name] = str(value)
    for result in run.results:
        if result.proof is not None:
            found |= dict(result.proof.versions)
    return found
