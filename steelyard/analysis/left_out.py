"""What is left out of all times, and kept in the data: contaminated rounds, and launches that lost time to the host."""

from collections.abc import Mapping
from dataclasses import dataclass

from steelyard.core.run import Run
from steelyard.guard.contamination import stolen_launches
from steelyard.stats.few import FEWEST


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Of one arm: the rounds whose times do not count, and why no verdict is given on what is left, empty if one is."""

    rounds: frozenset[int] = frozenset()
    withheld: str = ""


def contaminated_warm(run: Run) -> dict[int, str]:
    """The contaminated warm rounds, with the evidence."""
    return {
        number: evidence for segment in run.segments for number, evidence in segment.disturbed.items() if number > 0
    }


def set_aside(run: Run) -> dict[int, str]:
    """The contaminated warm rounds that give no pairs and no steady numbers, with the evidence.

    Where more than half were contaminated there is nothing better to be had: all keep their numbers, and no
    verdict is given on them.
    """
    contaminated = contaminated_warm(run)
    return contaminated if 2 * len(contaminated) <= len(_warm(run)) else {}


def stolen(run: Run) -> Mapping[str, Mapping[int, str]]:
    """By arm the warm rounds, not contaminated, in which the host took too much of its launch, with the evidence."""
    counted = _warm(run) - {*contaminated_warm(run)}
    found = {
        arm: {number: told for number, told in sorted(rounds.items()) if number in counted}
        for arm, rounds in stolen_launches(run.launches).items()
    }
    return {arm: rounds for arm, rounds in found.items() if rounds}


def left_out(run: Run) -> Mapping[str, LeftOut]:
    """What is left out of each arm. Of one whose launches were spoiled in more than half of the rounds all keep their
    numbers, and no verdict is given, as none is on too few."""
    aside, lost, warm = frozenset(set_aside(run)), stolen(run), len(_warm(run))
    found = {}
    for arm in run.manifest.arms:
        rounds = lost.get(arm.label, {})
        both = aside | {*rounds}
        most = bool(rounds) and 2 * len(both) > warm
        withheld = ""
        if rounds and warm >= FEWEST and (most or warm - len(both) < FEWEST):
            lost_rounds = f"{arm.label} lost too much time to the host in {len(rounds)} of {warm} rounds"
            withheld = f"{lost_rounds}; {too_few(warm - len(both), rounds)}"
        found[arm.label] = LeftOut(rounds=aside if most else both, withheld=withheld)
    return found


def too_few(left: int, lost: Mapping[int, str]) -> str:
    """That so many rounds are too few for a verdict, with the evidence of the first that is lost, and what to do."""
    number, evidence = next(iter(lost.items()))
    return (
        f"{left} are left, where {FEWEST} and at least half are needed (round {number}: {evidence}); run again, or "
        "--resume, when the machine is quiet"
    )


def _warm(run: Run) -> set[int]:
    return {number for segment in run.segments for number in segment.rounds if number > 0}
