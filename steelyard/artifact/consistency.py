"""A run against itself: what its parts say about each other, beyond the hashes of its files.

A hash says that a file is as it was when the hash was made. Who changes a sample and mends the hash is caught here,
by what was computed from the sample elsewhere: the worker's digest, the time order, the parts of an answer.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np

from steelyard import __version__
from steelyard.artifact.finding import Finding
from steelyard.core.result import Measurement, OutputCheck, Result
from steelyard.core.run import Run
from steelyard.core.tolerance import KEPT_ANSWERS
from steelyard.core.workload import SCORE
from steelyard.measure.clock import ROUNDING_S
from steelyard.measure.digest import digest_of
from steelyard.measure.driver import driver_of
from steelyard.measure.steady import judge

_MOST = 10
"""So many places of one kind are named; the rest is counted."""


def inspect_run(run: Run) -> tuple[Finding, ...]:
    """Everything in a run that another part of it bears out or contradicts."""
    checks = (_structure, _answers, _seals, _clocks, _judged)
    return (*(finding for check in checks for finding in _few(check(run))), *_sealed(run))


def _few(found: Iterator[Finding]) -> Iterator[Finding]:
    findings = list(found)
    yield from findings[:_MOST]
    if len(findings) > _MOST:
        yield Finding(kind="wrong", where="run", text=f"and {len(findings) - _MOST} more places of this kind")


def _wrong(where: str, text: str) -> Finding:
    return Finding(kind="wrong", where=where, text=text)


def _structure(run: Run) -> Iterator[Finding]:
    cases = {case.id: case for case in run.manifest.cases}
    labels = {arm.label: arm.backend.text for arm in run.manifest.arms}
    launches = {record.launch: record for record in run.launches}
    for name, count in Counter(record.launch for record in run.launches).items():
        if count > 1:
            yield _wrong(f"launch {name}", f"recorded {count} times")
    answers = Counter((result.launch, result.arm, result.case_id) for result in run.results)
    for (launch, _, case_id), count in answers.items():
        if count > 1:
            yield _wrong(f"launch {launch}", f"has {count} results of case {case_id}")
    for result in run.results:
        case = cases.get(result.case_id)
        if case is None:
            yield _wrong(_place(result), "its case is not in the manifest")
        elif labels.get(result.arm) != case.backend.text:
            yield _wrong(_place(result), f"arm '{result.arm}' does not run the backend of its case")
        record = launches.get(result.launch)
        if record is not None and (record.arm, record.round, record.group) != (result.arm, *result.place):
            where = f"round {record.round}" + (f", group {record.group}" if record.group or result.group else "")
            yield _wrong(_place(result), f"its launch was one of {record.arm} in {where}")
        elif record is None and result.measurements:
            yield _wrong(_place(result), "has samples, and its launch is not recorded")
    launched = Counter((result.arm, result.case_id, result.place) for result in run.results if result.round > 0)
    for (arm, case_id, place), count in launched.items():
        if count > 1:
            text = f"has {count} results of case {case_id} in round {place.round}, group {place.group}"
            yield _wrong(f"arm {arm}", f"{text}: which of them make a pair is not told")
    points = {case.point.key for case in cases.values()}
    for key, facts in run.manifest.lowered.items():
        if key not in points or facts.point != key:
            yield _wrong(f"manifest, lowered configuration {key}", "belongs to no case of the run")


def _answers(run: Run) -> Iterator[Finding]:
    """Statuses against the evidence that they rest on, tolerances against those that the run states."""
    stated = {case.id: case.tolerance for case in run.manifest.cases}
    for result in run.results:
        checks = result.correctness.outputs if result.correctness is not None else ()
        for check in checks:
            if check.kept is not None and not _kept(result, check):
                yield _wrong(_place(result), f"output {check.output} passed by answers that are not counted so")
            elif check.passed and check.kept is None and not check.relative_l2 <= check.tolerance:
                error = f"an error of {check.relative_l2:.3g} over {check.tolerance:.3g}"
                yield _wrong(_place(result), f"output {check.output} passed with {error}")
            if check.default_tolerance is not None and check.tolerance != stated.get(result.case_id):
                text = f"output {check.output} was held against {check.tolerance:g}, which nobody stated"
                yield _wrong(_place(result), text)
        told = result.correctness.approximate if result.status == "ok" and result.correctness is not None else ""
        if result.approximate != told:
            yield _wrong(_place(result), "is marked as approximate otherwise than by the errors of its outputs")
        if result.status != "ok":
            continue
        if result.correctness is not None and not (result.correctness.passed and all(c.passed for c in checks)):
            yield _wrong(_place(result), "is ok, and its outputs did not pass")
        if result.proof is not None and result.proof.mismatches:
            yield _wrong(_place(result), f"is ok, and ran otherwise than told: {result.proof.mismatches[0]}")


def _kept(result: Result, check: OutputCheck) -> bool:
    """Whether the stored count of answers lets an error beyond the tolerance pass."""
    told = result.details.driver.get(SCORE)
    right, known = (told.get(name) for name in ("right", "reference")) if isinstance(told, Mapping) else (None, None)
    if not isinstance(right, int | float) or not isinstance(known, int | float) or known <= 0:
        return False
    enough = check.kept == right / known >= KEPT_ANSWERS
    return enough and check.default_tolerance is not None and check.relative_l2 < 1


def _seals(run: Run) -> Iterator[Finding]:
    for result, entry in _measurements(run):
        if entry.digest and digest_of(entry) != entry.digest:
            text = f"{entry.metric}: the samples are not those that the worker measured: its digest is another"
            yield _wrong(_place(result), text)


def _judged(run: Run) -> Iterator[Finding]:
    """Warm-up cuts and classes against the same samples judged anew; other versions may judge otherwise."""
    if run.manifest.tool_version != __version__:
        text = f"the cuts of warm-ups were found by steelyard {run.manifest.tool_version} and are not judged anew"
        yield Finding(kind="note", where="run", text=text)
        return
    for result, entry in _measurements(run):
        values = np.asarray(entry.samples, dtype=np.float64)
        if not (np.isfinite(values) & (values > 0)).all():
            continue
        found = judge(entry.samples, entry.turns)
        if (found.cut, found.steady) != (entry.cut, entry.steady):
            text = f"{entry.metric}: {entry.steady}, {entry.cut} cut; its samples are {found.steady}, {found.cut} cut"
            yield _wrong(_place(result), text)


def _sealed(run: Run) -> Iterator[Finding]:
    entries = [entry for _, entry in _measurements(run)]
    sealed = sum(bool(entry.digest) for entry in entries)
    samples = sum(len(entry.samples) for entry in entries)
    yield Finding(
        kind="holds",
        where="run",
        text=f"{len(run.results)} results of {len(run.launches)} launches, {samples} samples in {len(entries)} "
        f"measurements, {sealed} of them with the worker's digest",
    )
    if sealed < len(entries):
        text = (
            f"{len(entries) - sealed} measurements have no digest of the worker (their version of steelyard made "
            "none): hashes of files and the order in time speak for their samples"
        )
        yield Finding(kind="note", where="run", text=text)


def _clocks(run: Run) -> Iterator[Finding]:
    """Samples against their own starts, and the parts of an answer against the whole."""
    for result, entry in _measurements(run):
        values = np.asarray(entry.samples, dtype=np.float64)
        if not (np.isfinite(values) & (values > 0)).all():
            yield _wrong(_place(result), f"{entry.metric}: sample {int(np.argmin(values > 0))} is no time above 0")
        elif len(entry.starts_s) == len(values) > 1:
            yield from _overlaps(result, entry, values)
    points = {case.id: case.point for case in run.manifest.cases}
    for result in run.results:
        point = points.get(result.case_id)
        for text in driver_of(point).contradictions(result) if point is not None else ():
            yield _wrong(_place(result), text)


def _overlaps(
    result: Result, entry: Measurement, values: "np.ndarray[tuple[int], np.dtype[np.float64]]"
) -> Iterator[Finding]:
    starts = np.asarray(entry.starts_s, dtype=np.float64)
    late = np.flatnonzero(starts[:-1] + values[:-1] > starts[1:] + ROUNDING_S + 1e-12 * np.abs(starts[1:]))
    if late.size:
        first = int(late[0])
        gap = starts[first + 1] - starts[first]
        text = f"{entry.metric}: sample {first} lasts {values[first]:.9g} s, and the next begins after {gap:.9g} s"
        yield _wrong(_place(result), text + (f"; so do {late.size - 1} more" if late.size > 1 else ""))


def _measurements(run: Run) -> Iterator[tuple[Result, Measurement]]:
    for result in run.results:
        for entry in result.measurements:
            yield result, entry


def _place(result: Result) -> str:
    return f"launch {result.launch}, {result.arm}, case {result.case_id}"
