"""Claims: the verdicts of a run, and whether a replay of it on another machine bears them out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from steelyard.analysis import compare_run
from steelyard.analysis.across import unlike
from steelyard.core.comparison import Comparison, Estimate, Verdict
from steelyard.core.run import Run
from steelyard.core.workload import Identity

CLAIMING: tuple[Verdict, ...] = ("faster", "slower", "equivalent")
Outcome = Literal["held", "not held", "undecided"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One verdict of the original, what the replay measured instead, and whether it held.

    The ratios are candidate / baseline at the level that their families allow, the speed-ups what is printed of them.
    `undecided`: the replay came to no verdict of its own, or did not do the same work; `reason` says why.
    """

    title: str
    workload: str
    metric: str
    candidate: str
    baseline: str
    said: Verdict
    ratio: Estimate | None
    speedup: Estimate | None
    found: Verdict | None
    found_ratio: Estimate | None
    found_speedup: Estimate | None
    outcome: Outcome
    reason: str = ""


def claims_of(run: Run) -> tuple[Comparison, ...]:
    """The comparisons of a run that claim something; the control arm and A/A arms claim nothing."""
    aside = {arm.label for arm in run.manifest.arms if arm.control or arm.sham}
    return tuple(
        entry
        for entry in compare_run(run)
        if entry.verdict in CLAIMING and entry.candidate not in aside and entry.factor != "control"
    )


def held_claims(original: Run, replayed: Run) -> tuple[Claim, ...]:
    """Every claim of the original against the replay."""
    anew = {(entry.point, entry.metric, entry.candidate, entry.baseline): entry for entry in compare_run(replayed)}
    left_out = {entry.backend: entry.reason for entry in replayed.manifest.left_out}
    return tuple(_held(entry, anew, left_out, original, replayed) for entry in claims_of(original))


def _held(
    entry: Comparison,
    anew: Mapping[tuple[str, str, str, str], Comparison],
    left_out: Mapping[str, str],
    original: Run,
    replayed: Run,
) -> Claim:
    found = anew.get((entry.point, entry.metric, entry.candidate, entry.baseline))
    outcome: Outcome = "undecided"
    reason = ""
    if found is None:
        absent = [f"{name} was not run here: {left_out[name]}" for name in _sides(entry) if name in left_out]
        reason = "; ".join(absent) or "the replay did not measure it"
    elif differing := unlike([_identity(run, entry.point) for run in (original, replayed)]):
        reason = f"not the same work: {differing}"
    elif found.verdict not in CLAIMING:
        reason = f"{found.verdict}: {found.reason}" if found.reason else found.verdict
    else:
        outcome = "held" if found.verdict == entry.verdict else "not held"
    return Claim(
        title=entry.title,
        workload=entry.workload,
        metric=entry.metric,
        candidate=entry.candidate,
        baseline=entry.baseline,
        said=entry.verdict,
        ratio=entry.ratio,
        speedup=entry.speedup,
        found=None if found is None else found.verdict,
        found_ratio=None if found is None else found.ratio,
        found_speedup=None if found is None else found.speedup,
        outcome=outcome,
        reason=reason,
    )


def _sides(entry: Comparison) -> tuple[str, str]:
    return entry.candidate, entry.baseline


def _identity(run: Run, point: str) -> Identity | None:
    facts = run.manifest.lowered.get(point)
    return None if facts is None else facts.identity
