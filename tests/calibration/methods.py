"""What declares a difference at a nominal 5 %: the product's interval, and three common tests on pooled calls."""

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from steelyard.stats import few

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LEVEL = 0.05
RESAMPLES = 1000


def interval_excludes(log_ratios: Floats, shift: float) -> Bools:
    """Whether the product's 95 % interval of each row of paired log ratios, all moved by `shift`, excludes 0."""
    _, low, high = few.intervals(log_ratios)
    return (low + shift > 0) | (high + shift < 0)


def welch(baseline: Floats, candidate: Floats) -> Bools:
    """Welch's t-test on pooled calls, row by row."""
    return np.asarray(stats.ttest_ind(candidate, baseline, axis=1, equal_var=False).pvalue < LEVEL)


def mann_whitney(baseline: Floats, candidate: Floats) -> Bools:
    """The Mann-Whitney test on pooled calls, row by row, by its normal approximation; the values have no ties."""
    ours, theirs = candidate.shape[1], baseline.shape[1]
    order = np.argsort(np.concatenate([candidate, baseline], axis=1), axis=1)
    ranks = np.arange(1, ours + theirs + 1)
    u = ((order < ours) * ranks).sum(axis=1) - ours * (ours + 1) / 2
    mean, sd = ours * theirs / 2, np.sqrt(ours * theirs * (ours + theirs + 1) / 12)
    return np.asarray(2 * special.ndtr(-(np.abs(u - mean) - 0.5) / sd) < LEVEL)


def bootstrap_limits(baseline: Floats, candidate: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """The percentile bootstrap of the ratio of means over pooled calls, row by row: its two 95 % limits.

    All rows share the resamples, which are drawn as counts: each row's interval is an ordinary one, and
    resampling is a product of matrices.
    """

    def means(values: Floats) -> Floats:
        calls = values.shape[1]
        counts = rng.multinomial(calls, np.full(calls, 1 / calls), RESAMPLES)
        return np.asarray(values @ counts.T.astype(np.float64) / calls)

    low, high = np.quantile(means(candidate) / means(baseline), [LEVEL / 2, 1 - LEVEL / 2], axis=1)
    return low, high
