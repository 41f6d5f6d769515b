"""From a run to its cases one by one, as many and as fully as a page has room for."""

from collections.abc import Iterator, Mapping

import numpy as np

from steelyard.analysis.sides import Side
from steelyard.core.case import Arm
from steelyard.core.result import Result
from steelyard.core.workload import Point
from steelyard.tables.baselines import against
from steelyard.tables.calls import thin
from steelyard.tables.cases import CaseDetail, CaseField, CaseLaunch, Cases, CaseSection
from steelyard.tables.explain import Explanation, explain
from steelyard.tables.facts import Facts
from steelyard.tables.format import ABSENT, counted, plain

METRIC = "latency_s"
MOST_CALLS = 60_000
"""Calls in a page, of all cases together: half a megabyte."""
CALLS = 640
"""Calls of one case that a figure draws: more are not told apart."""
MOST_DETAILS = 1200
"""Cases that are told in full."""
MOST_LOG = 4000
"""Characters of a log's end."""
_TITLES = {"given": "Given to it", "did": "What it did"}


def cases(facts: Facts) -> Cases:
    """Every backend at every point, the headline workload first."""
    ids = {(case.backend.text, case.point.key): case.id for case in facts.run.manifest.cases}
    count = len(facts.points) * len(facts.arms)
    room = min(CALLS, MOST_CALLS // max(1, min(count, MOST_DETAILS)))
    used: dict[str, int] = {}
    details: list[CaseDetail] = []
    for point in facts.points:
        full = len(details) < MOST_DETAILS
        explained = explain(facts, point) if full else None
        for arm in facts.arms:
            identity = ids.get((arm.backend.text, point.key))
            if identity is None:
                continue
            used[identity] = used.get(identity, 0) + 1
            unique = identity if used[identity] == 1 else f"{identity}-{used[identity]}"
            details.append(_detail(facts, arm, point, unique, explained, room))
    switch, family, why = against(facts)
    kept = sum(len(launch.values_s) for detail in details for launch in detail.launches)
    total = sum(launch.total for detail in details for launch in detail.launches)
    return Cases(
        details=tuple(details),
        against=switch,
        family=family,
        switch=why,
        loss=tuple(_loss(len(details), kept, total)),
        kept=kept,
        calls=total,
    )


def _loss(count: int, kept: int, total: int) -> Iterator[str]:
    if count > MOST_DETAILS:
        yield f"{MOST_DETAILS} of {count} cases are told in full; of the others the page has the rows of the tables."
    if kept < total:
        yield (
            f"{kept} of {counted(total, 'timed call')} are in this page, values to 4 digits: of each launch the lowest "
            "and the highest call of equal stretches. Medians and all other numbers come from all calls."
        )


def _detail(
    facts: Facts, arm: Arm, point: Point, identity: str, explained: Explanation | None, room: int
) -> CaseDetail:
    outcome = facts.outcome(arm, point)
    return CaseDetail(
        id=identity,
        arm=arm.label,
        point=facts.label(point),
        status=outcome.status,
        remark=outcome.remark,
        proof=_proof(facts, arm, point),
        log_tail=outcome.log_tail[-MOST_LOG:],
        sections=() if explained is None else tuple(_sections(explained, arm.label)),
        launches=() if explained is None else tuple(_launches(facts, facts.sides.side(arm, point.key), room)),
    )


def _sections(explained: Explanation, label: str) -> Iterator[CaseSection]:
    yield CaseSection(title="Given to all", fields=_plain(explained.alike))
    for part in explained.sections:
        if part.title not in _TITLES:
            continue  # answer, time and memory stand in tables, with intervals
        fields = tuple(
            CaseField(name=field.name, text=text, differs=field.compared == "differs")
            for field in part.fields
            if (text := field.values.get(label, ABSENT)) != ABSENT
        )
        if fields:
            yield CaseSection(title=_TITLES[part.title], fields=fields)
    if own := explained.own.get(label):
        yield CaseSection(title="Options and what the runtime told", fields=_plain(own))


def _plain(table: Mapping[str, str]) -> tuple[CaseField, ...]:
    return tuple(CaseField(name=name, text=text) for name, text in table.items())


def _proof(facts: Facts, arm: Arm, point: Point) -> str:
    """One line on what really ran, from the latest launch that told it."""
    proofs = [result.proof for result in facts.results(arm, point) if result.proof is not None]
    if not proofs:
        return "no proof of what ran"
    proof = proofs[-1]
    told = [proof.platform, proof.dtype]
    told += [] if proof.threads is None else [counted(proof.threads, "thread")]
    told += [f"placed {plain(proof.placement)}"] if proof.placement else []
    counts = {"graph break": proof.graph_breaks, "recompile": proof.recompiles}
    told += [counted(number, name) for name, number in counts.items() if number is not None]
    return ", ".join([*told, *proof.mismatches])


def _launches(facts: Facts, side: Side, room: int) -> Iterator[CaseLaunch]:
    """The warm launches by round; a launch without calls is left out, as its status stands in the tables."""
    steady = {launch.place: launch for launch in side.launched(METRIC)}
    measured = [
        (result, found)
        for result in side.results
        if result.round > 0
        and result.status not in ("incorrect", "fallback")
        and (found := result.measurement(METRIC)) is not None
        and len(found.samples)
    ]
    each = room // max(1, len(measured))
    for result, found in measured:
        values = np.asarray(found.samples, dtype=np.float64)
        launched = steady.get(result.place)
        kept = thin(values, each) if each >= 2 else np.arange(0)
        remark = "" if launched is not None else _without(facts, side, result)
        yield CaseLaunch(
            round=result.round,
            position=result.position,
            total=int(values.size),
            cut=found.cut if launched is None else launched.cut,
            median_s=None if launched is None else launched.median,
            places=tuple(kept.tolist()),
            values_s=tuple(values[kept].tolist()),
            remark=remark,
        )


def _without(facts: Facts, side: Side, result: Result) -> str:
    if result.round in facts.contaminated[side.key]:
        return "contaminated round"
    return "time lost to the host" if result.round in side.contaminated else result.status.replace("_", " ")
