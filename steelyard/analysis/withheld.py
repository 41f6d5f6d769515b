"""Verdicts withheld: a machine too noisy, or too few rounds that nobody touched."""

from collections.abc import Sequence
from dataclasses import replace

from steelyard.analysis.left_out import too_contaminated
from steelyard.core.comparison import Comparison
from steelyard.core.run import Run


def too_noisy(run: Run) -> str:
    """Why all verdicts of a run are withheld, or empty: segments measured on a machine of grade F, and contaminated
    rounds where they leave too few to every point. Those of single points say so on their sides."""
    noisy = [segment for segment in run.segments if segment.noise.grade == "F"]
    told = [f"noise grade F in segment {segment.index}: {_worst(segment.noise.evidence)}" for segment in noisy]
    lost = too_contaminated(run)
    if lost.keys() == {case.point.key for case in run.manifest.cases}:
        told += list(lost.values())[:1]
    return "; ".join(told)


def _worst(evidence: Sequence[str]) -> str:
    """The first of the evidence, which is the worst; the table of segments has all of it."""
    first, *more = evidence or ("no evidence was recorded",)
    return first.removeprefix("F: ") + (f" (and {len(more)} more, at the segment)" if more else "")


def unguarded(run: Run) -> Run:
    """The run as if the noise guard had seen nothing: no verdict is withheld, no round left out."""
    quiet = [
        replace(segment, noise=replace(segment.noise, grade="A", evidence=()), disturbed={}) for segment in run.segments
    ]
    return replace(run, segments=tuple(quiet), launches=tuple(replace(launch, noise={}) for launch in run.launches))


def withhold(comparison: Comparison, withheld: str) -> Comparison:
    """The comparison with its numbers and without a verdict, if there is a reason to withhold it."""
    if not withheld or comparison.verdict == "incomparable":
        return comparison
    return replace(comparison, verdict="withheld", reason=withheld)
