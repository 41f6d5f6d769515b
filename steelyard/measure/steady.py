"""Whether and from where on the samples of one launch are steady, judged from the samples alone.

The samples are condensed to medians of at most about 80 equal batches, so that single outliers and
cycles shorter than two batches, which a median over the window averages out, do not count. The cut
minimises the squared standard error of the mean of what remains, over cuts in the first half (MSER,
White 1997). What remains is then checked for steps, drift and slow cycles. Everything is relative to
the median: a change of unit changes nothing.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from steelyard.core.result import Steady
from steelyard.core.turn_rule import first_calls

Floats = NDArray[np.float64]

FEWEST = 30
"""With fewer samples a launch cannot be judged by itself."""
STEP = 0.02
"""A lasting change of level by this share is a step."""
DRIFT = 0.01
"""The two halves of what remains may differ by this share."""
_BATCHES = 80
_SMALLEST_BATCH = 3
_SIGMAS = 4.0  # several dozen places are searched for steps, hence more than the usual 2 or 3
_OUTLIER_SIGMAS = 6.0  # how far off the leading samples must be to count as warm-up one by one


class Judgement(NamedTuple):
    """`cut` leading samples are warm-up; `steady` is the class.

    flat: steady from the start; warmed: steady after a slower beginning; slowed: lastingly slower
    than at first; cyclic: swings slowly between levels; none: unsteady otherwise; too_short: fewer
    than 30 samples. The cut is 0 except for `warmed`: an unsteady window is reported whole.
    """

    cut: int
    steady: Steady


def judge(samples: Sequence[float], turns: Sequence[int] = ()) -> Judgement:
    """Judge the samples of one launch, in time order. Raises ValueError for one that is not finite and positive.

    The first calls of `turns` are no part of what is judged; the cut counts them.
    """
    if turns:
        kept = settled(len(samples), turns)
        judged = judge([samples[index] for index in kept])
        return Judgement(place_of(judged.cut, kept), judged.steady)
    data = _checked(samples)
    if data.size < FEWEST:
        return Judgement(0, "too_short")
    data = data / np.median(data)
    size = max(_SMALLEST_BATCH, data.size // _BATCHES)
    batches = _batch_medians(data, size)
    start = _cut(batches)
    rest = batches[start:]
    found = _unsteady(rest)
    if found is not None:
        return Judgement(0, found)
    level = float(np.median(rest))
    if start > 0 and _differs(batches[:start], rest):
        if float(np.median(batches[:start])) < level:
            return Judgement(0, "slowed")
        cut = start * size
    else:
        cut = _leading_outliers(data)
    return Judgement(cut, "warmed" if cut else "flat")


def settled(count: int, turns: Sequence[int]) -> NDArray[np.intp]:
    """The indices of `count` samples without the first calls of turns."""
    return np.delete(np.arange(count), first_calls(turns, count))


def place_of(cut: int, kept: NDArray[np.intp]) -> int:
    """A cut found among the samples of the indices `kept`, as a cut of all samples."""
    return int(kept[cut]) if cut else 0


def aligned_cut(launches: Sequence[ArrayLike]) -> int:
    """The warm-up cut of launches that are each too short, from all of them aligned by call index.

    Each launch is divided by the median of its second half; the median over launches at each index is
    one curve with the launches' noise averaged out. The cut is the end of its leading part that lies
    above the second half by more than 2 % and by more than the second half's own scatter explains; at
    most half of the shortest launch. 0 with fewer than 2 samples each.
    """
    curves = [curve for samples in launches if (curve := _checked(samples)).size]
    length = min((curve.size for curve in curves), default=0)
    if length < 2:
        return 0
    half = length // 2
    curve = np.median([values[:length] / np.median(values[half:length]) for values in curves], axis=0)
    tail = curve[half:]
    level = float(np.median(tail))
    bound = level + max(STEP * level, _OUTLIER_SIGMAS / 2 * _scatter(tail))
    below = np.flatnonzero(curve[:half] <= bound)
    return int(below[0]) if below.size else half


def _checked(samples: ArrayLike) -> Floats:
    data = np.asarray(samples, dtype=np.float64)
    if data.ndim != 1 or not (np.isfinite(data) & (data > 0)).all():
        raise ValueError("samples are finite times above 0; a failed call has no sample")
    return data


def _batch_medians(data: Floats, size: int) -> Floats:
    """Medians of consecutive batches; the last up to `size` - 1 samples join no batch."""
    count = data.size // size
    return np.asarray(np.median(data[: count * size].reshape(count, size), axis=1))


def _cut(batches: Floats) -> int:
    """The cut in the first half that minimises sum((z - mean)^2) / m^2 over the m batches that remain."""
    lengths = np.arange(batches.size, 0, -1)
    sums = np.cumsum(batches[::-1])[::-1]
    squares = np.cumsum(batches[::-1] ** 2)[::-1]
    score = np.maximum(squares - sums**2 / lengths, 0.0) / lengths**2
    return int(np.argmin(score[: batches.size // 2 + 1]))


def _unsteady(rest: Floats) -> Steady | None:
    """The class of what remains after the cut if it is not steady, else None."""
    levels = _levels(rest)
    if _is_cyclic(rest):
        return "cyclic"
    middle = rest.size // 2
    early, late = float(np.median(rest[:middle])), float(np.median(rest[middle:]))
    noise = _long_run_sd(_without_trend(rest - levels))
    drifts = abs(late - early) > max(DRIFT, 3 * noise * math.sqrt(1 / middle + 1 / (rest.size - middle)))
    steps = float(np.ptp(levels)) > 0
    if not (drifts or steps):
        return None
    return "slowed" if levels[-1] - levels[0] > STEP or (drifts and late > early) else "none"


def _levels(rest: Floats) -> Floats:
    """A piecewise constant fit: splits at the most likely place as long as the two sides differ by a real step.

    Real: by more than 2 % and by more than 4 standard errors, with the autocorrelation of what is left
    after the split counted in. Each side has at least 3 batches.
    """
    fit = np.empty_like(rest)
    spans = [(0, rest.size)]
    while spans:
        begin, end = spans.pop()
        part = rest[begin:end]
        place = _best_split(part)
        if place is None:
            fit[begin:end] = np.median(part)
            continue
        left, right = part[:place], part[place:]
        jump = abs(float(np.median(left)) - float(np.median(right)))
        residual = np.concatenate([left - np.median(left), right - np.median(right)])
        error = _long_run_sd(residual) * math.sqrt(1 / left.size + 1 / right.size)
        if jump > max(STEP, _SIGMAS * error):
            spans += [(begin, begin + place), (begin + place, end)]
        else:
            fit[begin:end] = np.median(part)
    return fit


def _best_split(part: Floats) -> int | None:
    """The split that leaves the least sum of squares; None below 6 batches."""
    n = part.size
    if n < 6:
        return None
    sums = np.cumsum(part - part.mean())[:-1]
    sizes = np.arange(1, n)
    gain = sums**2 / (sizes * (n - sizes))
    return int(np.argmax(gain[2 : n - 3])) + 3


def _is_cyclic(rest: Floats) -> bool:
    """Whether the batches swing with a slow period: a trough and then a peak in the autocorrelation, of real size."""
    if rest.size < 12:
        return False
    size = float(np.quantile(rest, 0.9) - np.quantile(rest, 0.1))
    if size < STEP:
        return False
    centred = rest - rest.mean()
    spectrum = np.fft.rfft(centred, 2 * rest.size)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2)[: rest.size * 2 // 3]
    # unbiased, so that a long period does not fade away
    rho = covariance / covariance[0] * rest.size / (rest.size - np.arange(covariance.size))
    chance = 2.5 / math.sqrt(rest.size)  # what pure noise reaches somewhere among this many lags
    trough = int(np.argmin(rho[: rest.size // 2]))
    if trough < 2 or rho[trough] > -max(0.4, chance):
        return False
    return float(rho[trough + 1 :].max(initial=-1.0)) > max(0.5, chance)


def _differs(head: Floats, rest: Floats) -> bool:
    """Whether the beginning lies on another level than the rest, beyond 1 % and beyond its noise."""
    apart = abs(float(np.median(head)) - float(np.median(rest)))
    error = _long_run_sd(rest - np.median(rest)) * math.sqrt(1 / head.size + 1 / rest.size)
    return apart > max(DRIFT, _SIGMAS * error)


def _leading_outliers(data: Floats) -> int:
    """How many samples at the very beginning are each far slower than the second half."""
    tail = data[data.size // 2 :]
    bound = float(np.median(tail)) + max(STEP, _OUTLIER_SIGMAS * _scatter(tail))
    below = np.flatnonzero(data <= bound)
    return int(below[0]) if below.size else 0


def _long_run_sd(residual: Floats) -> float:
    """The standard deviation that counts for means of many batches: inflated by sqrt((1 + rho) / (1 - rho)).

    The autocorrelation of short residuals is biased downwards by about (1 + 3 rho) / n, which is added back.
    The last factor stands for the uncertainty of both with few batches.
    """
    n = residual.size
    power = float(residual @ residual)
    if n < 4 or power == 0:
        return math.sqrt(power / n)
    rho = float(residual[:-1] @ residual[1:]) / power
    rho = min(max(rho + (1 + 3 * rho) / n, 0.0), 0.9)
    return math.sqrt(power / n * (1 + rho) / (1 - rho)) * (1 + 5 / n)


def _without_trend(values: Floats) -> Floats:
    """The values less their straight line, so that a drift does not count as the noise it is held against."""
    time = np.arange(values.size) - (values.size - 1) / 2
    centred = values - values.mean()
    return np.asarray(centred - time * float(time @ centred) / float(time @ time))


def _scatter(data: Floats) -> float:
    """1.4826 MAD."""
    return 1.4826 * float(np.median(np.abs(data - np.median(data))))
