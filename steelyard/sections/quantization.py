"""What quantization gains and costs: speed, error, weights and memory beside those of the backend as it is without."""

from collections.abc import Iterator
from dataclasses import replace

from steelyard.core import quantization
from steelyard.core.case import Arm
from steelyard.core.result import OutputCheck
from steelyard.core.workload import Point
from steelyard.tables import provenance
from steelyard.tables.cells import counted, tags, timed
from steelyard.tables.facts import Facts
from steelyard.tables.format import ABSENT, TIMES
from steelyard.tables.latency_cells import latency, named
from steelyard.tables.pairs import METRIC, Pairs, pairs, ratio
from steelyard.tables.section import Section
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table

_WORST = 10
_PEAK = "host_peak_bytes/steady"


def quantization_tables(facts: Facts) -> tuple[Table, ...]:
    """Quantized backends beside their plain ones, and the speed and error of all; none of a run without any."""
    quantized = [arm for arm in facts.arms if quantization.kind_of(arm.backend)]
    return (_gains(facts, quantized, pairs(facts)), _trade_off(facts)) if quantized else ()


def layer_tables(facts: Facts) -> tuple[Table, ...]:
    """How far each layer of quantized programs is off, the worst first; none where no layer was held against its own
    output without quantization."""
    lowered = facts.run.manifest.lowered
    rows = [
        Row(
            cells=(
                *(Cell(text=facts.label(point)), Cell(text=program), Cell(text=layer)),
                *(Cell(value=place), Cell(value=error)),
            ),
            tags={"workload": point.workload, "point": facts.label(point)},
        )
        for point in facts.points
        if point.key in lowered
        for program, errors in lowered[point.key].layer_errors.items()
        for place, (layer, error) in sorted(enumerate(errors.items(), start=1), key=lambda each: -each[1][1])[:_WORST]
    ]
    if not rows:
        return ()
    return (
        Table(
            name="quantization-layers",
            title="Quantization, layer by layer",
            caption=f"The {_WORST} layers of each quantized program that are furthest off at most: "
            "|quantized - plain| / |plain| in the 2-norm of what the layer gives in one call with the same inputs, the "
            "errors of all layers before it included. The place counts convolutions and products from the input on.",
            columns=(
                Column(key="point", title="Workload"),
                Column(key="program", title="Program", kind="code"),
                Column(key="layer", title="Layer", kind="code"),
                Column(key="place", title="Place", kind="integer"),
                Column(key="error", title="Relative error", kind="scientific", unit="1"),
            ),
            rows=tuple(rows),
            conditions=provenance.conditions(facts, estimates=False),
            place="detail",
        ),
    )


def _gains(facts: Facts, quantized: list[Arm], found: Pairs) -> Table:
    foot = Footnotes()
    several = len(facts.points) > 1
    has_tokens = any(_agreement(facts, arm, point) for arm in quantized for point in facts.points)
    rows, estimates = [], []
    for point in facts.points:
        for arm in quantized:
            plain = _plain(facts, arm)
            time, estimate = latency(facts, arm, point, foot)
            estimates.append(estimate)
            comparison = found.get((plain.label, arm.label, point.key)) if plain else None
            verdict = comparison.verdict if comparison else "no number" if plain else "not compared"
            head = (Cell(text=facts.label(point)),) if several else ()
            cells = (
                *(*head, named(facts, arm, point), time),
                *(ratio(comparison, foot, estimate is not None), Cell(text=verdict)),
                _error(facts, arm, point, foot),
                *([_tokens(facts, arm, point, foot)] if has_tokens else []),
                *_weights(facts, arm, plain, point, foot),
                _memory(facts, arm, point, foot),
            )
            rows.append(Row(cells=cells, tags=tags(facts, arm, point) | {"verdict": verdict}))
    missing = [arm.label for arm in quantized if _plain(facts, arm) is None]
    return Table(
        name="quantization",
        title="Quantization",
        caption=provenance.caption(
            facts,
            facts.points,
            "Quantized backends against themselves without quantization, from paired rounds; above 1 is faster. "
            "Relative error: |out - ref| / |ref| in the 2-norm against the float64 reference, the worst output of all "
            "checked calls. Same tokens: how many of an answer's are the reference's, which are fed at every step. "
            "Weights: of the largest program, and how many times fewer bytes than without.",
            estimates,
        ),
        columns=(
            *((Column(key="point", title="Workload"),) if several else ()),
            Column(key="backend", title="Backend"),
            Column(key="latency_s", title="Latency", kind="number", unit="s", shown="ms"),
            Column(key="speedup", title="Speed-up", kind="number", unit="1", shown=TIMES),
            Column(key="verdict", title="Verdict"),
            Column(key="error", title="Relative error", kind="scientific", unit="1"),
            *((Column(key="tokens", title="Same tokens", kind="number", unit="1", shown="%"),) if has_tokens else ()),
            Column(key="weight_bytes", title="Weights", kind="number", unit="B", shown="MiB"),
            Column(key="smaller", title="Smaller", kind="number", unit="1", shown=TIMES),
            Column(key="memory", title="Host peak, steady", kind="number", unit="B", shown="MiB"),
        ),
        rows=tuple(rows),
        footnotes=foot.all(),
        notes=tuple(f"{label}: without quantization it is no part of the run." for label in missing),
        conditions=provenance.conditions(facts),
        basis=provenance.basis(estimates),
    )


def _trade_off(facts: Facts) -> Table:
    """Latency and error of every backend."""
    foot = Footnotes()
    rows, estimates = [], []
    for point in facts.points:
        for arm in facts.arms:
            estimate, worst = facts.estimate(arm, point, METRIC), _worst(facts, arm, point)
            if estimate is None or worst is None or not facts.outcome(arm, point).speed:
                continue
            estimates.append(estimate)
            cells = (
                *(Cell(text=facts.label(point)), Cell(text=arm.label)),
                *(timed(estimate, foot), Cell(value=worst.relative_l2)),
            )
            rows.append(Row(cells=cells, tags=tags(facts, arm, point)))
    return Table(
        name="pareto",
        title="Speed against error",
        caption="Latency of every backend beside the worst relative error of its outputs against the reference.",
        columns=(
            Column(key="point", title="Workload"),
            Column(key="backend", title="Backend"),
            Column(key="latency_s", title="Latency", kind="number", unit="s", shown="ms"),
            Column(key="error", title="Relative error", kind="scientific", unit="1"),
        ),
        rows=tuple(rows),
        footnotes=foot.all(),
        place="data",
        empty="no backend has a time and a checked answer",
        basis=provenance.basis(estimates),
    )


def _plain(facts: Facts, arm: Arm) -> Arm | None:
    """The same backend without quantization."""
    options = {name: value for name, value in arm.backend.options.items() if name not in quantization.KINDS}
    wanted = replace(arm.backend, options=options).text
    return next((each for each in facts.arms if each.backend.text == wanted), None)


def _checks(facts: Facts, arm: Arm, point: Point) -> Iterator[OutputCheck]:
    for result in facts.results(arm, point):
        yield from result.correctness.outputs if result.correctness is not None else ()


def _worst(facts: Facts, arm: Arm, point: Point) -> OutputCheck | None:
    """The output that is furthest off."""
    return max(_checks(facts, arm, point), key=lambda check: check.relative_l2, default=None)


def _error(facts: Facts, arm: Arm, point: Point, foot: Footnotes) -> Cell:
    worst = _worst(facts, arm, point)
    return counted(worst.relative_l2 if worst else None, foot, f"{arm.label}: no call of it was checked")


def _agreement(facts: Facts, arm: Arm, point: Point) -> list[float]:
    told = (result.details.driver.get("token_agreement") for result in facts.results(arm, point))
    return [float(share) for share in told if share is not None]


def _tokens(facts: Facts, arm: Arm, point: Point, foot: Footnotes) -> Cell:
    found = _agreement(facts, arm, point)
    why = f"{arm.label}, {point.workload}: no text is generated, or its tokens had to be the reference's"
    return counted(min(found) if found else None, foot, why)


def _weights(facts: Facts, arm: Arm, plain: Arm | None, point: Point, foot: Footnotes) -> tuple[Cell, Cell]:
    own = _weight_bytes(facts, arm, point)
    before = _weight_bytes(facts, plain, point) if plain else None
    before = point.work.weight_bytes if before is None else before
    smaller = before / own if own and before else None
    return (
        counted(own, foot, f"{arm.label}: nothing was lowered for it"),
        counted(smaller, foot, "the bytes of the weights without quantization are not known"),
    )


def _weight_bytes(facts: Facts, arm: Arm, point: Point) -> float | None:
    """Of the largest program in the format that the arm's launches loaded."""
    lowered = facts.run.manifest.lowered.get(point.key)
    loaded = {str(result.options["format"]) for result in facts.results(arm, point) if "format" in result.options}
    if lowered is None or not loaded:
        return None
    found = [count for name, count in lowered.weight_bytes.items() if name.rpartition("/")[2] in loaded]
    return float(max(found)) if found else None


def _memory(facts: Facts, arm: Arm, point: Point, foot: Footnotes) -> Cell:
    estimate = facts.memory(arm, point, _PEAK)
    if estimate is None:
        return Cell(text=ABSENT, notes=(foot.mark(f"{arm.label}: {facts.reason(arm, point, _PEAK)}"),))
    return timed(estimate, foot)


SECTION = Section(name="quantization", tables={160: quantization_tables, 1110: layer_tables})
