"""The goodput of machines: what stored runs made of their time, by class of device."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from steelyard.analysis.machine_time import MachineTime, machine_time
from steelyard.core.errors import StoreError
from steelyard.core.run import Run
from steelyard.store import open_run
from steelyard.tables.facts import gather
from steelyard.tables.format import duration, percent


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """How many runs each device has, with the time of their launches, and by folder why one could not be read."""

    devices: Mapping[str, tuple[int, MachineTime]]
    unread: Mapping[Path, str]


def by_device(paths: Iterable[Path]) -> Counted:
    """The time of the launches of these runs, each counted once: a run that is part of a joined one among them is
    counted there. Traced runs time nothing, and are left out."""
    spent: dict[str, tuple[str, MachineTime]] = {}  # by run, of which none is kept: they are large
    unread: dict[Path, str] = {}
    joined: set[str] = set()
    for path in dict.fromkeys(paths):
        try:
            run = open_run(path)
        except StoreError as error:
            unread[path] = str(error)
            continue
        joined |= {*run.manifest.plan.get("joined", ())}
        if not run.traced:
            spent[run.manifest.run_id] = run.manifest.device.name, time_of(run)
    devices: dict[str, tuple[int, MachineTime]] = {}
    for name, (device, own) in spent.items():
        if name not in joined:
            count, before = devices.get(device, (0, MachineTime()))
            devices[device] = count + 1, before + own
    return Counted(devices=devices, unread=unread)


def time_of(run: Run) -> MachineTime:
    """The time of a run's launches. A call at the ceiling takes the share of its median latency that the backend
    reaches of the ceiling."""
    facts = gather(run)
    arms = {arm.label: arm for arm in facts.arms} | ({facts.control.label: facts.control} if facts.control else {})
    points = {point.key: point for point in facts.points}

    def ideal(label: str, key: str) -> float | None:
        arm, point = arms[label], points[key]
        share, median = facts.efficiency(arm, point).fraction, facts.median(arm, point, "latency_s")
        return None if share is None or median is None else share.estimate.value * median.value

    return machine_time(run, ideal)


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
