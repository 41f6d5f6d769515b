"""Noise of which the truth is known: what disturbs a latency, call by call and launch by launch.

A model gives the logarithm of what a call's time is multiplied by, for launches in the order of time.
Which arm runs in which place is decided afterwards, so that one and the same noise is seen by every
method and every order of launches.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int, int, int], Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """`draw(rng, repetitions, launches, calls)` gives log factors of that shape, launches in the order of time."""

    meaning: str
    draw: Draw


def _lognormal(rng: np.random.Generator, repetitions: int, launches: int, calls: int) -> Floats:
    return rng.normal(0, 0.05, (repetitions, launches, calls))


def _bimodal(rng: np.random.Generator, repetitions: int, launches: int, calls: int) -> Floats:
    slow_launch = rng.random((repetitions, launches, 1)) < 0.3
    slow_call = rng.random((repetitions, launches, calls)) < 0.2
    noise = rng.normal(0, 0.02, (repetitions, launches, calls))
    return noise + np.where(slow_launch, np.log(1.06), 0.0) + np.where(slow_call, np.log(1.2), 0.0)


def _heavy_tail(rng: np.random.Generator, repetitions: int, launches: int, calls: int) -> Floats:
    between = 0.01 * rng.standard_t(3, (repetitions, launches, 1))
    within = 0.02 * rng.standard_t(3, (repetitions, launches, calls))
    spikes = rng.random((repetitions, launches, calls)) < 0.03
    return between + within + np.where(spikes, np.log1p(rng.pareto(1.5, (repetitions, launches, calls))), 0.0)


def _autocorrelated(rng: np.random.Generator, repetitions: int, launches: int, calls: int) -> Floats:
    return _autoregression(rng, (repetitions, launches, calls), rho=0.9, sd=0.05)


def _process_effect(rng: np.random.Generator, repetitions: int, launches: int, calls: int) -> Floats:
    between = rng.normal(0, 0.02, (repetitions, launches, 1))
    return between + rng.normal(0, 0.03, (repetitions, launches, calls))


def _drift(rng: np.random.Generator, repetitions: int, launches: int, calls: int) -> Floats:
    direction = rng.choice([-1.0, 1.0], (repetitions, 1, 1))
    drift = direction * 0.005 * np.arange(launches)[None, :, None]
    between = rng.normal(0, 0.01, (repetitions, launches, 1))
    return drift + between + rng.normal(0, 0.03, (repetitions, launches, calls))


def _everything(rng: np.random.Generator, repetitions: int, launches: int, calls: int) -> Floats:
    machine = _autoregression(rng, (repetitions, launches), rho=0.8, sd=0.02)[:, :, None]
    return (
        machine
        + _drift(rng, repetitions, launches, calls)
        + _heavy_tail(rng, repetitions, launches, calls)
        + _autoregression(rng, (repetitions, launches, calls), rho=0.6, sd=0.03)
    )


MODELS: Mapping[str, Model] = {
    "lognormal": Model(
        meaning="calls independent, 5 % lognormal; launches do not differ: the one model in which pooling is right",
        draw=_lognormal,
    ),
    "bimodal": Model(
        meaning="3 launches in 10 are 6 % slower as a whole, 1 call in 5 is 20 % slower; 2 % lognormal besides",
        draw=_bimodal,
    ),
    "heavy tail": Model(
        meaning="launches 1 % and calls 2 % times Student's t with 3 degrees of freedom; 3 % of calls spike",
        draw=_heavy_tail,
    ),
    "autocorrelated": Model(
        meaning="calls of a launch are an autoregression (0.9 from call to call, 5 %); launches do not differ besides",
        draw=_autocorrelated,
    ),
    "process effect": Model(meaning="each launch is off by its own 2 % (lognormal); calls 3 %", draw=_process_effect),
    "drift": Model(
        meaning="the machine gets steadily slower or faster, 0.5 % from launch to launch; launches 1 %, calls 3 %",
        draw=_drift,
    ),
    "all at once": Model(
        meaning="drift, heavy tail, autocorrelated calls (0.6) and a machine that wanders from launch to launch "
        "(autoregression 0.8, 2 %)",
        draw=_everything,
    ),
}


def _autoregression(rng: np.random.Generator, shape: tuple[int, ...], *, rho: float, sd: float) -> Floats:
    """A stationary first-order autoregression along the last axis with standard deviation `sd`."""
    values = rng.normal(0, sd, shape)
    fresh = np.sqrt(1 - rho**2)
    for index in range(1, shape[-1]):
        values[..., index] = rho * values[..., index - 1] + fresh * values[..., index]
    return values
