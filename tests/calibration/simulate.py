"""The stage `simulate`: comparisons of which the truth is known, judged by the product and by common methods.

One repetition is a run of a baseline, a candidate and the control arm: `3 x rounds` launches of `CALLS`
calls in a row. The product's part is what `steelyard.analysis` does with stored samples: the median of
each launch, log ratios paired by round, the noise floor from the control arm, `decide`. The order of the
arms is that of the engine. The blocked order puts the same launches, in the same time, to the baseline
first, then the candidate, then the control.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from steelyard import wire
from steelyard.analysis.verdict import MARGIN, Question, decide
from steelyard.analysis.within import floor_of
from steelyard.core.comparison import Verdict
from steelyard.engine.rounds import balanced_orders
from steelyard.stats import few, signed_rank
from steelyard.stats.few import paired
from tests.calibration import methods
from tests.calibration.files import write
from tests.calibration.noise import MODELS, Model

Floats = NDArray[np.float64]

FILE = "simulated.json"
REPETITIONS = 4000
ROUNDS = (4, 6, 8, 12, 20)
CALLS = 40
EFFECTS = (0.0, 0.01, 0.02, 0.05, 0.10)
METHODS = ("paired rounds", "blocked order", "pooled Welch", "pooled Mann-Whitney", "pooled bootstrap")
_ARMS = ("baseline", "candidate", "control")
_CHUNK = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What came of one model at one number of rounds. Everything is a count of repetitions.

    `covered`: the product's 95 % interval holds the true ratio; `attained` is what the discrete exact
    distribution promises. `declared[method][e]`: a difference was declared at the effect `effects[e]`.
    `verdicts[order][e]`: verdicts by name, with paired rounds and with the blocked order.
    `floor` and `half_width` are medians over the repetitions, as fractions.
    """

    model: str
    rounds: int
    repetitions: int
    seed: int
    covered: int
    attained: float
    declared: dict[str, list[int]]
    verdicts: dict[str, list[dict[str, int]]]
    floor: float
    half_width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """The content of simulated.json."""

    effects: tuple[float, ...]
    calls: int
    margin: float
    settings: tuple[Counts, ...]
    versions: dict[str, str]


def run(folder: Path) -> None:
    """Simulate what is not in the file yet; each model and number of rounds is written as soon as it is there."""
    target = folder / FILE
    versions = {"python": ".".join(map(str, sys.version_info[:3])), "numpy": np.__version__}
    settings: list[Counts] = []
    if target.exists():
        before = wire.read(target, Simulated)
        if (before.effects, before.calls, before.margin) == (EFFECTS, CALLS, MARGIN):
            settings = [
                found for found in before.settings if found.repetitions == REPETITIONS and found.model in MODELS
            ]
    known = {(found.model, found.rounds) for found in settings}
    for number, (name, model) in enumerate(MODELS.items()):
        for rounds in ROUNDS:
            if (name, rounds) in known:
                continue
            print(f"simulate: {name}, {rounds} rounds", file=sys.stderr, flush=True)
            settings.append(simulate(name, model, rounds, REPETITIONS, seed=1000 * number + rounds))
            order = {key: place for place, key in enumerate(MODELS)}
            settings.sort(key=lambda found: (order[found.model], found.rounds))
            found = Simulated(effects=EFFECTS, calls=CALLS, margin=MARGIN, settings=tuple(settings), versions=versions)
            write(target, found)


def simulate(name: str, model: Model, rounds: int, repetitions: int, seed: int) -> Counts:
    """All repetitions of one model at one number of rounds."""
    covered = 0
    declared = {method: np.zeros(len(EFFECTS), dtype=np.int64) for method in METHODS}
    verdicts: dict[str, list[Counter[str]]] = {order: [Counter() for _ in EFFECTS] for order in METHODS[:2]}
    floors: list[float] = []
    widths: list[float] = []
    for chunk in range(0, repetitions, _CHUNK):
        size = min(_CHUNK, repetitions - chunk)
        rng = np.random.default_rng([seed, chunk])
        noise = model.draw(rng, size, len(_ARMS) * rounds, CALLS)
        medians = np.log(np.median(np.exp(noise), axis=2))
        for order, places in (
            ("paired rounds", rounds_order(rounds, range(seed + chunk, seed + chunk + size))),
            ("blocked order", np.broadcast_to(blocked_order(rounds), (size, rounds, len(_ARMS)))),
        ):
            baseline, candidate, control = (
                np.take_along_axis(medians, places[:, :, arm], axis=1) for arm in range(len(_ARMS))
            )
            ratios = candidate - baseline
            limits = [floor_of(row) for row in control - baseline]
            for index, effect in enumerate(EFFECTS):
                shift = float(np.log1p(effect))
                declared[order][index] += int(methods.interval_excludes(ratios, shift).sum())
                verdicts[order][index].update(
                    verdict(row + shift, floor) for row, floor in zip(ratios, limits, strict=True)
                )
            if order == "paired rounds":
                _, low, high = few.intervals(ratios)
                covered += int(((low <= 0) & (high >= 0)).sum())
                floors += [floor for floor in limits if floor is not None]
                widths += list((high - low) / 2)
                _pooled(noise, places, rng, declared)
    return Counts(
        model=name,
        rounds=rounds,
        repetitions=repetitions,
        seed=seed,
        covered=covered,
        attained=_attained(rounds),
        declared={method: counts.tolist() for method, counts in declared.items()},
        verdicts={order: [dict(sorted(found.items())) for found in counts] for order, counts in verdicts.items()},
        floor=float(np.median(floors)),
        half_width=float(np.median(widths)),
    )


def _attained(rounds: int) -> float:
    """What the rule for so many rounds promises: the ranks are discrete, and promise somewhat more than 95 %."""
    critical = signed_rank.critical(rounds, 0.95) if rounds >= few.RANKS_FROM else None
    return 0.95 if critical is None else signed_rank.attained(rounds, critical)


def verdict(log_ratios: Sequence[float] | Floats, floor: float | None) -> Verdict:
    """The product's verdict on one comparison that is a primary family by itself."""
    question = Question(location=paired(log_ratios), floor=floor, p_value=None)
    (answer,) = decide([question], "primary")
    return answer.verdict


def rounds_order(rounds: int, seeds: Sequence[int]) -> NDArray[np.intp]:
    """The place in time of each arm's launch in the engine's order: shape (seeds, rounds, arms)."""
    places = np.empty((len(seeds), rounds, len(_ARMS)), dtype=np.intp)
    for row, seed in enumerate(seeds):
        for number, order in enumerate(islice(balanced_orders(range(len(_ARMS)), seed), rounds)):
            for position, arm in enumerate(order):
                places[row, number, arm] = number * len(_ARMS) + position
    return places


def blocked_order(rounds: int) -> NDArray[np.intp]:
    """All launches of the baseline first, then the candidate's, then the control's: shape (rounds, arms)."""
    return np.arange(len(_ARMS) * rounds).reshape(len(_ARMS), rounds).T


def _pooled(
    noise: Floats, places: NDArray[np.intp], rng: np.random.Generator, declared: dict[str, NDArray[np.int64]]
) -> None:
    """Count what the tests on pooled calls declare; a slowdown multiplies the candidate's times."""
    rows = np.arange(len(noise))[:, None]
    baseline, candidate = (np.exp(noise[rows, places[:, :, arm]]).reshape(len(noise), -1) for arm in (0, 1))
    low, high = methods.bootstrap_limits(baseline, candidate, rng)
    for index, effect in enumerate(EFFECTS):
        slowed = candidate * (1 + effect)
        declared["pooled Welch"][index] += int(methods.welch(baseline, slowed).sum())
        declared["pooled Mann-Whitney"][index] += int(methods.mann_whitney(baseline, slowed).sum())
        outside = (low * (1 + effect) > 1) | (high * (1 + effect) < 1)
        declared["pooled bootstrap"][index] += int(outside.sum())
