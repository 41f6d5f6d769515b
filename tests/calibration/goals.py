"""What was aimed at before anything was measured, and what was reached: from the data of the stages, at the top of the
page."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from steelyard.core.aa_counts import AaCounts
from steelyard.stats.few import FEWEST
from steelyard.tables.aa_words import rate
from tests.calibration import bench, effect, native_overhead, sampler, turns, vendor
from tests.calibration.bench import Bench, Given
from tests.calibration.effect import Found
from tests.calibration.rates import percent, table
from tests.calibration.sampler import Sampled
from tests.calibration.turns import Tried
from tests.validation.agreement_rows import Agreement
from tests.validation.native_overhead_rows import NativeOverhead

QUIET, LOADED = "aa-quiet-in-turns.json", "aa-switching-in-turns.json"
DETECTABLE = {"empty": 0.10, "warm": 0.05}
"""By the state of the cache: the slowdown of the headline that `make bench` is to find in 9 of 10 runs, at most."""
FALSE, FALSE_UPPER = 0.05, 0.07
HALF = {QUIET: 0.05, LOADED: 0.10}
"""The difference that half of the comparisons of equal programs would have called, at most."""
TIMED, LOWERING_S, HANDOVER_S = 0.60, 150.0, 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What was wanted, what came of it, whether that is it, the stage that says so, and what keeps it from being
    reached where it is not."""

    wanted: str
    reached: str
    met: bool
    stage: str
    why: str = ""


def section(data: Mapping[str, Any]) -> list[str]:
    """The Markdown lines, with their heading; none without any data."""
    found = list(aims(data))
    if not found:
        return []
    return [
        "## What was aimed at",
        "",
        f"{sum(each.met for each in found)} of {len(found)} aims are reached. The sections below say on which machine "
        "each was measured, and how.",
        "",
        *table(
            ("aim", "reached", "", "what keeps it", "`make calibrate STAGES=`"),
            [
                (each.wanted, each.reached, *(("yes", "") if each.met else ("**no**", each.why)), each.stage)
                for each in found
            ],
            numeric_from=5,
        ),
    ]


def aims(data: Mapping[str, Any]) -> Iterator[Aim]:
    """Those of the stages that have been run."""
    if bench.FILE in data:
        yield from _bench(data[bench.FILE])
    if effect.FILE in data:
        yield from _effect(data[effect.FILE])
    for file in (QUIET, LOADED):
        if file in data:
            yield from _equal(data[file], HALF[file])
    if turns.FILE in data:
        yield _turns(data[turns.FILE])
    if vendor.FILE in data:
        yield _agreement(data[vendor.FILE])
    if native_overhead.FILE in data:
        yield _overhead(data[native_overhead.FILE])
    if sampler.FILE in data:
        yield _sampler(data[sampler.FILE])


def _bench(data: Bench) -> Iterator[Aim]:
    for each in data.runs:
        yield from _given(each)
    shares = [each.timed_share for each in data.runs]
    yield Aim(
        wanted=f"timed calls are at least {_whole(TIMED)} of a warm round",
        reached=" and ".join(f"{percent(share)} %" for share in shares),
        met=min(shares) >= TIMED,
        stage="bench",
        why="a launch starts an interpreter, loads and makes two runs that are checked, and Inductor reads its caches "
        "anew: longer than the windows of three workloads, 2 s each",
    )
    lowered = [each.lowering_s for each in data.runs if each.lowering_s is not None]
    if lowered:
        yield Aim(
            wanted=f"everything is lowered within {LOWERING_S:.0f} s",
            reached=f"{max(lowered):.0f} s",
            met=max(lowered) <= LOWERING_S,
            stage="bench",
        )
    handed = [each.handover_s for each in data.runs if each.handover_s is not None]
    if handed:
        yield Aim(
            wanted=f"a hand-over between turns takes at most {1e3 * HANDOVER_S:.0f} ms",
            reached=f"{1e3 * max(handed):.1f} ms",
            met=max(handed) <= HANDOVER_S,
            stage="bench",
        )


def _given(each: Given) -> Iterator[Aim]:
    cache, wanted = f"`make bench`, cache {each.cache}", DETECTABLE[each.cache]
    decided = [row for row in each.backends if row.verdict in ("faster", "slower", "equivalent")]
    yield Aim(
        wanted=f"{cache}: every backend has a verdict",
        reached=f"{len(decided)} of {len(each.backends)}",
        met=len(decided) == len(each.backends),
        stage="bench",
        why=f"a verdict needs {FEWEST} rounds that count, and the time held {each.rounds} on this machine, of which "
        f"{min((row.pairs for row in each.backends), default=0)} count",
    )
    known = [row.detectable for row in each.backends if row.detectable is not None]
    worst = max(known) if len(known) == len(each.backends) else None
    yield Aim(
        wanted=f"{cache}: a slowdown of {_whole(wanted)} is detectable on every backend",
        reached="not on every backend" if worst is None else f"{percent(worst)} %",
        met=worst is not None and worst <= wanted,
        stage="bench",
        why="with so few rounds that count the noise between rounds is not known well enough to promise anything",
    )


def _effect(data: Found) -> Iterator[Aim]:
    trials = [trial for row in data.rows for trial in row.full]
    found = sum(trial.verdict == "slower" for trial in trials)
    yield Aim(
        wanted="what a plan promises to find is found in at least 9 of 10 runs",
        reached=f"{found} of {len(trials)}",
        met=bool(trials) and found >= 0.9 * len(trials),
        stage="effect",
    )


def _equal(data: AaCounts, half: float) -> Iterator[Aim]:
    beside = "quiet" if data.condition == "quiet" else "beside a load"
    called = data.all.rates["false_alarms"]  # beside a load the guard withholds every verdict, and says nothing
    upper = 1.0 if called.interval is None else called.interval.high
    yield Aim(
        wanted=f"equal programs, {beside}: at most {_whole(FALSE)} are called different without the noise guard, upper "
        f"bound {_whole(FALSE_UPPER)}",
        reached=f"{rate(called)} %",
        met=called.count <= FALSE * called.of and upper <= FALSE_UPPER,
        stage="aa",
    )
    found = data.all.detectable
    yield Aim(
        wanted=f"equal programs, {beside}: half of the comparisons would have called {_whole(half)}",
        reached="not known" if found is None else f"{percent(found)} %",
        met=found is not None and found <= half,
        stage="aa",
        why="" if found is None else f"about {(found / half) ** 2:.1f} times as many rounds would do",
    )


def _turns(data: Tried) -> Aim:
    same = sum(row.verdict == "equivalent" for row in data.rows)
    return Aim(
        wanted=f"turns change no latency by {_whole(data.margin)} or more",
        reached=f"shown for {same} of {len(data.rows)}, refuted for "
        f"{sum(row.verdict in ('faster', 'slower') for row in data.rows)}",
        met=same == len(data.rows),
        stage="turns",
        why="the intervals of the other rows are wider than that",
    )


def _agreement(data: Agreement) -> Aim:
    rows = [row for row in data.rows if row.ratio is not None]
    open_, same = (sum(row.verdict == told for row in rows) for told in ("inconclusive", "equivalent"))
    unsteady = sum(row.unsteady for row in rows)
    every = unsteady + sum(row.rounds + row.disturbed for row in rows)
    return Aim(
        wanted=f"agreement with vendors' tools: no row is inconclusive at {_whole(data.margin)}",
        reached=f"{open_} of {len(rows)} are; {same} agree",
        met=not open_,
        stage="vendor",
        why=f"in {unsteady} of {every} rounds of a row one of the two did not reach a steady state, and such a round "
        "does not count",
    )


def _overhead(data: NativeOverhead) -> Aim:
    rows = [row for row in data.rows if row.ratio is not None]
    open_ = sum(row.verdict == "inconclusive" for row in rows)
    return Aim(
        wanted=f"native-path overhead: no row is inconclusive at {_whole(data.margin)}",
        reached=f"{open_} of {len(rows)} are",
        met=not open_,
        stage="vendor",
        why="launches without a steady state: a verdict has to hold wherever in their windows they are read",
    )


def _sampler(data: Sampled) -> Aim:
    row = data.rows[0]
    return Aim(
        wanted=f"reading a meter changes no latency by {_whole(data.margin)} or more",
        reached=row.verdict,
        met=row.verdict == "equivalent",
        stage="sampler",
    )


def _whole(share: float) -> str:
    return f"{100 * share:.0f} %"
