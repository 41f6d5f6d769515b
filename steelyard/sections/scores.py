"""Scores over all configurations of a run, failures included: pass rate, fast_p, S(t) and ES(t), way to the ceiling.

`steelyard.analysis.scores` has the definitions.
"""

from collections.abc import Sequence

from steelyard.analysis.scores import ALL_FORGIVEN, FAILED, METRIC, WRONG_FORGIVEN, Score, scores
from steelyard.core.closeness import LEVELS
from steelyard.core.comparison import Estimate
from steelyard.tables import provenance
from steelyard.tables.facts import Facts
from steelyard.tables.format import ABSENT, TIMES, counted
from steelyard.tables.overall import LEAST_POINTS, approximations, left_out
from steelyard.tables.section import Section
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table

_FASTER = (1.0, 1.5, 2.0)
"""The speed-ups p of which fast_p stands in the table; the figure has all."""
_USUAL = -5
"""The level at which S(t) stands in the table: what `torch.testing.assert_close` asks for by default."""
_UNKNOWN = "this run did not record how close its answers are, element by element"


def scores_tables(facts: Facts) -> tuple[Table, ...]:
    """The scores, the speed-ups behind fast_p and the two scores by tolerance level; of few configurations none."""
    found = scores(facts.run, sides=facts.sides)
    if reason := _nothing(facts, found):
        return _speedups(facts, (), reason), _by_level(facts, (), reason)
    return _scores(facts, found), _speedups(facts, found), _by_level(facts, found)


def _nothing(facts: Facts, found: Sequence[Score]) -> str:
    """Why there are no scores; empty where there are."""
    most = max((len(score.tried) for score in found), default=0)
    if len(facts.arms) < 2:
        return f"there is nothing beside {facts.run.manifest.baseline}"
    if most < LEAST_POINTS:
        return f"a score means nothing below {LEAST_POINTS} configurations; this run has {most} to be compared"
    return ""


def _scores(facts: Facts, found: Sequence[Score]) -> Table:
    foot = Footnotes()
    rows, notes = [], []
    for score in found:
        level = score.tolerance_score(_USUAL)
        ceilings = _ceilings(facts, score)
        unknown = f"{score.arm}: nowhere are its answers right and the baseline below a ceiling"
        cells = (
            Cell(text=score.arm, notes=tuple(foot.mark(text) for text in approximations(facts, score.approximate))),
            Cell(value=len(score.tried)),
            _cell(score.passed, foot, f"{score.arm}: no configuration was measured to an end"),
            *(_cell(score.fast(p), foot, f"{score.arm}: no configuration was measured to an end") for p in _FASTER),
            _cell(score.below_one, foot, f"{score.arm}: no configuration has right answers"),
            _cell(level, foot, _UNKNOWN),
            _cell(score.closed(ceilings), foot, unknown if ceilings else provenance.no_ceiling(facts)),
        )
        rows.append(Row(cells=cells, tags={"arm": score.arm}))
        notes += [f"Left out of {score.arm}: {points} ({why})." for points, why in left_out(score.left_out)]
    baseline = facts.run.manifest.baseline
    return Table(
        name="scores",
        title="Scores over all configurations",
        caption=provenance.caption(
            facts,
            facts.points,
            f"Over {counted(len(facts.points), 'configuration')}, failures included. fast_p: right answers, and more "
            f"than p times as fast as {baseline}. Slower: of those with right answers the share below 1{TIMES}. "
            f"S({_USUAL}): geometric mean of the speed-up, {FAILED:g} where an answer is wrong, missing or not as near "
            "to the reference, element by element, as torch.testing.assert_close asks for. To the ceiling: how much of "
            f"the way from {baseline}'s time to that of the roofline is gone, on a logarithmic scale (below 0: away "
            "from it). Intervals: of shares Clopper-Pearson's, of the others from resampling configurations and "
            "rounds; all speak of configurations like these. Estimates decide on which side of a limit a configuration "
            "lies, not verdicts. Latencies:",
            _latencies(facts),
        ),
        columns=(
            Column(key="backend", title="Backend"),
            Column(key="points", title="Configurations", kind="integer"),
            Column(key="passed", title="Right", kind="number", unit="1", shown="%"),
            *(Column(key=f"fast_{p:g}", title=f"fast_{p:g}", kind="number", unit="1", shown="%") for p in _FASTER),
            Column(key="slower", title="Slower", kind="number", unit="1", shown="%"),
            Column(key="s", title=f"S({_USUAL})", kind="number", unit="1", shown=TIMES),
            Column(key="closed", title="To the ceiling", kind="number", unit="1", shown="%"),
        ),
        rows=tuple(rows),
        footnotes=foot.all(),
        notes=tuple(notes),
        conditions=provenance.conditions(facts),
    )


def _speedups(facts: Facts, found: Sequence[Score], empty: str = "no answer of two backends is right") -> Table:
    """The share of configurations that are at least so fast, per backend, from the fastest down."""
    labels = {point.key: facts.label(point) for point in facts.points}
    rows = []
    for score in found:
        ordered = sorted(score.speedups.items(), key=lambda item: -item[1])
        for count, (key, speedup) in enumerate(ordered, start=1):
            cells = (Cell(text=score.arm), Cell(value=speedup), Cell(value=count / len(score.tried)))
            rows.append(Row(cells=cells, tags={"arm": score.arm, "point": labels[key]}))
    return Table(
        name="fast-p",
        title="Configurations by speed-up",
        caption=f"The share of {counted(len(facts.points), 'configuration')} at which a backend gave right answers "
        f"and was at least so many times as fast as {facts.run.manifest.baseline}. One that failed is never reached."
        f"{_nowhere(found)}",
        columns=(
            Column(key="backend", title="Backend"),
            Column(key="speedup", title="Speed-up", kind="number", unit="1", shown=TIMES),
            Column(key="share", title="Configurations", kind="number", unit="1", shown="%"),
        ),
        rows=tuple(rows),
        place="data",
        empty=empty,
        basis=provenance.basis(_latencies(facts)),
    )


def _by_level(facts: Facts, found: Sequence[Score], empty: str = _UNKNOWN) -> Table:
    """S(t) and ES(t), a row per backend and level."""
    foot = Footnotes()
    rows = [
        Row(
            cells=(
                Cell(text=score.arm),
                Cell(value=level),
                *(_cell(score.tolerance_score(level, forgiving=kind), foot, "") for kind in (False, True)),
            ),
            tags={"arm": score.arm},
        )
        for score in found
        if score.levels and score.tried
        for level in LEVELS
    ]
    return Table(
        name="tolerance-scores",
        title="Speed-up by tolerance",
        caption="S(t): geometric mean of the speed-up over all configurations, "
        f"{FAILED:g} where there is no right answer that is close enough at the tolerance level t. ES(t): the same, "
        f"but from t = {WRONG_FORGIVEN} on an answer that is not close enough counts 1, and from t = {ALL_FORGIVEN} "
        "on any failure does. Both after GraphNet (arXiv 2510.24035), its penalty for slowdowns at 0; answers were "
        "held against the float64 reference. Intervals: from resampling configurations and rounds.",
        columns=(
            Column(key="backend", title="Backend"),
            Column(key="level", title="t", kind="integer"),
            Column(key="s", title="S(t)", kind="number", unit="1", shown=TIMES),
            Column(key="es", title="ES(t)", kind="number", unit="1", shown=TIMES),
        ),
        rows=tuple(rows),
        footnotes=foot.all(),
        place="data",
        empty=empty,
        basis=provenance.basis(_latencies(facts)),
    )


def _latencies(facts: Facts) -> list[Estimate | None]:
    return [facts.median(arm, point, METRIC) for arm in facts.arms for point in facts.points]


def _nowhere(found: Sequence[Score]) -> str:
    none = [score.arm for score in found if not score.speedups]
    return f" No right answer anywhere: {', '.join(none)}." if none else ""


def _ceilings(facts: Facts, score: Score) -> dict[str, float]:
    """How many times as fast as the baseline the roofline allows, by configuration. Where one of the two is said to be
    above a roof, that is no roof."""
    baseline, candidate = facts.arms[0], next(arm for arm in facts.arms if arm.label == score.arm)
    found = {}
    for point in (point for point in facts.points if point.key in score.tried):
        reached, other = facts.efficiency(baseline, point), facts.efficiency(candidate, point)
        if reached.fraction and not (reached.suspicious or other.suspicious):
            found[point.key] = 1 / reached.fraction.estimate.value
    return found


def _cell(estimate: Estimate | None, foot: Footnotes, why: str) -> Cell:
    if estimate is None:
        return Cell(text=ABSENT, notes=(foot.mark(why),))
    notes = (foot.mark(f"no interval: {estimate.reason}"),) if estimate.interval is None else ()
    return Cell(value=estimate.value, interval=estimate.interval, notes=notes)


SECTION = Section(name="scores", tables={210: scores_tables})
