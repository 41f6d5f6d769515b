"""What is left out of all times, and kept in the data: contaminated rounds, and launches that lost time to the host.

A round is contaminated for the configurations of the launches that others touched, and for all backends there, whose
times are compared. Configurations that other launches of the round ran keep theirs.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from steelyard.core.run import Run
from steelyard.guard.contamination import Spoiled, contaminated_launches, stolen_launches, told_of
from steelyard.stats.few import FEWEST


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Of one arm at one point: the rounds whose times do not count, and why no verdict is given on what is left, empty
    if one is. `launches` are those that lost time to the host, by name."""

    rounds: frozenset[int] = frozenset()
    withheld: str = ""
    launches: frozenset[str] = frozenset()


def contaminated_warm(run: Run) -> dict[int, str]:
    """The warm rounds that were contaminated anywhere, with the evidence."""
    return {
        number: evidence for segment in run.segments for number, evidence in segment.disturbed.items() if number > 0
    }


def contaminated_points(run: Run) -> dict[str, dict[int, str]]:
    """The contaminated warm rounds of each point, by its key, with the evidence: of the launches that ran it. What no
    launch of the round gives evidence of contaminates it for all points."""
    found: dict[str, dict[int, str]] = {case.point.key: {} for case in run.manifest.cases}
    rounds = contaminated_warm(run)
    if not rounds:
        return found
    ran, touched = _points_of_launches(run), contaminated_launches(run.launches)
    for number, evidence in rounds.items():
        at: dict[str, list[Spoiled]] = {}
        for name, spoiled in touched.items():
            for key in ran.get(name, found) if spoiled.round == number else ():
                at.setdefault(key, []).append(spoiled)
        for key in at or found:
            found[key][number] = told_of(at[key]) if at else evidence
    return found


def set_aside(run: Run) -> dict[str, dict[int, str]]:
    """The contaminated warm rounds of each point, by its key, that give no pairs and no steady numbers there.

    Where more than half were contaminated there is nothing better to be had: all keep their numbers, and no
    verdict is given on them.
    """
    warm = len(_warm(run))
    return {key: rounds if 2 * len(rounds) <= warm else {} for key, rounds in contaminated_points(run).items()}


def too_contaminated(run: Run) -> dict[str, str]:
    """The points, by key, at which contamination left too few rounds for a verdict, and why. A run of too few rounds
    for any verdict says so instead."""
    warm = len(_warm(run))
    return {
        key: f"{len(rounds)} of {warm} rounds were contaminated by others; {too_few(warm - len(rounds), rounds)}"
        for key, rounds in contaminated_points(run).items()
        if warm >= FEWEST and _too_many(len(rounds), warm)
    }


def stolen(run: Run) -> dict[str, Spoiled]:
    """The launches of warm rounds, not contaminated, from which the host took too much, by name."""
    warm, contaminated, ran = _warm(run), contaminated_points(run), _points_of_launches(run)
    return {
        name: lost
        for name, lost in stolen_launches(run.launches).items()
        if lost.round in warm and any(lost.round not in contaminated[key] for key in ran.get(name, ()))
    }


def left_out(run: Run) -> Mapping[tuple[str, str], LeftOut]:
    """What is left out, by the arm's label and the point's key. Where an arm's launches of a point were spoiled in more
    than half of the rounds all keep their numbers, and no verdict is given, as none is on too few."""
    aside, contaminated, spoiled, warm = set_aside(run), too_contaminated(run), stolen(run), len(_warm(run))
    points = {case.id: case.point.key for case in run.manifest.cases}
    lost: dict[tuple[str, str], dict[int, str]] = {}
    for result in run.results:
        if result.launch in spoiled and (key := points.get(result.case_id)):
            lost.setdefault((result.arm, key), {}).setdefault(result.round, result.launch)
    found = {
        (arm.label, key): LeftOut(rounds=frozenset(rounds), withheld=contaminated.get(key, ""))
        for arm in run.manifest.arms
        for key, rounds in aside.items()
    }
    for (arm, key), launches in lost.items():
        rounds = {number: spoiled[name].told for number, name in sorted(launches.items())}
        both = {*aside[key], *rounds}
        most, withheld = 2 * len(both) > warm, found[arm, key].withheld
        if not withheld and warm >= FEWEST and _too_many(len(both), warm):
            lost_rounds = f"{arm} lost too much time to the host in {len(rounds)} of {warm} rounds"
            withheld = f"{lost_rounds}; {too_few(warm - len(both), rounds)}"
        found[arm, key] = LeftOut(
            rounds=frozenset(aside[key]) if most else frozenset(both),
            withheld=withheld,
            launches=frozenset() if most else frozenset(launches.values()),
        )
    return found


def too_few(left: int, lost: Mapping[int, str]) -> str:
    """That so many rounds are too few for a verdict, with the evidence of the first that is lost, and what to do."""
    number, evidence = next(iter(lost.items()))
    return (
        f"{left} are left, where {FEWEST} and at least half are needed (round {number}: {evidence}); run again, or "
        "--resume, when the machine is quiet"
    )


def _too_many(lost: int, warm: int) -> bool:
    return lost > 0 and (2 * lost > warm or warm - lost < FEWEST)


def _warm(run: Run) -> set[int]:
    return {number for segment in run.segments for number in segment.rounds if number > 0}


def _points_of_launches(run: Run) -> Mapping[str, Iterable[str]]:
    """The keys of the points that each launch ran, by its name."""
    points = {case.id: case.point.key for case in run.manifest.cases}
    ran: dict[str, dict[str, None]] = {}
    for result in run.results:
        if key := points.get(result.case_id):
            ran.setdefault(result.launch, {})[key] = None
    return ran
