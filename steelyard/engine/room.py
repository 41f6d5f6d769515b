"""Which launches of a round may be alive together: whether that was asked for, and how many of them memory holds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from steelyard.core.backend import Device
from steelyard.core.result import Result
from steelyard.engine.groups import groups_of
from steelyard.engine.plan import Plan
from steelyard.guard.cgroup import free_memory_bytes

ON = "on"
"""What a segment says whose launches took turns; any other text is why they ran one after the other."""
_SPARE = 0.9  # of what is free: the page cache and the supervisor live there as well


@dataclass(frozen=True, slots=True, kw_only=True)
class Free:
    """The memory that launches may still use, in bytes; None where it is not known."""

    host_bytes: float | None
    device_bytes: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """How the launches of the warm rounds run.

    `groups` are arms by label. Those of a group are alive together where `turns` is ON, and the groups run one after
    the other. `why` says why there are several, and names them; empty for one. `turns` and `why` are what the segment
    stores as `turns` and `groups`.
    """

    turns: str
    groups: tuple[tuple[str, ...], ...]
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Memory:
    """One kind of memory: what each arm needs of it, and what there is."""

    name: str
    needed: Mapping[str, float | None]
    free: float | None

    @property
    def room(self) -> float:
        return _SPARE * (self.free or 0.0)

    @property
    def unknown(self) -> str:
        """What is not known of it; empty where all is."""
        if missing := [arm for arm, value in self.needed.items() if value is None]:
            return f"how much {self.name} {' and '.join(missing)} needs was not measured"
        return f"how much {self.name} there is is not known" if self.free is None else ""

    def lack(self, arms: Sequence[str], who: str = "they") -> str:
        """That it does not hold these arms, called `who`; empty where it does."""
        total = sum(self.of(arm) for arm in arms)
        if total <= self.room:
            return ""
        return f"together {who} need {total / 1e9:.1f} GB of {self.name}, and {self.room / 1e9:.1f} GB may be used"

    def of(self, arm: str) -> float:
        """What an arm needs: nothing that is known of one that failed."""
        return self.needed.get(arm) or 0.0


def free_now(device: Device) -> Free:
    """What is free of the host's memory within the limit of this process's control group, and all of the device's: the
    supervisor looks between launches, when the run uses nothing of it."""
    device_bytes = None if device.memory_bytes is None else float(device.memory_bytes)
    return Free(host_bytes=free_memory_bytes(), device_bytes=device_bytes)


def arranged(plan: Plan, cold: Sequence[Result], free: Free) -> Arrangement:
    """All arms in one group that takes turns where memory holds them; else groups that share the baseline, as few as
    hold the rest; else, as where memory was not measured, all one after the other with the reason.

    `cold` are the results of the cold round: the largest peak of each arm's launches is what it is taken to need. The
    control arm is grouped as any other. Its pair is with the baseline's launch of its group: it tells by how much two
    launches of one program that take turns differ on this machine, which is the same in every group.
    """
    request = plan.request
    arms = tuple(arm.label for arm in plan.arms)
    memory = [_Memory(name="memory", needed=_needed(cold, "host_peak_bytes"), free=free.host_bytes)]
    if request.device.kind != "cpu":
        name = f"memory of {request.device.id}"
        memory.append(_Memory(name=name, needed=_needed(cold, "device_peak_bytes"), free=free.device_bytes))

    reason = ""
    if not request.turns:
        reason = "--turns off"
    elif len(arms) < 2:
        reason = "a round has one launch"
    elif starved := [result.arm for result in cold if result.status == "out_of_memory"]:
        reason = f"{starved[0]} ran out of memory in the cold round"
    else:
        reason = next((kind.unknown for kind in memory if kind.unknown), "")
    if reason:
        return Arrangement(turns=reason, groups=(arms,))
    lack = next((told for kind in memory if (told := kind.lack(arms))), "")
    if not lack:
        return Arrangement(turns=ON, groups=(arms,))
    baseline = plan.baseline.label
    groups = groups_of(
        {arm: [kind.of(arm) for kind in memory] for arm in arms}, baseline, [kind.room for kind in memory]
    )
    if groups is None:
        pairs = ((kind, arm) for arm in arms if arm != baseline for kind in memory)
        alone = (kind.lack((baseline, arm), f"{baseline} and {arm}") for kind, arm in pairs)
        return Arrangement(turns=next(filter(None, alone)), groups=(arms,))
    members = "; ".join(" and ".join(group[1:]) for group in groups)
    why = f"{lack}; each group has its own launch of {baseline}: {members}"
    return Arrangement(turns=ON, groups=groups, why=why)


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
