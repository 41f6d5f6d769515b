"""What the user's `--device`, `--threads` and `--cpus` mean on this host."""

from pathlib import Path

from steelyard.core.backend import Device
from steelyard.core.errors import UsageError, unknown_name
from steelyard.guard import proc
from steelyard.hardware.devices import FoundDevice, Survey, survey
from steelyard.hardware.processors import allowed_cpus, default_cpus, format_cpus, parse_cpus

_BEST_FIRST = ("cuda", "rocm", "tpu", "xpu", "cpu")
"""What is taken unasked. An NPU, and a GPU that is part of the processor, are taken when they are named."""


def pick_device(wanted: str | None, here: Survey | None = None) -> Device:
    """The device of an id such as `cpu` or `cuda:0`; a kind alone is its first. None: the best present.

    Raises UsageError with the ids that are there and, of a kind that is not, what was looked at.
    """
    here = survey() if here is None else here
    if wanted is None:
        return min((entry for entry in here.found if _unasked(entry)), key=_rank).device
    for device in here.devices:
        if wanted in (device.id, f"{device.kind}:{device.index}") or (device.index == 0 and wanted == device.kind):
            return device
    ids = [device.id for device in here.devices]
    reason = here.reasons.get(wanted.partition(":")[0])
    if reason is None:
        raise unknown_name("device", wanted, ids)
    raise UsageError(f"--device {wanted}: {reason}. This machine has {', '.join(ids)}; see bench hardware")


def _unasked(entry: FoundDevice) -> bool:
    return entry.device.kind in _BEST_FIRST and not entry.integrated


def _rank(entry: FoundDevice) -> tuple[int, int]:
    return _BEST_FIRST.index(entry.device.kind), entry.device.index


def choose_cpus(threads: int | None, cpus: str | None, root: Path = proc.ROOT) -> tuple[int, ...]:
    """The CPUs of `--threads` and `--cpus`; both may be absent. Raises UsageError naming what is there.

    More threads than cores take the cores' second threads as well; more threads than CPUs are refused,
    since the CPU set enforces the thread count for every runtime alike.
    """
    allowed = allowed_cpus()
    if threads is not None and threads < 1:
        raise UsageError(f"--threads {threads}: at least 1 is needed")
    if cpus is not None:
        chosen = parse_cpus(cpus)
        if missing := [cpu for cpu in chosen if cpu not in allowed]:
            raise UsageError(
                f"--cpus {cpus}: this process may not use CPU {', '.join(map(str, missing))}; "
                f"it may use {format_cpus(allowed)}"
            )
        if threads is not None and threads > len(chosen):
            raise UsageError(f"--threads {threads} are more than the {len(chosen)} CPUs of --cpus {cpus}")
        return chosen if threads is None else chosen[:threads]
    cores = default_cpus(root)
    if threads is None:
        return cores
    if threads > len(allowed):
        raise UsageError(f"--threads {threads}: this process may use {len(allowed)} CPUs ({format_cpus(allowed)})")
    spare = [cpu for cpu in allowed if cpu not in cores]
    return tuple(sorted([*cores, *spare][:threads]))
