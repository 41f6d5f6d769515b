"""Who may be set in bold, and called the fastest: on verdicts, and where a ceiling does not speak against it."""

from steelyard.core.comparison import Interval
from steelyard.core.workload import Point
from steelyard.tables.facts import Facts
from steelyard.tables.outcome import Outcome
from steelyard.tables.table import Flag


def winners(facts: Facts, point: Point, metric: str = "latency_s") -> tuple[Flag, tuple[str, ...]] | None:
    """Who may be set in bold: the fastest arm where its interval separates it from all others (`best`), or the fastest
    and those whose intervals overlap its own (`tied`). None where no verdict tells the fastest from the baseline.

    Every arm is compared with the baseline only, so two others are told apart by their intervals against it. What is
    approximate takes no part.
    """
    baseline = facts.arms[0]
    if not _takes_part(facts.outcome(baseline, point)):
        return None
    unit = Interval(low=1.0, high=1.0, confidence=1.0)
    found: dict[str, tuple[float, Interval]] = {baseline.label: (1.0, unit)}
    verdicts: dict[str, str] = {}
    for arm in facts.arms[1:]:
        comparison = facts.comparison(arm, point, metric)
        if comparison is None or not _takes_part(facts.outcome(arm, point)):
            continue
        ratio = comparison.plain
        if ratio is None or ratio.interval is None or comparison.verdict == "withheld":
            return None  # one arm cannot be placed, so that nobody can be called the fastest
        found[arm.label] = (ratio.value, ratio.interval)
        verdicts[arm.label] = comparison.verdict
    if not verdicts:
        return None
    first = min(found, key=lambda label: found[label][0])
    if first == baseline.label:
        separate = all(verdict == "slower" for verdict in verdicts.values())
        return ("best", (first,)) if separate else None
    if verdicts[first] != "faster":
        return None
    tied = tuple(label for label in verdicts if found[label][1].low <= found[first][1].high)
    if any(verdicts[label] != "faster" for label in tied):
        return None
    return ("best", tied) if len(tied) == 1 else ("tied", tied)


def _takes_part(outcome: Outcome) -> bool:
    """Whether an outcome may be called the fastest: it has a speed, and that of equal work."""
    return outcome.speed and not outcome.approximate


def trusted(
    facts: Facts, point: Point, bold: tuple[Flag, tuple[str, ...]] | None
) -> tuple[Flag, tuple[str, ...]] | None:
    """The same, or None where one of them is above a ceiling: who is the fastest is then not known."""
    if bold is None or any(facts.efficiency(arm, point).suspicious for arm in facts.arms if arm.label in bold[1]):
        return None
    return bold
