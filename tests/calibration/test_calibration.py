"""The page is its data; what is simulated is the product, and the rates hold."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from steelyard.analysis import compare_run
from steelyard.analysis.within import floor_of
from steelyard.core.run import Run
from steelyard.stats import signed_rank
from steelyard.stats.hodges_lehmann import intervals
from tests.calibration import __main__ as calibrate
from tests.calibration import methods, page, simulate
from tests.calibration.files import write
from tests.calibration.noise import MODELS
from tests.calibration.simulate import EFFECTS, REPETITIONS, Counts, Simulated
from tests.fakes.runs import Shape, llm_points, synthetic_run

DATA = page.load(page.FOLDER)
SIMULATED: Simulated = DATA[simulate.FILE]
EXCHANGEABLE = [name for name in MODELS if name not in ("drift", "all at once")]


def test_the_page_is_its_data() -> None:
    assert page.PAGE.read_text() == page.render(DATA), "run `make calibrate`"


def test_a_stage_without_data_is_named() -> None:
    text = page.render({})
    assert "## Not run yet" in text
    for part in page.PARTS:
        assert part.title in text
        assert f"make calibrate STAGES={part.stage}" in text


def test_an_unknown_stage_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert calibrate.main(["simulat"]) == 2
    assert "did you mean 'simulate'" in capsys.readouterr().err


def test_every_model_was_simulated_often_enough() -> None:
    assert {(found.model, found.rounds) for found in SIMULATED.settings} == {
        (model, rounds) for model in MODELS for rounds in simulate.ROUNDS
    }
    assert all(found.repetitions >= 2000 for found in SIMULATED.settings)


@pytest.mark.parametrize("found", SIMULATED.settings, ids=lambda found: f"{found.model} {found.rounds}")
def test_the_published_rates_keep_the_promise(found: Counts) -> None:
    false = sum(found.verdicts["paired rounds"][0].get(name, 0) for name in ("faster", "slower"))
    assert false / found.repetitions <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / found.repetitions)
    covered = found.covered / found.repetitions
    if found.model in EXCHANGEABLE and found.rounds >= 8:  # Student's is wider than need be for two levels
        assert 0.93 <= covered <= 0.97
    else:
        assert covered >= 0.93
    for order in found.verdicts.values():
        assert [sum(counts.values()) for counts in order] == [found.repetitions] * len(EFFECTS)


@pytest.mark.statistical
@pytest.mark.parametrize("name", MODELS)
def test_the_rates_hold_in_fewer_repetitions(name: str) -> None:
    repetitions = 500
    found = simulate.simulate(name, MODELS[name], 12, repetitions, seed=77)
    spread = math.sqrt(found.attained * (1 - found.attained) / repetitions)
    if name in EXCHANGEABLE:
        assert abs(found.covered / repetitions - found.attained) < 4 * spread
        assert found.declared["paired rounds"][0] == repetitions - found.covered
    else:
        assert found.covered / repetitions > found.attained - 4 * spread
    for effect, wrong in ((0, ("faster", "slower")), (1, ("faster", "slower")), (3, ("faster", "equivalent"))):
        count = sum(found.verdicts["paired rounds"][effect].get(verdict, 0) for verdict in wrong)
        assert count / repetitions <= 0.05
    assert found.verdicts["paired rounds"][4].get("slower", 0) / repetitions > 0.8
    # and the simulation is one in which it matters: what is commonly done fails on the same data
    if name in ("bimodal", "autocorrelated", "process effect"):
        assert found.declared["pooled Welch"][0] / repetitions > 0.3
    if name != "lognormal":
        worst = max(found.declared[method][0] for method in found.declared if method != "paired rounds")
        assert worst / repetitions > 0.3
    if name == "drift":
        assert found.declared["blocked order"][0] / repetitions > 0.9


@pytest.mark.statistical
def test_coverage_is_the_attained_one_to_half_a_point() -> None:
    """All noise in which rounds are exchangeable together: an index of the interval that is off by one or two shows."""
    rounds, repetitions = 12, 3000
    critical = signed_rank.critical(rounds, 0.95)
    assert critical is not None
    covered = 0
    for name in EXCHANGEABLE:
        medians = np.median(MODELS[name].draw(np.random.default_rng(11), repetitions, 2 * rounds, 15), axis=2)
        _, low, high = intervals(medians[:, ::2] - medians[:, 1::2])
        covered += int(((low <= 0) & (high >= 0)).sum())
    of = repetitions * len(EXCHANGEABLE)
    attained = 0.957520  # 1 - 2 P(W <= 13) for n = 12, as in printed tables
    assert signed_rank.attained(rounds, critical) == pytest.approx(attained, abs=1e-6)
    assert abs(covered / of - attained) < 3 * math.sqrt(attained * (1 - attained) / of)


@pytest.mark.parametrize("name", ["process effect", "heavy tail", "drift"])
@pytest.mark.parametrize("effect", [0.0, 0.06])
def test_a_simulated_verdict_is_that_of_a_stored_run_with_the_same_samples(name: str, effect: float) -> None:
    rounds, repetitions = 9, 6
    noise = MODELS[name].draw(np.random.default_rng(5), repetitions, 3 * rounds, 41)
    places = simulate.rounds_order(rounds, range(repetitions))
    medians = np.log(np.median(np.exp(noise), axis=2))
    told = set()
    for calls, where, logs in zip(noise, places, medians, strict=True):
        run = _stored(np.exp(calls), where, effect)
        found = {item.candidate: item for item in compare_run(run)}
        baseline, candidate, control = (logs[where[:, arm]] for arm in range(3))
        floor = floor_of(control - baseline)
        assert found["xla"].floor == pytest.approx(floor)
        assert found["xla"].verdict == simulate.verdict(candidate - baseline + np.log1p(effect), floor)
        told.add(found["xla"].verdict)
        assert found["xla"].ratio is not None
        assert found["xla"].ratio.interval is not None
        _, low, high = intervals(candidate - baseline)
        assert found["xla"].ratio.interval.low == pytest.approx(math.exp(low) * (1 + effect))
        assert found["xla"].ratio.interval.high == pytest.approx(math.exp(high) * (1 + effect))
    assert told <= {"equivalent", "inconclusive", "slower"}


def _stored(times: np.ndarray, places: np.ndarray, effect: float) -> Run:
    """A run whose latencies are these times: [place in time, call], `places` [round, arm]."""
    run = synthetic_run(
        backends=("eager", "xla"), rounds=len(places), points=llm_points(workloads=("decode",)), headline="decode",
        shape=Shape(steady="flat", cut=0),
    )  # fmt: skip
    column = {"eager": 0, "xla": 1, "eager (control)": 2}
    results = []
    for result in run.results:
        if result.round > 0:
            samples = times[places[result.round - 1, column[result.arm]]] * (1 + effect * (result.arm == "xla"))
            (measurement,) = result.measurements
            changed = replace(measurement, samples=tuple(samples.tolist()), starts_s=tuple(np.cumsum(samples).tolist()))
            result = replace(result, measurements=(changed,))
        results.append(result)
    return replace(run, results=tuple(results))


def test_the_engines_order_gives_every_arm_every_position() -> None:
    places = simulate.rounds_order(9, range(4))
    assert np.array_equal(np.sort(places.reshape(4, -1), axis=1), np.tile(np.arange(27), (4, 1)))
    positions = places % 3
    assert (np.sort(positions, axis=1) == np.repeat([0, 1, 2], 3)[None, :, None]).all()
    assert np.array_equal(simulate.blocked_order(2), [[0, 2, 4], [1, 3, 5]])


def test_pooled_tests_are_scipys() -> None:
    from scipy import stats

    rng = np.random.default_rng(4)
    baseline, candidate = rng.lognormal(0, 0.1, (40, 60)), rng.lognormal(0.03, 0.1, (40, 60))
    expected = [
        stats.mannwhitneyu(*pair, method="asymptotic").pvalue < 0.05 for pair in zip(candidate, baseline, strict=True)
    ]
    assert methods.mann_whitney(baseline, candidate).tolist() == expected
    low, high = methods.bootstrap_limits(baseline, candidate, rng)
    one = stats.bootstrap(
        (candidate[0], baseline[0]),
        lambda x, y, axis: x.mean(axis=axis) / y.mean(axis=axis),
        method="percentile",
        rng=rng,
    ).confidence_interval
    assert (low[0], high[0]) == pytest.approx((one.low, one.high), abs=0.006)


def test_a_stage_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = replace(SIMULATED, settings=SIMULATED.settings[:-2])
    write(tmp_path / simulate.FILE, part)
    assert SIMULATED.settings[0].repetitions == REPETITIONS
    asked = []

    def instead(name: str, model: object, rounds: int, repetitions: int, seed: int) -> Counts:
        asked.append((name, rounds))
        return next(found for found in SIMULATED.settings if (found.model, found.rounds) == (name, rounds))

    monkeypatch.setattr(simulate, "simulate", instead)
    simulate.run(tmp_path)
    assert asked == [(found.model, found.rounds) for found in SIMULATED.settings[-2:]]
    assert page.load(tmp_path)[simulate.FILE].settings == SIMULATED.settings
