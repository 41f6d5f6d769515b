"""One number for many cases: the geometric mean of their ratios, never over different sets of cases."""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from steelyard.core.comparison import Estimate, Interval
from steelyard.core.errors import SteelyardError
from steelyard.stats.hodges_lehmann import one_samples
from steelyard.stats.student import quantile

Floats = NDArray[np.float64]

FEWEST_CASES = 3
FEWEST_ROUNDS = 5


def geometric_mean(
    log_ratios: Mapping[str, Mapping[int, float]],
    *,
    cases: Sequence[str],
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """The geometric mean over `cases` of the ratio, from each case's log ratios by round.

    Each case counts once, by the Hodges-Lehmann estimate of its log ratios, so that the mean is that of the
    ratios which stand in the tables. The interval speaks of cases like these and of
    rounds like these: exp(mean +/- t(cases - 1) x sqrt(cases / (cases - 1)) x standard deviation of the mean
    under resampling), where every resample draws cases and, apart from them, rounds. A round is drawn for
    all cases alike, as its launches share what disturbs them. Resampled are means, which cost little and vary
    no less than the estimate unless the noise is normal. (The percentiles of so few resampled cases would
    give an interval far too narrow.) None, with the reason, below 3 cases or 5 rounds. `n` is the
    number of cases. The same data and seed give the same interval.

    Raises SteelyardError where the log ratios are not exactly of `cases`: two means over different cases
    must never be set side by side.
    """
    missing = sorted(set(cases) - set(log_ratios)) + sorted(name for name in cases if not log_ratios.get(name))
    extra = sorted(set(log_ratios) - set(cases))
    if missing or extra or not cases:
        told = [f"without a ratio: {', '.join(dict.fromkeys(missing))}"] if missing else []
        told += [f"not asked for: {', '.join(extra)}"] if extra else []
        told += [] if cases else ["no case at all"]
        raise SteelyardError(
            f"the geometric mean is taken over one fixed set of cases ({'; '.join(told)}); "
            "compare only the cases that every backend completed, and name the others"
        )
    names = list(dict.fromkeys(cases))
    center = float(np.mean([found.value for found in one_samples([list(log_ratios[n].values()) for n in names])]))
    fewest = min(len(log_ratios[name]) for name in names)
    if len(names) < FEWEST_CASES or fewest < FEWEST_ROUNDS:
        counted = f"{len(names)} case{'' if len(names) == 1 else 's'} of at least {fewest} rounds"
        reason = f"{counted} support no interval of a mean over cases; {FEWEST_CASES} of {FEWEST_ROUNDS} would"
        return Estimate(value=math.exp(center), interval=None, n=len(names), reason=reason)
    resampled = _resampled([log_ratios[name] for name in names], resamples, seed)
    error = math.sqrt(len(names) / (len(names) - 1)) * float(resampled.std(ddof=1))
    reach = quantile((1 + confidence) / 2, len(names) - 1) * error
    interval = Interval(low=math.exp(center - reach), high=math.exp(center + reach), confidence=confidence)
    return Estimate(value=math.exp(center), interval=interval, n=len(names))


def _resampled(cases: Sequence[Mapping[int, float]], resamples: int, seed: int) -> Floats:
    """The mean over resampled cases of their means over resampled rounds, `resamples` times.

    How often each round and each case was drawn are counts, so that drawing is a product of matrices. A
    case of which no round was drawn keeps its own mean.
    """
    rounds = {number: place for place, number in enumerate(sorted(set().union(*cases)))}
    values, known = np.zeros((len(rounds), len(cases))), np.zeros((len(rounds), len(cases)))
    for column, case in enumerate(cases):
        rows = [rounds[number] for number in case]
        values[rows, column], known[rows, column] = list(case.values()), 1.0
    drawn, weights = _draws(len(rounds), len(cases), resamples, seed)
    # not `@`: what BLAS gives depends on the processor, and its threads cost more than so small a product
    counts, sums = np.einsum("ij,jk->ik", drawn, known), np.einsum("ij,jk->ik", drawn, values)
    by_case = np.where(counts > 0, sums / np.maximum(counts, 1), values.sum(axis=0) / known.sum(axis=0))
    return np.asarray((by_case * weights).sum(axis=1) / len(cases))


@lru_cache(maxsize=4)
def _draws(rounds: int, cases: int, resamples: int, seed: int) -> tuple[Floats, Floats]:
    """How often each round and each case is drawn, for each resample: the same for every arm of a run."""
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(rounds, np.full(rounds, 1 / rounds), resamples).astype(np.float64)
    return drawn, rng.multinomial(cases, np.full(cases, 1 / cases), resamples).astype(np.float64)
