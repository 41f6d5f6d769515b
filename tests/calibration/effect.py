"""The stage `effect`: a slowdown as large as the planner says can be found, put into a real backend."""

from dataclasses import dataclass

from tests.calibration.rates import percent, rate, table

FILE = "effect.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Injected:
    """One backend. `detectable` is the slowdown that the planner printed (0.05 is 5 %), `spread` the standard
    deviation of log ratios between launches. `found` of `runs` called it slower; a third of it was put into
    `third_runs` more, of which `third_false` gave a false verdict."""

    backend: str
    point: str
    rounds: int
    spread: float
    detectable: float
    runs: int
    found: int
    third_runs: int
    third_false: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The content of effect.json."""

    machine: str
    rows: tuple[Injected, ...]
    notes: tuple[str, ...] = ()


def section(data: Found) -> list[str]:
    """The Markdown lines; without a heading."""
    rows = [
        (
            f"{row.backend}, {row.point}",
            str(row.rounds),
            percent(row.spread),
            percent(row.detectable),
            f"{row.found} of {row.runs}: {rate(row.found, row.runs)}",
            f"{row.third_false} of {row.third_runs}: {rate(row.third_false, row.third_runs)}",
        )
        for row in data.rows
    ]
    columns = (
        "backend",
        "rounds",
        "spread between launches [%]",
        "smallest effect, as planned [%]",
        "found",
        "false verdicts at a third of it",
    )
    return [
        f"A backend pinned to one core is slowed down by exactly what the planner promised to find. {data.machine}.",
        "",
        *(line for note in data.notes for line in (note, "")),
        *table(columns, rows),
    ]
