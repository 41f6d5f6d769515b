"""What is still open at the end of a run, and the command that is likely to bring it."""

import math

from steelyard.analysis.unfinished import MOST_ROUNDS, unfinished
from steelyard.tables.facts import Facts
from steelyard.tables.format import counted

_SLACK = 1.15  # rounds do not all take the same time
_STEP_MIN = 5


def how_to_go_on(facts: Facts) -> str:
    """Which verdicts of the headline workload are still open, and what is likely to bring them; empty where none is."""
    left, manifest = unfinished(facts.run, facts.comparisons), facts.run.manifest
    if left is None:
        return _withheld(facts)
    who = f"No verdict on {manifest.headline} yet for {', '.join(left.candidates)} ({counted(left.rounds, 'round')})"
    if left.more is None:
        return (
            f"{who}: at this noise more than {MOST_ROUNDS} rounds would be needed; a quieter machine would do better."
        )
    limit = "" if left.time_s is None else f" --time {_STEP_MIN * math.ceil(left.time_s * _SLACK / 60 / _STEP_MIN)}m"
    return (
        f"{who}: about {counted(left.more, 'more round')} would do, as things are; "
        f"bench run --resume {manifest.run_id}{limit} goes on."
    )


def _withheld(facts: Facts) -> str:
    """Whose verdicts are withheld, where it is not all of them, and what to do."""
    primary = [item for item in facts.comparisons if item.family == "primary"]
    names = list(dict.fromkeys(item.candidate for item in primary if item.verdict == "withheld"))
    if not names or facts.run.untimed:
        return ""
    whose = f" for {', '.join(names)}" if any(item.verdict != "withheld" for item in primary) else ""
    settings = facts.run.manifest.settings
    without = ", and without --quick, which has too few rounds for one" if settings and settings.quick else ""
    return (
        f"Verdicts on {facts.run.manifest.headline}{whose} are withheld, because "
        f"the machine was too noisy: run again when it is quiet{without}; bench doctor says what disturbs it."
    )
