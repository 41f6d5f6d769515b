"""The goodput of machines: what stored runs made of their time, by class of device."""

from collections.abc import Iterable
from pathlib import Path

from steelyard.analysis.machine_time import MachineTime, machine_time
from steelyard.core.run import Run
from steelyard.store import open_run
from steelyard.tables.facts import gather
from steelyard.tables.format import duration, percent


def by_device(paths: Iterable[Path]) -> dict[str, tuple[int, MachineTime]]:
    """How many of these runs each device has, and the time of their launches. Traced runs time nothing, and are left
    out. Raises StoreError for one that cannot be read."""
    found: dict[str, tuple[int, MachineTime]] = {}
    for path in paths:
        run = open_run(path)
        if not run.traced:
            count, spent = found.get(run.manifest.device.name, (0, MachineTime()))
            found[run.manifest.device.name] = count + 1, spent + time_of(run)
    return found


def time_of(run: Run) -> MachineTime:
    """The time of a run's launches, with the share of the ceiling that each backend reached at each configuration."""
    facts = gather(run)
    arms = {arm.label: arm for arm in facts.arms} | ({facts.control.label: facts.control} if facts.control else {})
    points = {point.key: point for point in facts.points}

    def ceiling(arm: str, key: str) -> float | None:
        share = facts.efficiency(arms[arm], points[key]).fraction
        return None if share is None else share.estimate.value

    return machine_time(run, ceiling)


def in_words(spent: MachineTime) -> str:
    """The decomposition in a sentence."""
    parts = (
        (spent.availability, "of launches that count"),
        (spent.runtime, "of these timed calls"),
        (spent.program, "of the ceiling reached in them"),
        (spent.goodput, "goodput"),
    )
    told = ", ".join(f"{percent(share)} {what}" for share, what in parts if share is not None)
    return f"{duration(spent.spent_s)} of launches: {told}" if told else "nothing was launched"
