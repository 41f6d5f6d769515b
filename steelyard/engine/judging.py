"""What a proof says, held against what was asked: nothing that a runtime tells of itself is stored unjudged."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from steelyard.core.backend import Budget
from steelyard.core.result import Correctness, Proof, Status
from steelyard.core.workload import DTYPE_BYTES, DType
from steelyard.measure.surroundings import misplaced, surroundings


def unkept(proof: Proof, dtype: DType, budget: Budget, streams: int = 1) -> tuple[str, ...]:
    """In what a program of `dtype` did not run as it was asked to: what its runner objects to, and what any proof
    tells. A value that the runtime does not tell is no objection. Of calls that are made several `streams` at a time
    each has its part of the budget's threads, or all of them have these together."""
    found = list(proof.mismatches)
    if proof.threads not in (None, budget.threads, max(1, budget.threads // streams)):
        found.append(f"{proof.threads} threads compute, the budget says {budget.threads}")
    width = DTYPE_BYTES.get(proof.dtype)
    if budget.precision == "strict" and width is not None and width < DTYPE_BYTES[dtype]:
        found.append(f"computed in {proof.dtype}, the program is {dtype}")
    if proof.graphs == 0:
        found.append("the compiler was given no graph: the program ran as it was written")
    if proof.graph_breaks:
        breaks = "1 graph break" if proof.graph_breaks == 1 else f"{proof.graph_breaks} graph breaks"
        found.append(f"{breaks}: parts of the program ran as they were written")
    return tuple(found)


def status_of(correctness: Correctness | None, proof: Proof) -> tuple[Status, str]:
    """What becomes of a result whose outputs were checked, or cannot be, and the reason."""
    if proof.mismatches:
        return "fallback", "; ".join(proof.mismatches)
    if correctness is not None and not correctness.passed:
        return "incorrect", correctness.reason
    return "ok", ""


def joined(
    proofs: Mapping[str, Proof],
    asked: Mapping[str, DType],
    moved: Mapping[str, int],
    budget: Budget,
    streams: int = 1,
) -> Proof:
    """One proof for a case of several programs: placements add up, every mismatch counts, the process's own too."""
    parts = list(proofs.values())
    placement: dict[str, int] = {}
    for part in parts:
        for place, count in part.placement.items():
            placement[place] = placement.get(place, 0) + count
    moved_text = tuple(f"{name} moved by {count} inside the timed window" for name, count in moved.items())
    around = surroundings()
    objections = (unkept(part, asked[role], budget, streams) for role, part in proofs.items())
    mismatches = tuple(dict.fromkeys(itertools.chain.from_iterable(objections)))
    mismatches += moved_text + misplaced(around["cpus"], budget.cpus, budget.threads)
    details = dict(parts[0].details) if len(parts) == 1 else {role: dict(part.details) for role, part in proofs.items()}
    dtypes = sorted({part.dtype for part in parts})
    return replace(
        parts[0],
        dtype=dtypes[0] if len(dtypes) == 1 else " and ".join(dtypes),
        placement=placement,
        graphs=_total(part.graphs for part in parts),
        graph_breaks=_total(part.graph_breaks for part in parts),
        recompiles=_compiled(moved) if any(part.recompiles is not None for part in parts) else None,
        mismatches=mismatches,
        remarks=tuple(dict.fromkeys(text for part in parts for text in part.remarks)),
        budget=merged({role: part.budget for role, part in proofs.items()}) | around,
        details=details,
    )


def _compiled(moved: Mapping[str, int]) -> int:
    """How often something was compiled inside the window: there every compilation is one too many."""
    return sum(moved.get(name, 0) for name in ("compilations", "recompiles"))


def _total(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def merged(by_role: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """One table for a case of several programs: equal entries once, differing ones marked by role."""
    merged: dict[str, Any] = {}
    for name in dict.fromkeys(name for entry in by_role.values() for name in entry):
        values = {role: entry[name] for role, entry in by_role.items() if name in entry}
        distinct = list(values.values())
        if all(value == distinct[0] for value in distinct):
            merged[name] = distinct[0]
        else:
            merged.update({f"{name} ({role})": value for role, value in values.items()})
    return merged
