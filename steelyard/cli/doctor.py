"""`bench doctor`: what is usable here, what to install for the rest, and how quiet the machine is."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from steelyard.cli.output import print_json, print_table, printable

if TYPE_CHECKING:
    from steelyard.core.backend import Device
    from steelyard.core.metrics import Reading
    from steelyard.core.run import Noise


def doctor(
    device: Annotated[str | None, typer.Option(help="Ask about this device only. Default: all that are found.")] = None,
    tune: Annotated[
        bool, typer.Option("--tune", help="Print the commands that would quieten this machine, and run none of them.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print data instead of tables.")] = False,
) -> None:
    """Say which backends and devices are usable, what to install for the rest, the meters and the machine's noise."""
    from steelyard.guard.preflight import preflight
    from steelyard.hardware.choice import pick_device
    from steelyard.hardware.devices import survey
    from steelyard.hardware.processors import default_cpus, format_cpus
    from steelyard.plugins import unusable

    here = survey()
    asked = here.devices if device is None else (pick_device(device, here),)
    board = next((entry.index for entry in asked if entry.kind == "cuda"), None)
    if tune:
        _tune(default_cpus(), board, as_json=json)
        return
    noise = preflight(default_cpus(), gpu=board)  # before the probes load frameworks and warm the machine
    backends = _backends(asked)
    meters = energy_meters()
    notes = advice(backends, meters, noise)
    others = unusable("suite", "report", "figure")
    notes += [f"{offer.kind} {offer.name} cannot be used; {offer.problem}" for offer in others]
    if json:
        fields = {"devices": asked, "backends": backends, "meters": meters, "noise": noise, "advice": notes}
        print_json("doctor", fields)
        return
    print_table("devices", ("device", "name", "memory"), [(d.id, d.name, _size(d.memory_bytes)) for d in asked])
    typer.echo(f"CPUs that a run would use: {format_cpus(default_cpus())}\n")
    rows = [(row["backend"], row["device"], _usable(row), row["reason"] or _versions(row)) for row in backends]
    print_table("backends", ("backend", "device", "usable", "versions, or why not"), rows)
    print_table("\nenergy meters", ("meter", "usable", "domains, or why not"), [_meter(row) for row in meters])
    typer.echo(f"\nmachine noise: grade {noise.grade}")
    readings = [
        (name, _value(reading), reading.reason or reading.method)
        for name, reading in noise.readings.items()
        if "/" not in name  # single CPUs: the worst one stands for them
    ]
    print_table("", ("reading", "value", "how, or why not"), readings)
    typer.echo("\nadvice")
    for line in notes:
        typer.echo(f"- {printable(line)}")


def _tune(cpus: tuple[int, ...], board: int | None, *, as_json: bool) -> None:
    from steelyard.guard.quieten import steps

    found = steps(cpus, gpu=board)
    if as_json:
        print_json("tune", {"steps": found})
        return
    if not found:
        typer.echo("nothing was found here that a command could quieten; end other programs while a run lasts")
        return
    typer.echo("# None of these was run. In a container or virtual machine they are for its host.")
    for step in found:
        typer.echo(
            printable(f"\n# {step.name}: {step.found}\n# it changes: {step.changes}\n{step.do}\n# undo: {step.undo}")
        )


def advice(backends: list[dict[str, Any]], meters: list[dict[str, Any]], noise: "Noise") -> list[str]:
    """One line on backends, on each meter that is missing, on variables without effect, on each source of noise."""
    from steelyard.guard.environment import shell_warning
    from steelyard.guard.rapl import GRANT

    usable = sorted({row["backend"] for row in backends if row["available"]})
    lines = [
        f"run: bench run --backend {','.join(usable)}" if usable else "no backend is usable: see the reasons above"
    ]
    lines += [
        f"{row['backend']} on {row['device']}: {row['reason']}"
        for row in backends
        if not row["available"] and not row["idle"]
    ]
    if not any(row["available"] for row in meters):
        reasons = "; ".join(f"{row['meter']}: {row['reason']}" for row in meters)
        lines.append(f"energy will be empty, with the reason ({reasons})")
    if any(row["meter"] == "rapl" and row["reason"].startswith("no_permission") for row in meters):
        lines.append(f"energy: {GRANT}")
    lines += [shell_warning()] if shell_warning() else []
    lines += [f"noise: {sentence}" for sentence in noise.evidence]
    if noise.grade == "F":
        lines.append("noise: at grade F numbers are stored and verdicts withheld")
    elif noise.grade == "A":
        lines.append("noise: none to speak of; keep the machine as it is while a run lasts")
    return lines


def _backends(asked: "tuple[Device, ...]") -> list[dict[str, Any]]:
    from steelyard import plugins
    from steelyard.engine.probe import probe

    # What needs a name behind the colon cannot be asked about by itself; its `idle` says so.
    names = sorted(plugins.runners())
    rows = []
    for device in asked:
        if device.index > 0:
            continue  # the same kind gives the same answer
        ready = [name for name in names if not plugins.runner(name).idle]
        found = probe(ready, device.kind)
        for name in names:
            answer = found.get(name)
            rows.append(
                {
                    "backend": name,
                    "device": device.id,
                    "available": answer is not None and answer.available,
                    "idle": answer is None,
                    "reason": answer.reason if answer is not None else plugins.runner(name).idle,
                    "versions": dict(answer.versions) if answer is not None else {},
                    "devices": list(answer.devices) if answer is not None else [],
                }
            )
        for offer in plugins.unusable("backend"):
            said = {"available": False, "idle": False, "reason": offer.problem, "versions": {}, "devices": []}
            rows.append({"backend": offer.name, "device": device.id, **said})
    return rows


def energy_meters() -> list[dict[str, Any]]:
    """Every source of energy: whether it is here, what it meters, or why it does not."""
    from steelyard.guard.energy_source import Absent
    from steelyard.guard.meters import describe, sources

    rows = []
    for name, source in sources().items():
        reading = describe(source)
        rows.append(
            {
                "meter": name,
                "available": not isinstance(source, Absent),
                "domains": [domain.id for domain in source.domains()],
                "reason": reading.reason,
            }
        )
        source.close()
    return rows


def _value(reading: "Reading") -> str:
    if reading.value is None:
        return ""
    return f"{reading.value:.4g}" + (f" {reading.unit}" if reading.unit != "1" else "")


def _usable(row: dict[str, Any]) -> str:
    return "yes" if row["available"] else "no"


def _versions(row: dict[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in row["versions"].items())


def _meter(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["meter"], _usable(row), row["reason"] or ", ".join(row["domains"])


def _size(count: int | None) -> str:
    from steelyard.tables.format import size

    return "not known" if count is None else size(count)
