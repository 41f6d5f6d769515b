"""The pytest fixture `steelyard_case`: is this not slower than that, by the rule of every verdict here?

    def test_speed(steelyard_case):
        steelyard_case.not_slower(lambda: mine(x), than=lambda: theirs(x))

    def test_backend(steelyard_case):
        steelyard_case.backend_not_slower("mypackage.runner:Mine", than="eager", suite="llm", size="tiny")

A test fails where the verdict is `slower`: the whole interval of the ratio lies beyond the margin and beyond the noise
floor. Where nothing can be said it passes with a warning, unless `strict`.
"""

import math
import random
import statistics
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from steelyard.analysis.verdict import Decision

Function = Callable[[], object]
_TURNS = 8


class Inconclusive(UserWarning):
    """Neither slower nor not: at this noise so many rounds do not tell."""


@pytest.fixture
def steelyard_case(tmp_path: Path) -> "SpeedCase":
    """See `SpeedCase`."""
    return SpeedCase(tmp_path)


class SpeedCase:
    """Asks whether something is not slower. Runs of backends are stored under `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def not_slower(
        self,
        candidate: Function,
        than: Function,
        *,
        rounds: int = 8,
        window_s: float = 0.2,
        margin: float = 0.02,
        strict: bool = False,
    ) -> "Decision":
        """Fails if `candidate` is slower than `than` by more than `margin`, a fraction.

        Both take no argument and return when their work is done. In each round both, and `than` once more as control
        arm, are called in turns of `window_s / 8` seconds in random order, after two calls of each that do not count;
        a round's ratio is that of the medians. All of it is in this process: what two processes of one program differ
        by is not seen. Returns the verdict with the ratio candidate / than and its interval.
        """
        __tracebackhide__ = True
        from steelyard.analysis.verdict import Question, decide
        from steelyard.analysis.within import floor_of
        from steelyard.stats.few import FEWEST, paired

        if rounds < FEWEST:
            raise ValueError(f"{rounds} rounds can give no verdict: give at least {FEWEST}")
        control: Function = than
        arms = (than, candidate, control)
        for function in arms:
            function(), function()
        medians = [_round(arms, window_s / _TURNS, seed) for seed in range(rounds)]
        ratios, noise = ([math.log(row[arm] / row[0]) for row in medians] for arm in (1, 2))
        location = paired(ratios)
        question = Question(location=location, floor=floor_of(noise), p_value=None, margin=margin)
        (answer,) = decide([question], "primary")
        interval = answer.ratio.interval
        ends = "" if interval is None else f" [{interval.low:.3f}, {interval.high:.3f}]"
        told = f"{answer.ratio.value:.3f}{ends} times as long as the other"
        _judge(answer.verdict, f"{told}{f': {answer.reason}' if answer.reason else ''}", strict=strict)
        return answer

    def backend_not_slower(self, candidate: str, than: str, *, strict: bool = False, **options: Any) -> None:
        """Fails if a backend is slower than another on the headline workload of a suite, in fresh processes.

        `options` are those of `steelyard.run`, e.g. `suite`, `size`, `workloads`, `time`. The run is stored below the
        test's `tmp_path`. It fails as well where either gave wrong outputs or ran elsewhere than asked.
        """
        __tracebackhide__ = True
        from steelyard import api

        run = api.run(
            backends=[than, candidate], baseline=than, output=self._folder / "runs", progress=False, **options
        )
        for item in run.compare():
            if item.family == "primary" and item.factor != "control":
                times = "" if item.speedup is None else f", {item.speedup.value:.3g} times as fast as {item.baseline}"
                verdict = "slower" if item.verdict == "incomparable" else item.verdict
                told = f"{item.title}: {item.candidate}: {item.verdict}{times}: {item.remark}"
                _judge(verdict, told, strict=strict)


def _round(arms: tuple[Function, ...], turn_s: float, seed: int) -> list[float]:
    """The median seconds of a call of each arm in one round of turns."""
    from steelyard.measure.loop import CLOCK, quiet_collector

    source = random.Random(seed)  # noqa: S311 (design of experiment)
    samples: list[list[int]] = [[] for _ in arms]
    with quiet_collector():
        for _ in range(_TURNS):
            for arm in source.sample(range(len(arms)), len(arms)):
                function, kept, ends = arms[arm], samples[arm], CLOCK() + round(turn_s * 1e9)
                while True:
                    begun = CLOCK()
                    function()
                    now = CLOCK()
                    kept.append(now - begun)
                    if now >= ends:
                        break
    return [statistics.median(kept) * 1e-9 for kept in samples]


def _judge(verdict: str, told: str, *, strict: bool) -> None:
    __tracebackhide__ = True
    if verdict == "slower" or (strict and verdict not in ("faster", "equivalent")):
        pytest.fail(told, pytrace=False)
    if verdict not in ("faster", "equivalent"):
        warnings.warn(told, Inconclusive, stacklevel=3)
