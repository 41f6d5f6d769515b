"""What is asked of a run, in the words of a command line or of Python: checked, and completed by what is here.

Errors name the option of `bench run`; arguments of Python have the same names.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict, TypeVar, cast, get_args

from steelyard import plugins
from steelyard.core.backend import L2, TUNINGS, Budget, CapMethod, Device, split_backends
from steelyard.core.case import Scenario
from steelyard.core.energy import EnergySettings
from steelyard.core.errors import UsageError, unknown_name
from steelyard.core.ladder import axis_of, settings
from steelyard.core.quantity import bytes_of, latency_of, seconds_of
from steelyard.core.workload import Selection
from steelyard.engine.plan import DEFAULT_TIMEOUTS, Request
from steelyard.guard.live_log import check_live
from steelyard.guard.memory_group import parent_group
from steelyard.hardware.choice import choose_cpus, pick_device
from steelyard.hardware.profiles import declared

SUITE = "llm"
_ASKED: tuple[Scenario, ...] = ("single-stream", "cold-start", "correctness")  # `bench profile` asks for the traced one
WINDOW_S, QUICK_WINDOW_S = 2.0, 0.25
_Choice = TypeVar("_Choice", bound=str)


class LaunchOptions(TypedDict, total=False):
    """What may be asked of launches of any kind, as `request_of` takes it."""

    device: str | None
    size: str | None
    workloads: Sequence[str]
    exclude: Sequence[str]
    tuning: str
    threads: int | None
    cpus: str | None
    timeouts: Mapping[str, float] | None
    window: float | None
    wait: bool


class RunOptions(LaunchOptions, total=False):
    """What may be asked of a run that is timed."""

    baseline: str | None
    ladder: Sequence[str]
    scenario: str
    time: str | None
    rounds: int | None
    quick: bool
    latency_bound: str | None
    memory_cap: str | None
    l2: str | None
    tolerance: float | None
    allow_foreign_processes: bool
    turns: bool
    energy: bool
    meter: Path | None
    estimate_energy: bool
    seed: int


def request_of(
    *,
    suite: str = SUITE,
    backends: Sequence[str] = (),
    device: str | None = None,
    size: str | None = None,
    workloads: Sequence[str] = (),
    exclude: Sequence[str] = (),
    axes: Mapping[str, Sequence[str]] | None = None,
    weights: Path | None = None,
    baseline: str | None = None,
    ladder: Sequence[str] = (),
    tuning: str = "default",
    scenario: str = "single-stream",
    threads: int | None = None,
    cpus: str | None = None,
    time: str | None = None,
    rounds: int | None = None,
    timeouts: Mapping[str, float] | None = None,
    quick: bool = False,
    window: float | None = None,
    latency_bound: str | None = None,
    memory_cap: str | None = None,
    l2: str | None = None,
    tolerance: float | None = None,
    allow_foreign_processes: bool = False,
    wait: bool = False,
    turns: bool = True,
    energy: bool = True,
    meter: Path | None = None,
    estimate_energy: bool = False,
    seed: int = 0,
) -> Request:
    """The request. Raises UsageError for what contradicts itself or cannot be had here.

    Lists may hold comma lists, but each of `ladder` is one: backends in an order, the name of one backend whose
    runner has an order (`Runner.ladder`), or an axis with its values in an order (`batch=1,2,4`). What it names is
    measured, backends against the first of them unless `baseline` says otherwise, which is `eager` without any. Of the
    device, its default is the best present; of CPUs the first `threads`, of threads all cores. `time` is a duration
    (`20m`), `memory_cap` a size (`2GiB`), `window` seconds (2, or 0.25 where it is `quick`), `latency_bound` a latency
    (`50ms`).
    """
    chosen = pick_device(device)
    cpu_set = choose_cpus(threads, cpus)
    cap_bytes, cap_by = _cap(memory_cap, chosen.kind)
    window_s = (QUICK_WINDOW_S if quick else WINDOW_S) if window is None else window
    if not 0 < window_s < float("inf"):
        raise UsageError(f"--window {window} is no length: write seconds, e.g. --window 2")
    ladders = tuple(_ladder(text) for text in ladder)
    if ladders and tuning != "default":
        raise UsageError(f"--ladder with --tuning {tuning}: a rung says what it adds; leave --tuning out")
    chosen_axes = {name: tuple(map(str, values)) for name, values in (axes or {}).items()}
    rungs: list[str] = []
    for climbed in ladders:
        if (along := axis_of(climbed)) is None:
            rungs += climbed
        elif chosen_axes.setdefault(*along) != along[1]:
            raise UsageError(f"--ladder and --set name values of {along[0]}: leave --set {along[0]} out")
    return Request(
        suite=suite,
        backends=tuple(dict.fromkeys((*rungs, *split(backends)))) or ("all",),
        device=chosen,
        budget=Budget(
            threads=threads or len(cpu_set),
            cpus=cpu_set,
            tuning=_chosen("tuning", tuning, TUNINGS),
            memory_cap_bytes=cap_bytes,
            memory_cap_by=cap_by,
            l2=_l2(l2, chosen),
            tolerance=tolerance,
        ),
        selection=Selection(
            device_kind=chosen.kind,
            size=size,
            device_memory_bytes=chosen.memory_bytes,
            workloads=split(workloads),
            exclude=split(exclude),
            axes=chosen_axes,
            weights_dir=None if weights is None else str(weights),
        ),
        baseline=baseline or (rungs[0] if rungs else "eager"),
        scenario=_chosen("scenario", scenario, _ASKED),
        rounds=rounds,
        quick=quick,
        time_s=None if time is None else seconds_of(time),
        window_s=window_s,
        seed=seed,
        timeouts=timeouts_of(timeouts or {}),
        energy=_energy(energy, meter, estimate_energy, chosen),
        allow_foreign=allow_foreign_processes,
        wait=wait,
        turns=turns,
        ladders=ladders,
        latency_bound_s=None if latency_bound is None else latency_of(latency_bound),
    )


def _ladder(text: str) -> tuple[str, ...]:
    """Backends in an order, spelled as results name them, or the values of an axis. Raises UsageError where there are
    not two or more."""
    rungs = split([text])
    if along := axis_of(rungs[:1]):
        values = (*along[1], *rungs[1:])
        if len(set(values)) < len(values) or len(values) < 2:
            raise UsageError(f"--ladder {text}: a ladder is two different values or more, each named once")
        return settings(along[0], values)
    if len(rungs) == 1:
        spec = plugins.backend(rungs[0])
        kind = plugins.runner(spec.runner)
        if spec.text != spec.runner:
            raise UsageError(f"--ladder {text}: the ladder of a backend is named by its name alone: {spec.runner}")
        if not kind.ladder:
            ready = sorted(name for name, each in plugins.runners().items() if each.ladder)
            raise UsageError(
                f"--ladder {text}: '{rungs[0]}' has no ladder of its own: name two backends or more in their order, as "
                f"in eager,inductor, or one that has ({', '.join(ready)})"
            )
        rungs = kind.ladder
    named = tuple(plugins.backend(rung).text for rung in rungs)
    if len(set(named)) < len(named) or len(named) < 2:
        raise UsageError(f"--ladder {text}: a ladder is two different backends or more, each named once")
    return named


def split(values: Sequence[str]) -> tuple[str, ...]:
    """The parts of comma lists; commas inside brackets belong to a backend's options."""
    return tuple(part for value in values for part in split_backends(value))


def timeouts_of(wanted: Mapping[str, float]) -> dict[str, float]:
    """The seconds of every stage. Raises UsageError for an unknown one, or one that would have no time."""
    for stage, seconds in wanted.items():
        if stage not in DEFAULT_TIMEOUTS:
            raise unknown_name("stage", stage, DEFAULT_TIMEOUTS)
        if not 0 < seconds < float("inf"):
            raise UsageError(f"--timeout {stage}={seconds:g} is not of the form STAGE=SECONDS, with seconds above 0")
    return {**DEFAULT_TIMEOUTS, **wanted}


def meter_of(log: Path | None) -> str:
    """The log of an external meter, for processes that work elsewhere. Raises UsageError unless it is growing now."""
    if log is None:
        return ""
    check_live(log)
    return str(log.absolute())


def _chosen(name: str, value: str, valid: Sequence[_Choice]) -> _Choice:
    if value not in valid:
        raise unknown_name(name, value, valid)
    return cast(_Choice, value)


def _l2(wanted: str | None, device: Device) -> L2 | None:
    """The mode of the L2 cache: hot unless asked for, none on a CPU."""
    if device.kind == "cpu":
        if wanted is not None:
            raise UsageError(f"--l2 {wanted} is for accelerators; the caches of {device.id} are left as they are")
        return None
    modes: tuple[L2, ...] = get_args(L2)
    return _chosen("L2 mode", wanted or "hot", modes)


def _energy(enabled: bool, meter: Path | None, estimate: bool, device: Device) -> EnergySettings:
    """What is asked of energy. The model needs a declared power, else it says so."""
    if meter is not None and not enabled:
        raise UsageError("--meter and --no-energy contradict each other: give one of them")
    if estimate and device.kind != "cpu":
        raise UsageError(f"--estimate-energy shares out the rated power of a CPU; {device.id} is none")
    profile = declared(device) if estimate else None
    power = None if profile is None or profile.power_limit_w is None else float(profile.power_limit_w.value)
    return EnergySettings(enabled=enabled, meter=meter_of(meter), estimate=estimate, tdp_w=power)


def _cap(text: str | None, device_kind: str) -> tuple[int | None, CapMethod | None]:
    """The limit of memory and what keeps it: the runtime on a device with memory of its own, else a control group
    where one may be made, else a limit that each process puts on itself."""
    if text is None:
        return None, None
    size = bytes_of(text)
    if size < 1:
        raise UsageError(f"--memory-cap {text} leaves no memory at all: write e.g. --memory-cap 2GiB")
    if device_kind != "cpu":
        return size, "runtime"
    parent, _ = parent_group()
    return size, "rlimit" if parent is None else "cgroup"
