"""How many configurations each backend completed with right answers, and how the others ended."""

from collections import Counter
from collections.abc import Iterator, Mapping

from steelyard.tables.facts import Facts


def statuses_by_arm(facts: Facts) -> Mapping[str, Counter[str]]:
    """For each arm, and each backend that was left out before the run began, how many configurations ended how."""
    found = {arm.label: Counter(str(facts.outcome(arm, point).status) for point in facts.points) for arm in facts.arms}
    for entry in facts.run.manifest.left_out:
        if not entry.point and entry.backend not in found:
            found[entry.backend] = Counter({entry.status: len(facts.points)})
    return found


def sentences(facts: Facts) -> Iterator[str]:
    """A sentence for each backend."""
    for label, statuses in statuses_by_arm(facts).items():
        others = [f"{count} {name.replace('_', ' ')}" for name, count in statuses.most_common() if name != "ok"]
        rest = f" ({', '.join(others)})" if others else ""
        yield f"{label}: right answers at {statuses['ok']} of {statuses.total()} configurations{rest}."
