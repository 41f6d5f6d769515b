"""The entries that lowering makes of points, one a step, with what they are expected to cost. Imports no framework."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from steelyard.core.hashing import stable_hash
from steelyard.core.workload import Point, Program, Weights
from steelyard.lowering.cache import Cache
from steelyard.lowering.cached import Kind
from steelyard.lowering.format import EAGER_FORMAT, format_of, made_with, quantization_of
from steelyard.lowering.references import point_key
from steelyard.lowering.weights import weights_key
from steelyard.lowering.written import Written, written_by
from steelyard.measure.driver import driver_of

WEIGHTS, REFERENCES = "weights", "references"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One entry of the cache: `kind` and `key` are the cache's own.

    `makes` is `weights`, `references` or the format. `gigabytes` are those of the weights, or 0 where the suite does
    not say; `calls` is how often a program runs for an answer whose reference is computed. `program` is the key of the
    one that a format is of.
    """

    kind: Kind
    key: str
    label: str
    makes: str
    gigabytes: float
    calls: int = 1
    program: str = ""

    @property
    def name(self) -> str:
        """The same in every process that comes upon it, and as no other is called."""
        return f"{self.kind}/{self.key}"


def formats_of(names: Sequence[str]) -> tuple[str, ...]:
    """The formats to be made, in the order in which one process makes them.

    Those last whose converters change the process.
    """
    wanted = {name for name in names if name != EAGER_FORMAT}
    return tuple(sorted(wanted, key=lambda name: (format_of(name)[0].leaves_traces, name)))


def steps_of(points: Sequence[Point], formats: Sequence[str], *, platform: str, pool: int) -> tuple[Step, ...]:
    """Every step of these points once, with `pool` input sets a point; `platform` is the device kind."""
    found: dict[str, Step] = {}
    for step in _steps(points, formats_of(formats), platform, pool):
        found.setdefault(step.name, step)
    return tuple(found.values())


def missing(steps: Sequence[Step], cache: Cache) -> tuple[Step, ...]:
    """Those that the cache does not hold. Raises Denied."""
    return tuple(step for step in steps if cache.find(step.kind, step.key) is None)


def weights_step(point: Point, weights: Weights) -> Step:
    """One of the sets of weights of a point; several are taken to be equally large."""
    model = str(point.axes.get("model", point.suite))
    if len(point.weights) > 1:
        model += f" ({', '.join(role for role, each in point.programs.items() if each.weights.key == weights.key)})"
    return Step(
        kind="weights",
        key=weights_key(weights, written_by(point, (weights.source,))),
        label=f"weights of {model}",
        makes=WEIGHTS,
        gigabytes=_gigabytes(point) / len(point.weights),
    )


def references_step(point: Point, pool: int, written: Written) -> Step:
    """A point's inputs and references. `written` is by all sources of the point."""
    return Step(
        kind="points",
        key=point_key(point, pool, written),
        label=f"inputs and references of {point.title}",
        makes=REFERENCES,
        gigabytes=_gigabytes(point),
        calls=_calls(point),
    )


def calibrated(form: str) -> bool:
    """Whether a format is made of a program and of the inputs of a point."""
    quantized = quantization_of(form)
    return quantized is not None and quantized[0].calibrated


def format_step(
    point: Point, program: Program, form: str, platform: str, *, pool: int, weights_key: str, written: Written
) -> Step:
    """A program of the point in one format. `written` is by the program's source.

    The key of the weights counts, too: it changes with the versions that made them, and the artifact links them. So
    does that of the `pool` input sets where the format is calibrated on them.
    """
    made = made_with(form, platform) | written.made_with
    if calibrated(form):
        made["calibrated on"] = point_key(point, pool, written_by(point, point.sources))
    key = stable_hash([program.key, weights_key, made], 24)
    return Step(
        kind="programs",
        key=f"{key}/{form}",
        label=f"{program.name} as {form}",
        makes=form,
        gigabytes=_gigabytes(point),
        program=program.key,
    )


def _steps(points: Sequence[Point], formats: Sequence[str], platform: str, pool: int) -> Iterator[Step]:
    for point in points:
        weights = {key: weights_step(point, each) for key, each in point.weights.items()}
        yield from weights.values()
        yield references_step(point, pool, written_by(point, point.sources))
        for program in point.programs.values():
            written = written_by(point, (program.source,))
            for form in formats:
                key = weights[program.weights.key].key
                yield format_step(point, program, form, platform, pool=pool, weights_key=key, written=written)


def _gigabytes(point: Point) -> float:
    return (point.work.weight_bytes or 0) / 1e9


def _calls(point: Point) -> int:
    return sum(driver_of(point).runs(point).values()) or 1
