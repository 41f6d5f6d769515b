"""The ratio of two launches that took turns, on a machine that both share: which estimator, and that intervals hold.

Two levels of noise: each launch has its own (the models of `tests.calibration.noise`), and the machine has its own in
every stretch of time. Launches that take turns meet it in neighbouring stretches, those one after the other far apart.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from steelyard.analysis.sides import Launched
from steelyard.analysis.turn_ratios import log_ratio
from steelyard.core.result import Measurement, Place
from steelyard.stats.hodges_lehmann import intervals
from tests.calibration.noise import MODELS, Floats, _autoregression

TURNS, CALLS = 8, 10
SETUP = 40
"""Stretches between the windows of two launches one after the other, in which the second one starts and compiles."""
ROUNDS, RUNS = 8, 120


def quiet(rng: np.random.Generator, rows: int, stretches: int) -> Floats:
    return np.zeros((rows, stretches))


def wandering(rng: np.random.Generator, rows: int, stretches: int) -> Floats:
    """An autoregression, 0.97 from stretch to stretch, 10 %."""
    return _autoregression(rng, (rows, stretches), rho=0.97, sd=0.10)


def bursts(rng: np.random.Generator, rows: int, stretches: int) -> Floats:
    """One stretch in twelve is 40 % slower."""
    return np.where(rng.random((rows, stretches)) < 1 / 12, math.log(1.4), 0.0)


def two_states(rng: np.random.Generator, rows: int, stretches: int) -> Floats:
    """A background load that comes (1 in 25 stretches) and goes (1 in 10): 25 % slower."""
    states = np.zeros((rows, stretches), dtype=bool)
    now = rng.random(rows) < 0.3
    for stretch in range(stretches):
        now = now ^ (rng.random(rows) < np.where(now, 0.1, 0.04))
        states[:, stretch] = now
    return np.where(states, math.log(1.25), 0.0)


MACHINES: Mapping[str, Callable[[np.random.Generator, int, int], Floats]] = {
    "quiet": quiet,
    "wandering": wandering,
    "bursts": bursts,
    "two states": two_states,
}


def launch(times_s: Floats, begun_s: float) -> Launched:
    """A launch of `times_s` (turns, calls)."""
    samples = times_s.ravel()
    turns = tuple(range(0, samples.size, CALLS))
    starts = np.repeat(np.arange(TURNS), CALLS) * 1.0
    entry = Measurement(
        metric="latency_s",
        layer="bound_wall",
        samples=samples,  # type: ignore[arg-type]
        starts_s=starts.tolist(),
        cut=0,
        steady="flat",
        stop="time",
        turns=turns,
        begun_s=begun_s,
    )
    return Launched(Place(1), float(np.median(np.delete(samples, turns))), 0, entry, samples)


def simulated(machine: str, launches: str, rows: int, seed: int) -> tuple[Floats, Floats, Floats]:
    """Log ratios of `rows` rounds of equal programs: one after the other, and in turns by the plain ratio of medians
    and by the product's estimator."""
    rng = np.random.default_rng(seed)
    own = [MODELS[launches].draw(rng, rows, 2, TURNS * CALLS).reshape(rows, 2, TURNS, CALLS) for _ in range(2)]
    shared = MACHINES[machine](rng, rows, 2 * TURNS + SETUP)
    apart = np.stack([shared[:, :TURNS], shared[:, TURNS + SETUP :]], axis=1)[..., None] + own[0]
    shared = MACHINES[machine](rng, rows, 2 * TURNS)
    first = rng.random((rows, TURNS)) < 0.5
    in_turns = [np.where(first == who, shared[:, ::2], shared[:, 1::2]) for who in (True, False)]
    together = np.stack(in_turns, axis=1)[..., None] + own[1]
    plain = [np.median(values.reshape(rows, 2, -1), axis=2) for values in (apart, together)]
    found = [log_ratio(launch(np.exp(one), 0.0), launch(np.exp(other), 0.5)) for one, other in together]
    return plain[0][:, 1] - plain[0][:, 0], plain[1][:, 1] - plain[1][:, 0], np.asarray(found)


@pytest.mark.statistical
@pytest.mark.parametrize("launches", ["process effect", "heavy tail"])
@pytest.mark.parametrize("machine", MACHINES)
def test_intervals_hold_and_turns_take_out_what_the_machine_does(machine: str, launches: str) -> None:
    rows = RUNS * ROUNDS
    apart, plain, found = simulated(machine, launches, rows, seed=5)
    _, low, high = intervals(found.reshape(-1, ROUNDS))
    covered = float(((low <= 0) & (high >= 0)).mean())
    assert covered >= 0.95 - 4 * math.sqrt(0.05 * 0.95 / RUNS)
    assert found.std() <= 1.1 * plain.std(), "never much worse than the ratio of the medians of the windows"
    if machine in ("wandering", "two states"):
        assert found.std() <= 0.5 * apart.std()
    if machine == "two states":
        assert found.std() <= 0.85 * plain.std(), "a state that changes within the window shifts whole medians"


@pytest.mark.statistical
def test_turns_taken_for_launches_would_find_differences_where_there_are_none() -> None:
    """Why the launch stays the unit: its own effect is in all of its turns."""
    rng = np.random.default_rng(6)
    own = MODELS["process effect"].draw(rng, 400, 2, TURNS * CALLS).reshape(400, 2, TURNS, CALLS)
    by_turn = np.median(own[:, 1], axis=2) - np.median(own[:, 0], axis=2)
    _, low, high = intervals(by_turn)
    assert float(((low > 0) | (high < 0)).mean()) > 0.5
