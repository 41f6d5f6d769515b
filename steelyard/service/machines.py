"""What stored runs say of the machines that a history knows by their keys, and the newest run among them."""

from pathlib import Path

from steelyard.analysis import compare_run
from steelyard.core.errors import StoreError
from steelyard.dashboard.content import Newest
from steelyard.hardware.machine import machine_key
from steelyard.service.goodput import in_words, time_of
from steelyard.store import list_runs, open_run, read_manifest


def machines_of(runs: Path) -> dict[str, str]:
    """The name of the CPU of each machine that has a stored run, by its key."""
    found = {}
    for entry in list_runs(runs):
        try:
            manifest = read_manifest(entry.path)
        except StoreError:
            continue  # whoever lists runs is told what is wrong with it
        cpu = manifest.environment.get("cpu")
        model = cpu.get("model") if isinstance(cpu, dict) else None
        found[machine_key(manifest.environment)] = model if isinstance(model, str) else manifest.device.name
    return found


def newest_of(runs: Path) -> Newest | None:
    """The comparisons of the newest run that was timed; None where there is none that can be read."""
    for entry in reversed(list_runs(runs)):
        try:
            run = open_run(entry.path)
        except StoreError:
            continue
        if not run.traced:
            items = tuple(item for item in compare_run(run) if item.factor != "control")
            manifest = run.manifest
            return Newest(
                run=manifest.run_id,
                created_utc=manifest.created_utc,
                device=manifest.device.name,
                time=in_words(time_of(run)),
                comparisons=items,
            )
    return None
