"""What each backend reached of what the hardware can do: rates, intensity, shares of ceilings, goodput."""

from collections.abc import Sequence

from steelyard.analysis.efficiency import Efficiency, Share
from steelyard.core.case import Arm
from steelyard.core.comparison import Estimate
from steelyard.core.workload import Point
from steelyard.tables import provenance
from steelyard.tables.cells import counted, tags, timed
from steelyard.tables.facts import Facts
from steelyard.tables.format import ABSENT
from steelyard.tables.provenance import no_ceiling
from steelyard.tables.section import Section
from steelyard.tables.table import Cell, Column, Flag, Footnotes, Row, Table

_RATES = (
    Column(key="flop_per_s", title="Operations", kind="number", unit="FLOP/s", shown="GFLOP/s"),
    Column(key="bytes_per_s", title="Bytes", kind="number", unit="B/s", shown="GB/s"),
    Column(key="intensity", title="Intensity", kind="number", unit="FLOP/B"),
)


def efficiency_table(facts: Facts) -> Table:
    """One row per backend and point: achieved rates, and the shares of the ceilings that hold for them."""
    several = len(facts.points) > 1
    foot = Footnotes()
    rows: list[Row] = []
    used: list[Estimate | None] = []
    for point in facts.points:
        for arm in facts.arms:
            reached = facts.efficiency(arm, point)
            used += [reached.flop_per_s, *(share.estimate for share in _shares(reached))]
            head = (Cell(text=facts.label(point)),) if several else ()
            cells = (*head, Cell(text=arm.label), *_cells(facts, arm, point, reached, foot))
            more = {"suspicious": "yes"} if reached.suspicious else {}
            rows.append(Row(cells=cells, tags=tags(facts, arm, point) | more))
    what = (
        "Operations of one call, as the suite counts them, and the bytes that it cannot avoid to move, over its time; "
        "intensity is their ratio. The ceiling is the lower roof at that intensity: the measured one, else the "
        "declared, else the computed. Utilisation is the share of the declared or computed peak of the dtype."
    )
    return Table(
        name="efficiency",
        title="Efficiency",
        caption=provenance.caption(facts, facts.points, what, used) if rows else "",
        columns=(
            *((Column(key="point", title="Workload"),) if several else ()),
            Column(key="backend", title="Backend"),
            *_RATES,
            Column(key="fraction", title="Of the ceiling", kind="number", unit="1", shown="%"),
            Column(key="bound", title="Bound by"),
            Column(key="ceiling", title="Ceiling", wide=True),
            Column(key="utilisation", title="Utilisation", kind="number", unit="1", shown="%"),
        ),
        rows=tuple(rows),
        footnotes=foot.all(),
        notes=(*_doubts(rows), *_conditions(facts)) if rows else (),
        conditions=provenance.conditions(facts),
        empty="nothing was planned",
        basis=provenance.basis(used),
    )


def goodput_table(facts: Facts) -> Table:
    """One row per backend and point: the goodput and the three shares that it is the product of."""
    several = len(facts.points) > 1
    foot = Footnotes()
    rows: list[Row] = []
    used: list[Estimate | None] = []
    for point in facts.points:
        for arm in facts.arms:
            made = facts.goodput(arm, point)
            parts = (made.availability, made.steady, made.ceiling, made.goodput)
            used += parts
            head = (Cell(text=facts.label(point)),) if several else ()
            why = f"{arm.label}: {made.reason}" if made.reason else no_ceiling(facts)
            cells = tuple(_number(part, foot, why) for part in parts)
            rows.append(Row(cells=(*head, Cell(text=arm.label), *cells), tags=tags(facts, arm, point)))
    settings = facts.run.manifest.settings
    asked = f" (windows of {settings.window_s:g} s)" if settings else ""
    what = (
        "Goodput is the product of three shares: launches that ended ok; of a launch's time, from import to the last "
        f"timed call, what was calls after the warm-up{asked}: it grows with the window; and the share of the ceiling "
        "in those calls."
    )
    return Table(
        name="goodput",
        title="Goodput",
        caption=provenance.caption(facts, facts.points, what, used) if rows else "",
        columns=(
            *((Column(key="point", title="Workload"),) if several else ()),
            Column(key="backend", title="Backend"),
            *(
                Column(key=key, title=title, kind="number", unit="1", shown="%")
                for key, title in (
                    ("availability", "Available"),
                    ("steady", "Steady"),
                    ("ceiling", "Of the ceiling"),
                    ("goodput", "Goodput"),
                )
            ),
        ),
        rows=tuple(rows),
        footnotes=foot.all(),
        conditions=provenance.conditions(facts),
        place="detail",
        empty="nothing was planned",
        basis=provenance.basis(used),
    )


def _cells(facts: Facts, arm: Arm, point: Point, reached: Efficiency, foot: Footnotes) -> tuple[Cell, ...]:
    flags: tuple[Flag, ...] = ("suspicious",) if reached.suspicious else ()
    doubt = (foot.mark(f"{arm.label}: suspicious, {reached.suspicious}"),) if reached.suspicious else ()
    outcome = facts.outcome(arm, point)
    why = f"{arm.label}: {outcome.remark if outcome.status != 'ok' and reached.reason else reached.reason}"
    uncounted = reached.reason and why
    share = reached.fraction
    intensity = counted(reached.intensity, foot, "the suite does not count operations and weights of this workload")
    return (
        _number(reached.flop_per_s, foot, uncounted or "the suite does not count operations"),
        _number(reached.bytes_per_s, foot, uncounted or "the suite does not count weights"),
        intensity,
        _number(
            None if share is None else share.estimate, foot, uncounted or no_ceiling(facts), flags=flags, notes=doubt
        ),
        _bound(reached, foot),
        Cell(text="" if share is None else f"{share.of.origin}: {share.of.label}"),
        _utilised(reached, foot, uncounted or f"no peak is declared or computed for {reached.dtype} on this device"),
    )


def _bound(reached: Efficiency, foot: Footnotes) -> Cell:
    """By which roof a result is bound; a footnote where only one of the two is known."""
    share = reached.fraction
    if share is None:
        return Cell(text="")
    if share is reached.memory:
        unknown = f"no peak in {reached.dtype} is known" if reached.compute is None else ""
        text = f"bytes, {reached.level}"
    else:
        unknown = f"no bandwidth of {reached.level} is known" if reached.memory is None and reached.level else ""
        text = "operations"
    return Cell(text=text, notes=(foot.mark(f"the only roof that is known: {unknown}"),) if unknown else ())


def _utilised(reached: Efficiency, foot: Footnotes, why: str) -> Cell:
    share = reached.utilisation
    if share is None:
        return Cell(text=ABSENT, notes=(foot.mark(why),))
    of = foot.mark(f"of the {share.of.origin} peak in {reached.dtype}: {share.of.label}")
    return timed(share.estimate, foot, notes=(of,))


def _shares(reached: Efficiency) -> tuple[Share, ...]:
    return tuple(share for share in (reached.fraction, reached.utilisation) if share is not None)


def _number(
    estimate: Estimate | None, foot: Footnotes, why: str, *, flags: tuple[Flag, ...] = (), notes: tuple[str, ...] = ()
) -> Cell:
    if estimate is None:
        return Cell(text=ABSENT, notes=(foot.mark(why),))
    return timed(estimate, foot, flags=flags, notes=notes)


def _doubts(rows: Sequence[Row]) -> tuple[str, ...]:
    if not any("suspicious" in row.tags for row in rows):
        return ()
    return (
        "Suspicious: above a ceiling with the whole interval. Work was left out, the clock or the count is wrong, or "
        "the ceiling was measured too low; no such result is set in bold.",
    )


def _conditions(facts: Facts) -> tuple[str, ...]:
    """When the ceilings were measured, and what has changed since."""
    ceilings = facts.run.manifest.ceilings
    if ceilings is None:
        return ()
    packages = facts.run.manifest.environment.get("packages", {})
    changed = sorted(
        name
        for name in {*ceilings.versions, *packages}
        if ceilings.versions.get(name) != packages.get(name) and isinstance(packages, dict)
    )
    since = f" Since then the versions of {', '.join(changed)} changed." if packages and changed else ""
    compiled = f", native loops by {ceilings.compiler}" if ceilings.compiler else ""
    return (
        f"Ceilings measured {ceilings.created_utc[:10]} with {ceilings.threads} threads in {ceilings.rounds} rounds, "
        f"noise grade {ceilings.grade}{compiled}.{since}",
    )


SECTION = Section(name="efficiency", tables={900: efficiency_table, 1600: goodput_table})
