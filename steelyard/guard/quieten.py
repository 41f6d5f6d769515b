"""The commands that would quieten this machine: only those that apply to what was found. Nothing here runs them."""

import shlex
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.guard import proc
from steelyard.guard.clocks import CPUS
from steelyard.guard.visible import visible_at

_SWAPPINESS = 1
_PARANOID = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneStep:
    """One change: what was `found`, the command `do` that would change it, what it `changes`, and how to `undo` it."""

    name: str
    found: str
    do: str
    changes: str
    undo: str


def steps(cpus: Collection[int], *, gpu: int | None = None, root: Path = proc.ROOT) -> tuple[TuneStep, ...]:
    """Every step that applies to this machine for a run on `cpus` (and the NVIDIA board `gpu`).

    A container sees the host's settings and seldom may change them: the commands are then for the host.
    """
    return tuple(
        step
        for part in (
            _governor(cpus, root),
            _turbo(root),
            _siblings(root),
            _isolation(cpus, root),
            _irqbalance(root),
            _memory(root),
            _kernel(root),
            _gpu(gpu),
        )
        for step in part
    )


def _governor(cpus: Collection[int], root: Path) -> Iterator[TuneStep]:
    names = {cpu: proc.text(root / CPUS / f"cpu{cpu}/cpufreq/scaling_governor") for cpu in sorted(cpus)}
    others = {cpu: name for cpu, name in names.items() if name and name != "performance"}
    if others:
        listed = ",".join(map(str, others))
        yield TuneStep(
            name="governor",
            found=f"scaling_governor is {', '.join(sorted(set(others.values())))} on CPUs {listed}",
            do=f"sudo cpupower -c {listed} frequency-set --governor performance",
            changes="the clock no longer follows the load; more power and heat",
            undo="; ".join(
                f"sudo cpupower -c {','.join(str(cpu) for cpu in others if others[cpu] == name)} "
                f"frequency-set --governor {shlex.quote(name)}"
                for name in sorted(set(others.values()))
            ),
        )


def _turbo(root: Path) -> Iterator[TuneStep]:
    for name, on, off in (("intel_pstate/no_turbo", "0", "1"), ("cpufreq/boost", "1", "0")):
        if proc.text(root / CPUS / name) == on:
            path = f"/{CPUS / name}"
            yield TuneStep(
                name="turbo",
                found=f"turbo is on ({name} is {on})",
                do=f"echo {off} | sudo tee {path}",
                changes="the clock no longer depends on heat and on how many CPUs are busy; everything runs slower",
                undo=f"echo {on} | sudo tee {path}",
            )
            return


def _siblings(root: Path) -> Iterator[TuneStep]:
    if proc.text(root / CPUS / "smt/active") == "1":
        path = f"/{CPUS / 'smt/control'}"
        yield TuneStep(
            name="smt",
            found="two hardware threads share each core",
            do=f"echo off | sudo tee {path}",
            changes="no other program can run on the second thread of a measured core; half of the CPUs disappear",
            undo=f"echo on | sudo tee {path}",
        )


def _isolation(cpus: Collection[int], root: Path) -> Iterator[TuneStep]:
    present = set(proc.cpu_ticks(root))
    isolated = _listed(proc.text(root / CPUS / "isolated") or "")
    exposed = sorted(set(cpus) - isolated)
    if not exposed or not present - set(cpus):
        return  # with no spare CPU there is nowhere to send the others
    listed = ",".join(map(str, exposed))
    yield TuneStep(
        name="isolation",
        found=f"other programs may run on the measured CPUs {listed}",
        do=f"sudo cset shield --cpu {listed} --kthread on; then: sudo cset shield --exec -- bench run --cpus {listed}",
        changes="the kernel keeps other programs off these CPUs; for good, boot with isolcpus=" + listed,
        undo="sudo cset shield --reset",
    )


def _irqbalance(root: Path) -> Iterator[TuneStep]:
    if any(name == "irqbalance" for name in _programs(root)):
        yield TuneStep(
            name="irqbalance",
            found="irqbalance is running",
            do="sudo systemctl stop irqbalance",
            changes="interrupts are no longer moved onto the measured CPUs during a run",
            undo="sudo systemctl start irqbalance",
        )


def _memory(root: Path) -> Iterator[TuneStep]:
    pages = proc.text(root / "sys/kernel/mm/transparent_hugepage/enabled") or ""
    if "[always]" in pages:
        path = "/sys/kernel/mm/transparent_hugepage/enabled"
        yield TuneStep(
            name="transparent huge pages",
            found="the kernel merges pages of every program in the background ([always])",
            do=f"echo madvise | sudo tee {path}",
            changes="only programs that ask get huge pages; some may run slower, and launches differ less",
            undo=f"echo always | sudo tee {path}",
        )
    swappiness = proc.number(root / "proc/sys/vm/swappiness")
    swaps = (proc.text(root / "proc/swaps") or "").splitlines()[1:]
    if swaps and swappiness is not None and swappiness > _SWAPPINESS:
        yield _sysctl(
            "swappiness",
            "vm.swappiness",
            swappiness,
            _SWAPPINESS,
            "there is swap, and the kernel uses it early",
            "memory is swapped out only when there is no other way",
        )


def _kernel(root: Path) -> Iterator[TuneStep]:
    paranoid = proc.number(root / "proc/sys/kernel/perf_event_paranoid")
    if paranoid is not None and paranoid > _PARANOID:
        yield _sysctl(
            "perf events",
            "kernel.perf_event_paranoid",
            paranoid,
            _PARANOID,
            "hardware counters are closed to users",
            "programs may count their own cycles and cache misses; it makes nothing quieter",
        )
    if proc.number(root / "proc/sys/kernel/nmi_watchdog") == 1:
        yield _sysctl(
            "watchdog",
            "kernel.nmi_watchdog",
            1,
            0,
            "the kernel's watchdog interrupts every CPU",
            "the interrupt and the hardware counter it holds are gone; a locked-up kernel is no longer noticed",
        )
    nodes = [path for path in (root / "sys/devices/system/node").glob("node*") if path.name[4:].isdigit()]
    if len(nodes) > 1 and proc.number(root / "proc/sys/kernel/numa_balancing") == 1:
        yield _sysctl(
            "NUMA balancing",
            "kernel.numa_balancing",
            1,
            0,
            f"the kernel moves pages between {len(nodes)} memory nodes while programs run",
            "pages stay where they were first touched",
        )


def _sysctl(name: str, key: str, now: float, wanted: int, found: str, changes: str) -> TuneStep:
    return TuneStep(
        name=name,
        found=f"{found} ({key} is {now:g})",
        do=f"sudo sysctl -w {key}={wanted}",
        changes=changes,
        undo=f"sudo sysctl -w {key}={now:g}",
    )


def _gpu(index: int | None) -> Iterator[TuneStep]:
    """What NVML tells of the board. Boards and drivers differ in what they tell: what fails is not offered."""
    if index is None:
        return
    try:
        import pynvml as nvml
    except ImportError:  # the board was found through this binding
        return
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return
    try:
        yield from _board(nvml, index)
    finally:
        nvml.nvmlShutdown()


def _board(nvml: Any, index: int) -> Iterator[TuneStep]:
    device = visible_at(nvml, index)
    number = device.index  # nvidia-smi counts as NVML does
    smi = f"sudo nvidia-smi -i {number}"

    def ask(function: str, *arguments: Any) -> Any:
        try:
            return getattr(nvml, function)(device.board, *arguments)
        except nvml.NVMLError:
            return None

    if ask("nvmlDeviceGetPersistenceMode") == 0:
        yield TuneStep(
            name="GPU persistence",
            found=f"persistence mode is off on GPU {number}",
            do=f"{smi} -pm 1",
            changes="the driver stays loaded between launches, so that none pays for waking the board",
            undo=f"{smi} -pm 0",
        )
    clock = ask("nvmlDeviceGetMaxClockInfo", nvml.NVML_CLOCK_SM)
    if clock:
        # A clock that the board can hold under load lies below its maximum; two thirds of it is a safe start.
        held = round(clock * 2 / 3)
        yield TuneStep(
            name="GPU clock",
            found=f"the clock of GPU {number} moves between idle and {clock} MHz",
            do=f"{smi} -lgc {held},{held}",
            changes="the clock stays where the board can hold it, whatever the heat; everything runs slower",
            undo=f"{smi} -rgc",
        )
    enforced, usual = ask("nvmlDeviceGetEnforcedPowerLimit"), ask("nvmlDeviceGetPowerManagementDefaultLimit")
    if enforced and usual and enforced < usual:
        yield TuneStep(
            name="GPU power cap",
            found=f"GPU {number} may use {enforced / 1000:.0f} W of its default {usual / 1000:.0f} W",
            do=f"{smi} -pl {usual / 1000:.0f}",
            changes="the board is no longer slowed by the lower cap; more power and heat",
            undo=f"{smi} -pl {enforced / 1000:.0f}",
        )


def _programs(root: Path) -> Iterator[str]:
    for path in (root / "proc").glob("[0-9]*/comm"):
        name = proc.text(path)
        if name:
            yield name


def _listed(text: str) -> set[int]:
    """A kernel list like `2-3,6` as a set."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found
