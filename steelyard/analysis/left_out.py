"""What is left out of all times, and kept in the data: contaminated rounds, and launches that lost time to the host."""

from collections.abc import Mapping
from dataclasses import dataclass

from steelyard.core.run import Run
from steelyard.guard.contamination import Stolen, stolen_launches
from steelyard.stats.few import FEWEST


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Of one arm at one point: the rounds whose times do not count, and why no verdict is given on what is left, empty
    if one is. `launches` are those that lost time to the host, by name."""

    rounds: frozenset[int] = frozenset()
    withheld: str = ""
    launches: frozenset[str] = frozenset()


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


def stolen(run: Run) -> Mapping[str, Stolen]:
    """The launches of warm rounds, not contaminated, from which the host took too much, by name."""
    counted = _warm(run) - {*contaminated_warm(run)}
    return {name: lost for name, lost in stolen_launches(run.launches).items() if lost.round in counted}


def left_out(run: Run) -> Mapping[tuple[str, str], LeftOut]:
    """What is left out, by the arm's label and the point's key. Where an arm's launches of a point were spoiled in more
    than half of the rounds all keep their numbers, and no verdict is given, as none is on too few."""
    aside, spoiled, warm = frozenset(set_aside(run)), stolen(run), len(_warm(run))
    lost: dict[tuple[str, str], dict[int, str]] = {}
    for result in run.results:
        if result.launch in spoiled:
            lost.setdefault((result.arm, result.case_id), {}).setdefault(result.round, result.launch)
    found = {}
    for (arm, case_id), launches in lost.items():
        rounds = {number: spoiled[name].told for number, name in sorted(launches.items())}
        both = aside | {*rounds}
        most, few = 2 * len(both) > warm, warm - len(both) < FEWEST
        withheld = ""
        if warm >= FEWEST and (most or few):
            lost_rounds = f"{arm} lost too much time to the host in {len(rounds)} of {warm} rounds"
            withheld = f"{lost_rounds}; {too_few(warm - len(both), rounds)}"
        found[arm, run.case(case_id).point.key] = LeftOut(
            rounds=aside if most else both,
            withheld=withheld,
            launches=frozenset() if most else frozenset(launches.values()),
        )
    every = [(arm.label, case.point.key) for arm in run.manifest.arms for case in run.manifest.cases]
    return {**dict.fromkeys(every, LeftOut(rounds=aside)), **found}


def too_few(left: int, lost: Mapping[int, str]) -> str:
    """That so many rounds are too few for a verdict, with the evidence of the first that is lost, and what to do."""
    number, evidence = next(iter(lost.items()))
    return (
        f"{left} are left, where {FEWEST} and at least half are needed (round {number}: {evidence}); run again, or "
        "--resume, when the machine is quiet"
    )


def _warm(run: Run) -> set[int]:
    return {number for segment in run.segments for number in segment.rounds if number > 0}
