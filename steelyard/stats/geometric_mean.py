"""One number for many cases: the geometric mean of their ratios, never over different sets of cases."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from steelyard.core.comparison import Estimate, Interval
from steelyard.core.errors import SteelyardError


def geometric_mean(
    log_ratios: Mapping[str, Sequence[float]],
    *,
    cases: Sequence[str],
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """The geometric mean over `cases` of the ratio, from each case's log ratios by round.

    Each case counts once, by the mean of its log ratios. The interval is a percentile bootstrap that
    draws cases and, apart from them, rounds within each case, so that it speaks of cases like these and
    rounds like these; it is None below 2 cases or 5 rounds, where such an interval is far too narrow.
    `n` is the number of cases. Raises SteelyardError where the log ratios are not exactly of `cases`:
    two means over different cases must never be set side by side.
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
    rounds = [np.asarray(log_ratios[name], dtype=np.float64) for name in dict.fromkeys(cases)]
    value = math.exp(float(np.mean([values.mean() for values in rounds])))
    fewest = min(values.size for values in rounds)
    if len(rounds) < 2 or fewest < 5:
        reason = f"{len(rounds)} cases of at least {fewest} rounds support no interval; 2 of 5 would"
        return Estimate(value=value, interval=None, n=len(rounds), reason=reason)
    rng = np.random.default_rng(seed)
    means = np.stack(
        [values[rng.integers(0, values.size, (resamples, values.size))].mean(axis=1) for values in rounds], axis=1
    )
    drawn = rng.integers(0, len(rounds), (resamples, len(rounds)))
    scores = np.take_along_axis(means, drawn, axis=1).mean(axis=1)
    low, high = np.exp(np.quantile(scores, [(1 - confidence) / 2, (1 + confidence) / 2]))
    return Estimate(
        value=value, interval=Interval(low=float(low), high=float(high), confidence=confidence), n=len(rounds)
    )
