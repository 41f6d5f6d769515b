"""Whether the launches of a round may be alive together: whether that was asked for, and whether memory holds them."""

from collections.abc import Iterable, Mapping, Sequence

import psutil

from steelyard.core.result import Result
from steelyard.engine.plan import Plan
from steelyard.guard.cgroup import memory_limit

ON = "on"
"""What a segment says whose launches took turns; any other text is why they ran one after the other."""
_SPARE = 0.9  # of what is free: the page cache and the supervisor live there as well


def apart(plan: Plan, cold: Sequence[Result]) -> str:
    """Why the launches of the warm rounds have to run one after the other; '' if they may take turns.

    `cold` are the results of the cold round: the largest peak of each arm's launches is what it is taken to need.
    Groups of arms that share the baseline, where not all fit, are not made yet.
    """
    request = plan.request
    if not request.turns:
        return "--turns off"
    if len(plan.arms) < 2:
        return "a round has one launch"
    if starved := [result.arm for result in cold if result.status == "out_of_memory"]:
        return f"{starved[0]} ran out of memory in the cold round"
    reason = _too_much("memory", _needed(cold, "host_peak_bytes"), _free_bytes())
    if not reason and request.device.kind != "cpu":
        reason = _too_much(f"memory of {request.device.id}", _needed(cold, "device_peak_bytes"), _device_bytes(plan))
    return reason


def _too_much(what: str, needed: Mapping[str, float | None], room: float | None) -> str:
    if unknown := [arm for arm, value in needed.items() if value is None]:
        return f"how much {what} {' and '.join(unknown)} needs was not measured"
    if room is None:
        return f"how much {what} there is is not known"
    total = sum(value for value in needed.values() if value is not None)
    if total <= _SPARE * room:
        return ""
    return f"together they need {total / 1e9:.1f} GB of {what}, and {_SPARE * room / 1e9:.1f} GB may be used"


def _needed(cold: Iterable[Result], metric: str) -> dict[str, float | None]:
    """By arm the largest peak of any phase of its cases that ended ok, or None where one of them told none. What failed
    says nothing of what it needs."""
    found: dict[str, list[float | None]] = {}
    for result in cold:
        if result.status == "ok":
            peaks = [reading.value for name, reading in result.memory.items() if name.startswith(f"{metric}/")]
            known = [value for value in peaks if value is not None]
            found.setdefault(result.arm, []).append(max(known) if known else None)
    return {
        arm: None if None in values else max(value for value in values if value is not None)
        for arm, values in found.items()
    }


def _free_bytes() -> float:
    """What may still be used of the host's memory, within the limit of this process's control group."""
    available = float(psutil.virtual_memory().available)
    limit = memory_limit().value
    return available if limit is None else min(available, limit - psutil.Process().memory_info().rss)


def _device_bytes(plan: Plan) -> float | None:
    size = plan.request.device.memory_bytes
    return None if size is None else float(size)
