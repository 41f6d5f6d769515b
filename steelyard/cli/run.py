"""`bench run`: plan, lower, measure in rounds, store, report."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

if TYPE_CHECKING:
    from steelyard.core.backend import L2, CapMethod, Device
    from steelyard.core.energy import EnergySettings
    from steelyard.engine.plan import Request

SUITE = "llm"


def run(
    context: typer.Context,
    suite: Annotated[str, typer.Option(help="The suite to run.")] = SUITE,
    backend: Annotated[
        list[str] | None,
        typer.Option(help="Backends, comma lists allowed: NAME[:PROVIDER][opt=value,...], module.path:Class, or all."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="The device, e.g. cpu or cuda:0. Default: the best present.")
    ] = None,
    size: Annotated[str | None, typer.Option(help="Model size: tiny, small or full. Default: by device.")] = None,
    workload: Annotated[list[str] | None, typer.Option(help="Only these workloads (comma lists allowed).")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Leave these workloads out.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Values of an axis, e.g. --set batch=1,8 --set model=all.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="A local checkpoint directory (safetensors) to use.")] = None,
    baseline: Annotated[str, typer.Option(help="The backend that all others are compared with.")] = "eager",
    tuning: Annotated[str, typer.Option(help="default or max: which of each runner's option tables.")] = "default",
    scenario: Annotated[str, typer.Option(help="single-stream or cold-start.")] = "single-stream",
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of every backend. Default: all cores.")] = None,
    cpus: Annotated[
        str | None, typer.Option(help="CPUs to measure on, e.g. 0-3,8. Default: the first --threads.")
    ] = None,
    time: Annotated[str | None, typer.Option(help="Stop before this much time has passed, e.g. 90s, 20m, 2h.")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="At most so many rounds after the cold one.")] = None,
    timeout: Annotated[
        list[str] | None, typer.Option(help="Seconds a stage may last, e.g. --timeout compile=1800.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="3 rounds: numbers, no verdicts.")] = False,
    window: Annotated[float, typer.Option(min=0.01, help="Seconds of timed calls per case and launch.")] = 2.0,
    memory_cap: Annotated[
        str | None, typer.Option(metavar="SIZE", help="The most memory that a case may have, e.g. 2GiB.")
    ] = None,
    largest: Annotated[
        str | None, typer.Option(metavar="QUANTITY", help="Search the largest batch, or context, that completes.")
    ] = None,
    attempts: Annotated[
        int | None, typer.Option(min=1, help="With --largest: at most so many attempts of a backend. Default: 24.")
    ] = None,
    l2: Annotated[
        str | None, typer.Option(help="On an accelerator: hot or cold, its L2 cache when a call begins. Default: hot.")
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(metavar="REL", help="Relative error that passes as an approximation, marked as one, e.g. 1e-3."),
    ] = None,
    allow_foreign_processes: Annotated[
        bool, typer.Option("--allow-foreign-processes", help="Measure although others compute on the device.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait while another run measures on the same CPUs or device.")
    ] = False,
    turns: Annotated[
        str,
        typer.Option(
            metavar="on|off",
            help="Whether the launches of a round take turns, alive together. off: one after the other.",
        ),
    ] = "on",
    energy: Annotated[
        bool, typer.Option("--energy/--no-energy", help="Meter energy after each timed window, where there is a meter.")
    ] = True,
    meter: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The CSV log of an external power meter, growing meanwhile.")
    ] = None,
    estimate_energy: Annotated[
        bool, typer.Option("--estimate-energy", help="Estimate energy from the rated power, in a column of its own.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the orders and of the checked calls.")] = 0,
    output: Annotated[Path, typer.Option(help="Where runs are stored.")] = Path("bench-results"),
    resume: Annotated[str | None, typer.Option(help="Go on with this run: its path, id, or 'latest'.")] = None,
    dry_run: Annotated[bool, typer.Option(help="Print the plan and stop.")] = False,
    report: Annotated[bool, typer.Option(help="Write the report at the end.")] = True,
    json: Annotated[bool, typer.Option(help="Print events as JSON lines on standard output.")] = False,
) -> None:
    """Run a suite on backends and store every sample.

    Exit code 0; 3 if a case planned as runnable ended neither ok nor unsupported; 130 if interrupted; 2 on wrong
    usage.
    """
    from steelyard.cli import running
    from steelyard.core.errors import UsageError

    if attempts is not None and largest is None:
        raise UsageError("--attempts goes with --largest")
    if resume is not None:
        _only_with_resume(context)
        sys.exit(
            running.resume_run(
                output,
                resume,
                weights=weights,
                time_s=seconds(time),
                rounds=rounds,
                timeouts=_timeouts(timeout or []),
                report=report,
                json=json,
                meter=_meter(meter),
                allow_foreign=allow_foreign_processes,
                wait=wait,
            )
        )
    request = _request(
        suite=suite,
        backends=_split(backend) or ["all"],
        device=device,
        size=size,
        workloads=_split(workload),
        exclude=_split(exclude),
        axes=_axes(set_ or []),
        weights=weights,
        baseline=baseline,
        tuning=_choice("tuning", tuning, ("default", "max")),
        scenario=_choice("scenario", scenario, ("single-stream", "cold-start")),
        threads=threads,
        cpus=cpus,
        time_s=seconds(time),
        rounds=rounds,
        quick=quick,
        window_s=_window(window),
        seed=seed,
        timeouts=_timeouts(timeout or []),
        memory_cap=memory_cap,
        energy=energy,
        meter=meter,
        estimate_energy=estimate_energy,
        l2=l2,
        tolerance=tolerance,
        allow_foreign=allow_foreign_processes,
        wait=wait,
        turns=_choice("turns", turns, ("on", "off")) == "on",
    )
    if largest is not None:
        if quick or rounds is not None or scenario != "single-stream":
            raise UsageError("--largest times nothing: leave --quick, --rounds and --scenario out")
        from steelyard.cli.largest import run_largest

        code = run_largest(
            request, largest, output, weights=weights, most=attempts, dry_run=dry_run, report=report, json=json
        )
        sys.exit(code)
    sys.exit(running.new_run(request, output, weights=weights, dry_run=dry_run, report=report, json=json))


_WITH_RESUME = frozenset(
    {
        "resume",
        "weights",
        "time",
        "rounds",
        "timeout",
        "meter",
        "allow_foreign_processes",
        "wait",
        "output",
        "report",
        "json",
    }
)


def _only_with_resume(context: typer.Context) -> None:
    """Raise UsageError for what was asked of a resumed run beyond more rounds: its plan is that of the stored run."""
    from steelyard.core.errors import UsageError

    options = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    given = [
        options[name]
        for name in context.params
        if name not in _WITH_RESUME and getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    ]
    if given:
        raise UsageError(
            f"--resume goes on with the plan of the stored run: leave {', '.join(given)} out (a search is gone on with "
            "by its own options)"
        )


def _request(
    *,
    device: str | None,
    size: str | None,
    workloads: list[str],
    exclude: list[str],
    axes: dict[str, tuple[str, ...]],
    weights: Path | None,
    threads: int | None,
    cpus: str | None,
    tuning: str,
    scenario: str,
    backends: list[str],
    memory_cap: str | None,
    energy: bool,
    meter: Path | None,
    estimate_energy: bool,
    l2: str | None,
    tolerance: float | None,
    **rest: Any,
) -> "Request":
    from steelyard.core.backend import Budget
    from steelyard.core.workload import Selection
    from steelyard.engine.plan import Request
    from steelyard.hardware.choice import choose_cpus, pick_device

    chosen = pick_device(device)
    cpu_set = choose_cpus(threads, cpus)
    cap_bytes, cap_by = _cap(memory_cap, chosen.kind)
    return Request(
        backends=tuple(backends),
        device=chosen,
        budget=Budget(
            threads=threads or len(cpu_set),
            cpus=cpu_set,
            tuning=cast(Literal["default", "max"], tuning),
            memory_cap_bytes=cap_bytes,
            memory_cap_by=cap_by,
            l2=_l2(l2, chosen),
            tolerance=tolerance,
        ),
        selection=Selection(
            device_kind=chosen.kind,
            size=size,
            device_memory_bytes=chosen.memory_bytes,
            workloads=tuple(workloads),
            exclude=tuple(exclude),
            axes=axes,
            weights_dir=str(weights) if weights else None,
        ),
        scenario=cast(Literal["single-stream", "cold-start"], scenario),
        energy=_energy(energy, meter, estimate_energy, chosen),
        **rest,
    )


def _l2(wanted: str | None, device: "Device") -> "L2 | None":
    """The mode of the L2 cache: hot unless asked for, none on a CPU."""
    from steelyard.core.errors import UsageError

    if device.kind == "cpu":
        if wanted is not None:
            raise UsageError(f"--l2 {wanted} is for accelerators; the caches of {device.id} are left as they are")
        return None
    return cast("L2", _choice("L2 mode", wanted or "hot", ("hot", "cold")))


def _energy(enabled: bool, meter: Path | None, estimate: bool, device: "Device") -> "EnergySettings":
    """What is asked of energy. The model needs a declared power, else it says so."""
    from steelyard.core.energy import EnergySettings
    from steelyard.core.errors import UsageError
    from steelyard.hardware.profiles import declared

    if meter is not None and not enabled:
        raise UsageError("--meter and --no-energy contradict each other: give one of them")
    if estimate and device.kind != "cpu":
        raise UsageError(f"--estimate-energy shares out the rated power of a CPU; {device.id} is none")
    profile = declared(device) if estimate else None
    power = None if profile is None or profile.power_limit_w is None else float(profile.power_limit_w.value)
    return EnergySettings(enabled=enabled, meter=_meter(meter), estimate=estimate, tdp_w=power)


def _window(seconds: float) -> float:
    """A finite length. Raises UsageError."""
    from steelyard.core.errors import UsageError

    if not seconds < float("inf"):
        raise UsageError(f"--window {seconds} has no end: write seconds, e.g. --window 2")
    return seconds


def _meter(log: Path | None) -> str:
    """The log of an external meter, for processes that work elsewhere. Raises UsageError unless it is growing now."""
    from steelyard.guard.live_log import check_live

    if log is None:
        return ""
    check_live(log)
    return str(log.absolute())


def _cap(text: str | None, device_kind: str) -> "tuple[int | None, CapMethod | None]":
    """The limit of memory and what keeps it: the runtime on a device with memory of its own, else a control group
    where one may be made, else a limit that each process puts on itself."""
    from steelyard.cli.cache import parse_size
    from steelyard.core.errors import UsageError
    from steelyard.guard.memory_group import parent_group

    if text is None:
        return None, None
    size = parse_size(text)
    if size < 1:
        raise UsageError(f"--memory-cap {text} leaves no memory at all: write e.g. --memory-cap 2GiB")
    if device_kind != "cpu":
        return size, "runtime"
    parent, _ = parent_group()
    return size, "rlimit" if parent is None else "cgroup"


def _split(values: list[str] | None) -> list[str]:
    from steelyard.core.backend import split_backends

    return [part for value in values or [] for part in split_backends(value)]


def _axes(settings: list[str]) -> dict[str, tuple[str, ...]]:
    from steelyard.core.errors import UsageError

    axes: dict[str, tuple[str, ...]] = {}
    for setting in settings:
        name, equals, values = setting.partition("=")
        if not equals or not values:
            raise UsageError(f"--set '{setting}' is not of the form AXIS=VALUE[,VALUE...]")
        axes[name] = tuple(value.strip() for value in values.split(",") if value.strip())
    return axes


def _timeouts(settings: list[str]) -> dict[str, float]:
    from steelyard.core.errors import UsageError, unknown_name
    from steelyard.engine.plan import DEFAULT_TIMEOUTS

    timeouts = dict(DEFAULT_TIMEOUTS)
    for setting in settings:
        stage, _, value = setting.partition("=")
        if stage not in timeouts:
            raise unknown_name("stage", stage, timeouts)
        try:
            timeouts[stage] = float(value)
        except ValueError:
            timeouts[stage] = 0.0
        if not 0 < timeouts[stage] < float("inf"):
            raise UsageError(f"--timeout '{setting}' is not of the form STAGE=SECONDS, with seconds above 0")
    return timeouts


def _choice(name: str, value: str, valid: tuple[str, ...]) -> str:
    from steelyard.core.errors import unknown_name

    if value not in valid:
        raise unknown_name(name, value, valid)
    return value


def seconds(text: str | None) -> float | None:
    """A duration such as 90s, 20m or 2h. Raises UsageError naming the form."""
    from steelyard.core.errors import UsageError

    if text is None:
        return None
    scale = {"s": 1.0, "m": 60.0, "h": 3600.0}.get(text[-1:])
    try:
        value = float(text[:-1] if scale else text) * (scale or 1.0)
    except ValueError:
        raise UsageError(f"--time '{text}' is not a duration: write 90s, 20m or 2h") from None
    if not 0 < value < float("inf"):
        raise UsageError(f"--time '{text}' must be more than nothing")
    return value
