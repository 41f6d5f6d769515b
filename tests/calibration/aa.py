"""The stage `aa`: sham comparisons of real backends on this machine, quiet and with a neighbour on one core."""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.calibration.rates import rate, table

FILES: Mapping[str, str] = {
    "aa-quiet.json": "quiet machine",
    "aa-neighbour.json": "a neighbour on one core",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sham:
    """The sham comparisons of one backend: both sides are the same program.

    `runs` are the clusters: the comparisons of one run share its noise. `false_alarms` were called faster or
    slower with the noise guard off; with the guard on, `withheld` got no verdict because the machine was
    judged too noisy, and `guarded_false_alarms` were called faster or slower all the same.
    """

    backend: str
    runs: int
    comparisons: int
    false_alarms: int
    withheld: int
    guarded_false_alarms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shams:
    """The content of aa-quiet.json and aa-neighbour.json. `machine` is a device name; `notes` are sentences."""

    machine: str
    rounds: int
    rows: tuple[Sham, ...]
    notes: tuple[str, ...] = ()


def section(data: Shams) -> list[str]:
    """The Markdown lines of one condition; without a heading."""

    def row(name: str, rows: tuple[Sham, ...]) -> tuple[str, ...]:
        runs, of = sum(sham.runs for sham in rows), sum(sham.comparisons for sham in rows)
        counts = (
            sum(sham.false_alarms for sham in rows),
            sum(sham.withheld for sham in rows),
            sum(sham.guarded_false_alarms for sham in rows),
        )
        return (name, str(runs), str(of), *(rate(count, of) for count in counts))

    return [
        f"Both sides are the same backend. {data.machine}, {data.rounds} rounds a run. The intervals count comparisons "
        "as if they were independent; those of one run share its noise, so that they are somewhat too narrow.",
        "",
        *(line for note in data.notes for line in (note, "")),
        *table(
            (
                "backend",
                "runs",
                "comparisons",
                "false alarms, guard off",
                "withheld, guard on",
                "false alarms, guard on",
            ),
            [*(row(sham.backend, (sham,)) for sham in data.rows), row("**all**", data.rows)],
        ),
    ]
