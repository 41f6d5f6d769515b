"""How many rounds a question needs, which effect a run can find, and how to share time between launches and calls."""

import math
from dataclasses import dataclass
from statistics import NormalDist

from steelyard.stats import signed_rank
from steelyard.stats.few import FEWEST, RANKS_FROM, smallest_p
from steelyard.stats.student import quantile

MINIMUM_ROUNDS = RANKS_FROM
"""What a run plans for, unless it is told otherwise or the time ends it."""
MOST_ROUNDS = 10_000
ENOUGH_RUNS = 10
# The signed-rank test is as good on n normal values as the t-test on 3/pi n (Hodges and Lehmann 1956).
_EFFICIENCY = 3 / math.pi


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierNoise:
    """The largest spread between rounds that the control arm had in so many earlier runs."""

    spread: float
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """The root mean square of the spreads of so many candidates that were compared with one baseline."""

    spread: float
    arms: int


def rounds_to_fire(family: int, alpha: float = 0.05) -> int:
    """The smallest number of rounds from which on a family of this size can give a verdict, however many more come.

    Holm's first step needs p <= alpha / family; see `smallest_p`.
    """
    if family < 1:
        raise ValueError("a family has at least one member")
    n = RANKS_FROM
    while smallest_p(n) > alpha / family * (1 + 1e-9):
        n += 1
    return FEWEST if n == RANKS_FROM else n


def half_width(spread: float, rounds: int, confidence: float = 0.95) -> float | None:
    """The expected half-width of the interval of `rounds` paired log ratios with standard deviation `spread`.

    Below 8 rounds Student's, t(n - 1) x c4(n) x spread / sqrt(n), with c4(n) the mean of a sample's standard deviation
    in units of the true one, sqrt(2 / (n - 1)) x Gamma(n / 2) / Gamma((n - 1) / 2); from 8 on that of the ranks,
    t(n - 1, attained confidence) x spread / sqrt(3/pi x n), for normal data: the confidence attained by
    the exact interval is at least the one asked for. Where the interval is the whole range (k = 0), it is
    the expected extreme of n normal values (Blom 1958). None where so few rounds give no interval.
    """
    if rounds < FEWEST:
        return None
    if rounds < RANKS_FROM:
        return quantile((1 + confidence) / 2, rounds - 1) * _seen(rounds) * spread / math.sqrt(rounds)
    k = signed_rank.critical(rounds, confidence)
    if k is None:
        return None
    if k == 0:
        return NormalDist().inv_cdf((rounds - 0.375) / (rounds + 0.25)) * spread
    level = signed_rank.attained(rounds, k)
    return quantile((1 + level) / 2, rounds - 1) * _standard_error(spread, rounds)


def rounds_needed(spread: float, target: float = 0.02, confidence: float = 0.95) -> int | None:
    """The smallest number of rounds, at least 4, whose expected half-width is within the target.

    None where more than 10,000 would be needed.
    """
    if not (spread >= 0 and target > 0):
        raise ValueError("the spread is not negative and the target is above 0")
    for rounds in range(FEWEST, 101):
        width = half_width(spread, rounds, confidence)
        if width is not None and width <= target:
            return rounds
    needed = math.ceil((NormalDist().inv_cdf((1 + confidence) / 2) * spread / target) ** 2 / _EFFICIENCY)
    return max(needed, 101) if needed <= MOST_ROUNDS else None


def minimum_detectable_effect(
    spread: float,
    rounds: int,
    *,
    threshold: float = 0.02,
    family: int = 1,
    alpha: float = 0.05,
    power: float = 0.9,
) -> float | None:
    """The slowdown (0.05 is 5 %) that is called `slower` in `power` of all runs; None where no verdict can be given.

    The whole interval must lie beyond the threshold, so on the log scale
    log(1 + threshold) + half-width + t(n - 1, power) x standard error, with the interval at Holm's first
    level 1 - alpha / family. Where that is the whole range, every single log ratio must lie beyond the
    threshold: log(1 + threshold) + Phi^-1(power^(1/n)) x spread. Below 8 rounds the width of the interval is uncertain
    itself, and the last term is Phi^-1(power) x sqrt(1 + t^2 (1 - c4^2)) x standard error. `threshold` is the larger of
    margin and noise floor. For normal log ratios; simulated, the power is 0.82 to 0.91 where 0.9 is asked for.
    """
    confidence = 1 - alpha / family
    width = half_width(spread, rounds, confidence)
    if width is None:
        return None
    if rounds < RANKS_FROM:
        uncertain = quantile((1 + confidence) / 2, rounds - 1) ** 2 * (1 - _seen(rounds) ** 2)
        reach = width + NormalDist().inv_cdf(power) * math.sqrt(1 + uncertain) * _standard_error(spread, rounds)
    elif signed_rank.critical(rounds, confidence) == 0:
        reach = NormalDist().inv_cdf(power ** (1 / rounds)) * spread
    else:
        reach = width + quantile(power, rounds - 1) * _standard_error(spread, rounds)
    return math.expm1(math.log1p(threshold) + reach)


def promised_effect(
    spread: float,
    control: float | None,
    *,
    pairs: int,
    control_pairs: int,
    rounds: int,
    margin: float = 0.02,
    family: int = 1,
    seen: EarlierNoise | None = None,
    pooled: Pooled | None = None,
) -> float | None:
    """The slowdown that a run of `rounds` is promised to find in 9 of 10 runs, after a pilot.

    That of `minimum_detectable_effect` at the spread to reckon with; the noise floor to expect is the half-width of
    the control arm's interval, likewise. `spread` and `control` are what the pilot saw in so many pairs. None where
    either cannot be known: without a control arm no verdict is given.

    The spread to reckon with is the 90 % upper limit. Simulated with pilots of 3 rounds the effect is found in 0.96 to
    0.98 of runs for normal log ratios, in 0.89 to 0.96 for heavy tails and bursts; with both spreads as the pilot saw
    them in about one half. Where the spread of all candidates together is known (`pooled`), a candidate's limit is that
    of the root mean square of it and its own, as sure as the pooled one is: with four of them the promise is smaller by
    a quarter, and kept in 0.98 of runs for normal log ratios, if their true spreads differ (by 1.4 at one standard
    deviation) too, in 0.93 for heavy tails and 0.91 for bursts. The control arm is none of them: two launches of one
    program differ by less than those of two programs. All of these are noise that stays as it is.
    Where it comes and goes earlier runs say more: no spread is taken to be smaller than the largest `seen` in them, and
    where they are ten, that or what the pilot saw takes the place of the limit, for if runs are alike the next one
    exceeds the largest of ten in 1 of 11.
    """
    if control is None:
        return None
    widest = _to_reckon_with(control, control_pairs, seen, None)
    reach = _to_reckon_with(spread, pairs, seen, pooled)
    if widest is None or reach is None:
        return None
    floor = half_width(widest, rounds)
    threshold = max(margin, 0.0 if floor is None else math.expm1(floor))
    return minimum_detectable_effect(reach, rounds, threshold=threshold, family=family)


def _to_reckon_with(spread: float, pairs: int, seen: EarlierNoise | None, pooled: Pooled | None) -> float | None:
    if pairs < 2:
        return None
    if seen is not None and seen.runs >= ENOUGH_RUNS:
        return max(spread, seen.spread)
    if pooled is None:
        upper = spread_upper(spread, pairs)
    else:
        upper = spread_upper(math.sqrt((spread**2 + pooled.spread**2) / 2), pairs, arms=pooled.arms)
    return upper if upper is None or seen is None else max(upper, seen.spread)


def spread_upper(spread: float, pairs: int, confidence: float = 0.9, *, arms: int = 1) -> float | None:
    """The upper confidence limit of a standard deviation estimated from `pairs` normal values; None below 2.

    spread x sqrt(df / chi2(1 - confidence, df)); exact for 1 and 2 degrees of freedom, beyond them the quantile
    after Wilson and Hilferty (1931), within 1 %. A pilot of 3 rounds may well see a third of the true spread: the
    effect that is promised to be found is computed from this limit. A spread pooled over several `arms` has as many
    degrees of freedom as they have together, divided by 1 + (arms - 1) / 4: log ratios over one baseline are correlated
    by 1/2, their sample variances by 1/4.
    """
    if pairs < 2:
        return None
    df = (pairs - 1) * arms / (1 + (arms - 1) / 4)
    z = NormalDist().inv_cdf(1 - confidence)
    if df == 1:
        chi2 = NormalDist().inv_cdf(1 - confidence / 2) ** 2
    elif df == 2:
        chi2 = -2 * math.log(confidence)
    else:
        chi2 = df * (1 - 2 / (9 * df) + z * math.sqrt(2 / (9 * df))) ** 3
    return spread * math.sqrt(df / chi2)


def share_time(*, between: float, within: float, launch_s: float, call_s: float) -> int:
    """The number of calls per launch that buys the most precision for the time (Kalibera and Jones 2013, section 8).

    `between` is the variance of launch means beyond what calls explain, `within` that of calls in a
    launch; `launch_s` the cost of starting and warming a launch, `call_s` that of one call. The
    optimum is sqrt(launch_s / call_s x within / between), at least 1. Raises ValueError where
    `between` is not above 0: then one launch suffices and there is no optimum.
    """
    if not (between > 0 and within >= 0 and launch_s >= 0 and call_s > 0):
        raise ValueError("variances and costs are not negative; `between` and `call_s` are above 0")
    return max(1, round(math.sqrt(launch_s / call_s * within / between)))


def variance_between(launch_means: float, within: float, calls: float) -> float:
    """The component between launches: the variance of their means less what `calls` calls leave in it, at least 0."""
    return max(0.0, launch_means - within / calls)


def _seen(n: int) -> float:
    """c4: the mean of the standard deviation of n normal values, in units of the true one."""
    return math.sqrt(2 / (n - 1)) * math.gamma(n / 2) / math.gamma((n - 1) / 2)


def _standard_error(spread: float, rounds: int) -> float:
    return spread / math.sqrt(rounds if rounds < RANKS_FROM else _EFFICIENCY * rounds)
