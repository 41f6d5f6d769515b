"""A search for a faster variant as tables: the curve of the best so far, what it was worth, and what failed."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from steelyard.core.comparison import Comparison
from steelyard.core.tuning import SHARE, Search, Step, Trial, area, best_so_far, break_even, reached
from steelyard.tables.format import ABSENT, counted, fixed, percent
from steelyard.tables.table import Cell, Column, Footnotes, ReportData, Row, Table


def tuning_tables(
    search: Search,
    trials: Sequence[Trial],
    untuned: str,
    tuned: str,
    comparisons: Sequence[Comparison],
    latencies: Mapping[str, float],
) -> tuple[Table, ...]:
    """The curve, the worth of the search, and why candidates had no time; `latencies` are median calls [s] of the
    backends that were measured in turns afterwards."""
    steps = best_so_far(search.parts, trials)
    return (
        _curve(search, trials, steps),
        _worth(trials, steps, untuned, tuned, comparisons, latencies),
        *_failures(trials),
    )


def tuning_report(
    search: Search, tables: tuple[Table, ...], untuned: str, arms: tuple[str, ...], run_id: str
) -> ReportData:
    """The tables of a search as a report of their own, with the run that measured the outcome, if there is one."""
    told = [f"{search.device}, {counted(search.threads, 'thread')}, seed {search.seed}; {', '.join(search.versions)}."]
    return ReportData(
        run_id=run_id,
        title=f"{search.backend} tuned: {search.point}",
        created_utc=search.created_utc,
        device=search.device,
        baseline=untuned,
        headline_workload="",
        arms=arms or (search.backend,),
        headline=(tables[1].caption,),
        paragraphs=(),
        tables=tables,
        macros=(),
        conditions=tuple(told),
        software=told[0],
    )


def _curve(search: Search, trials: Sequence[Trial], steps: Sequence[Step]) -> Table:
    """A row for each trial that made the best better, and the last."""
    better = [step for at, step in enumerate(steps) if at == 0 or step.latency_s < steps[at - 1].latency_s]
    shown = [*better, *([steps[-1]] if steps and steps[-1] is not better[-1] else ())]
    parts = f" Summed over {len(search.parts)} kernels, each timed by itself." if len(search.parts) > 1 else ""
    return Table(
        name="tuning",
        title=f"Best so far: {search.backend}",
        caption=f"{search.point}: the time of a call of the best candidate so far, as the search saw it.{parts}",
        columns=(
            Column(key="trials", title="Trials", kind="integer"),
            Column(key="spent", title="After", kind="number", unit="s"),
            Column(key="latency", title="Best call", kind="number", unit="s", shown="ms"),
            Column(key="candidate", title="Candidate", wide=True),
        ),
        rows=tuple(
            Row(
                cells=(
                    Cell(value=step.trials),
                    Cell(value=step.seconds),
                    Cell(value=step.latency_s),
                    Cell(text=trials[step.trials - 1].candidate if step in better else ABSENT),
                ),
                tags={"trials": str(step.trials)},
            )
            for step in shown
        ),
        empty=f"no candidate of every part was right in {counted(len(trials), 'trial')}",
    )


def _worth(
    trials: Sequence[Trial],
    steps: Sequence[Step],
    untuned: str,
    tuned: str,
    comparisons: Sequence[Comparison],
    latencies: Mapping[str, float],
) -> Table:
    """What was measured in turns afterwards, and when the search has paid."""
    foot = Footnotes()
    spent_s = sum(trial.cost_s for trial in trials)
    near, share = reached(steps), area(steps, spent_s)
    told = [f"{counted(len(trials), 'trial')} in {spent_s:.0f} s."]
    if near is not None:
        told.append(
            f"{percent(SHARE)} of the final speed after {counted(near.trials, 'trial')} and {near.seconds:.0f} s."
        )
    if share is not None:
        told.append(
            f"Area under the curve of speed: {percent(share)} of what it were with the final speed from the start."
        )
    return Table(
        name="tuning-worth",
        title="What it was worth",
        caption=f"Measured in turns after the search, against {untuned}. " + " ".join(told),
        columns=(
            Column(key="backend", title="Backend"),
            Column(key="latency", title="Median call", kind="number", unit="s", shown="ms"),
            Column(key="speedup", title="Speed-up"),
            Column(key="verdict", title="Verdict"),
            Column(key="break_even", title="Calls that pay for the search", kind="number"),
        ),
        rows=(
            *(_baseline(untuned, latencies) if comparisons else ()),
            *(_row(each, spent_s, latencies, foot, tuned=each.candidate == tuned) for each in comparisons),
        ),
        footnotes=foot.all(),
        empty=f"nothing was measured: {'no candidate was faster' if tuned == untuned else 'not every part has one'}",
    )


def _baseline(untuned: str, latencies: Mapping[str, float]) -> Iterator[Row]:
    yield Row(
        cells=(
            Cell(text=untuned),
            _latency(untuned, latencies),
            Cell(text="1"),
            Cell(text="baseline"),
            Cell(text=ABSENT),
        ),
        tags={"arm": untuned},
    )


def _latency(arm: str, latencies: Mapping[str, float]) -> Cell:
    value = latencies.get(arm)
    return Cell(text=ABSENT) if value is None else Cell(value=value)


def _row(each: Comparison, spent_s: float, latencies: Mapping[str, float], foot: Footnotes, *, tuned: bool) -> Row:
    speedup = each.speedup
    ends = speedup.interval if speedup else None
    text = ABSENT if speedup is None else fixed(speedup.value, 2)
    if ends is not None:
        text += f" [{fixed(ends.low, 2)}, {fixed(ends.high, 2)}]"
    return Row(
        cells=(
            Cell(text=each.candidate),
            _latency(each.candidate, latencies),
            Cell(text=text),
            Cell(text=each.verdict, notes=(foot.mark(each.reason),) if each.reason else ()),
            _break_even(each, spent_s, latencies.get(each.candidate), foot) if tuned else Cell(text=ABSENT),
        ),
        tags={"arm": each.candidate},
    )


def _break_even(each: Comparison, spent_s: float, latency_s: float | None, foot: Footnotes) -> Cell:
    """From what was measured, where the verdict is that a call is faster."""
    if latency_s is None:
        return Cell(text=ABSENT)
    if each.verdict != "faster" or each.speedup is None:
        return Cell(text=ABSENT, notes=(foot.mark("no call was shown to be faster"),))
    calls = break_even(spent_s, latency_s * each.speedup.value, latency_s)
    return Cell(text=ABSENT) if calls is None else Cell(value=calls)


def _failures(trials: Sequence[Trial]) -> Iterator[Table]:
    """Candidates without a time, by the reason."""
    reasons = Counter(trial.reason for trial in trials if trial.latency_s is None)
    if reasons:
        yield Table(
            name="tuning-failures",
            title="Candidates without a time",
            caption="They were not built, not right, or did not end; none of them was timed.",
            columns=(
                Column(key="count", title="Candidates", kind="integer"),
                Column(key="reason", title="Reason", wide=True),
            ),
            rows=tuple(
                Row(cells=(Cell(value=count), Cell(text=reason)), tags={}) for reason, count in reasons.most_common()
            ),
        )
