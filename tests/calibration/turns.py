"""The stage `turns`: whether taking turns changes what is measured.

One ordinary run of all CPU backends, whose launches are alive together, with windows in which every other turn is a
*piece*: as long as several turns. In the part of a piece that counts, all but its first turn's worth, a launch has had
the machine to itself for longer than a turn lasts, as a launch alone has. Turns and pieces of a launch stand next to
each other in time and come from the same process, so that their ratio knows nothing of memory layout, heat or the mood
of the machine. The launch is the unit: one ratio for each launch and workload.
"""

from dataclasses import dataclass

from steelyard.core.comparison import Estimate, Verdict
from tests.calibration.rates import percent, table

FILE = "turns.json"
_VERDICTS = {"slower": "slower in turns", "faster": "faster in turns"}


@dataclass(frozen=True, slots=True, kw_only=True)
class InTurns:
    """One backend at one workload. `ratios` are in turns / alone, one of each launch, and `ratio` is their location.

    Medians over its launches: `calls_a_turn`, `first_call`, which is how long the first call of a turn takes as a
    multiple of the rest of it (None where turns have too few calls to leave it out), and `handover_s`, from the end of
    a turn to the beginning of the next launch's.
    """

    backend: str
    workload: str
    ratios: tuple[float, ...]
    ratio: Estimate | None
    verdict: Verdict
    reason: str
    calls_a_turn: float | None
    first_call: float | None
    handover_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """The content of turns.json. `turn_s` is how long a turn lasts, `piece` how many of them a piece."""

    machine: str
    created_utc: str
    size: str
    threads: int
    turn_s: float
    piece: int
    margin: float
    grade: str
    rows: tuple[InTurns, ...]
    notes: tuple[str, ...] = ()


def section(data: Tried) -> list[str]:
    """The Markdown lines; without a heading."""
    piece_s = data.piece * data.turn_s
    reasons = [f"- {row.backend}, {row.workload}: {row.reason}" for row in data.rows if row.verdict != "equivalent"]
    return [
        f"All launches of a round are alive together, as in any run, {data.threads} threads, the suite llm at size "
        f"{data.size}; {data.machine}, noise grade {data.grade}, {data.created_utc[:10]} (`make calibrate "
        "STAGES=turns`). Their windows consist of turns and of *pieces*, in random balanced order: in a sweep of "
        f"the one kind each launch has a turn of {data.turn_s:g} s, as always, in a sweep of the other a piece of "
        f"{piece_s:g} s, of which the calls of the first {data.turn_s:g} s are left out. What then counts of a piece "
        "was measured as of a launch alone: nobody else has run for longer than a turn. *Ratio* is the latency in "
        "turns over that alone in the same process: of each launch the median over its turns, each held against the "
        "piece beside it; then the location over launches with its 95 % interval, each row by itself. Both sides "
        "are one process, so that no noise floor of two processes has to be exceeded. *Equivalent*: the interval "
        f"lies within {percent(data.margin)} %. *First call*: of a turn, as a multiple of the rest of it; it is left "
        "out of turns with 4 calls and more. The stopped launches keep their memory in both.",
        "",
        *(line for note in data.notes for line in (note, "")),
        *table(
            (
                "backend",
                "workload",
                "verdict",
                "ratio",
                "launches",
                "calls a turn",
                "first call",
                "hand-over [ms]",
            ),
            [_cells(row) for row in data.rows],
            numeric_from=3,
        ),
        *reasons,
        *([""] if reasons else []),
    ]


def _cells(row: InTurns) -> tuple[str, ...]:
    ratio = ""
    if row.ratio is not None:
        interval = row.ratio.interval
        ratio = f"{row.ratio.value:.4f}" + ("" if interval is None else f" [{interval.low:.4f}, {interval.high:.4f}]")
    return (
        row.backend,
        row.workload,
        _VERDICTS.get(row.verdict, row.verdict),
        ratio,
        str(len(row.ratios)),
        "" if row.calls_a_turn is None else f"{row.calls_a_turn:g}",
        "" if row.first_call is None else f"{row.first_call:.2f}",
        "" if row.handover_s is None else f"{1e3 * row.handover_s:.1f}",
    )
