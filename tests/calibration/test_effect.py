"""What the stage `effect` counts, from runs of known truth."""

import dataclasses
from pathlib import Path

import pytest

from steelyard.core.run import Run
from steelyard.service import whole_runs
from steelyard.service.whole_runs import lacking
from tests.calibration import effect, effect_runs
from tests.calibration.effect import Found, Injected, Trial, wrong
from tests.calibration.effect_runs import judged, pilot_request, promise, slowed_request
from tests.calibration.slowed import PATH, slowed
from tests.fakes.runs import Shape, llm_points, synthetic_run

BACKEND = effect_runs.BACKEND
QUIET = Shape(spread=0.004, round_spread=0.004, within=0.01)


def with_aa_arm(by: float, *, seed: int = 0, rounds: int = 8, again: float = 1.0, grade: str = "A") -> Run:
    """`onnxruntime`, the same slower by `by`, and an A/A arm that is `again` times as slow."""
    slow = slowed(BACKEND, by)
    run = synthetic_run(
        backends=(BACKEND, slow, "xla"),
        effect={BACKEND: 1.0, slow: 1 + by, "xla": again},
        rounds=rounds,
        points=llm_points(workloads=effect_runs.WORKLOADS),
        headline="decode",
        shape=QUIET,
        seed=seed,
        grade=grade,
    )
    arms = tuple(dataclasses.replace(arm, sham=arm.label == "xla") for arm in run.manifest.arms)
    return dataclasses.replace(run, manifest=dataclasses.replace(run.manifest, arms=arms))


def test_a_slowdown_beyond_the_noise_is_found_and_nothing_else_is_wrong() -> None:
    trial = judged(with_aa_arm(0.05), 1, 0.05, 0.05)
    assert (trial.verdict, trial.found, trial.rounds) == ("slower", True, 8)
    assert trial.ratio == pytest.approx(1.05, abs=0.01)
    assert trial.spread is not None
    assert 0.001 < trial.spread < 0.02
    assert {(item.candidate, item.workload) for item in trial.elsewhere} == {
        ("slowed", "prefill"),
        ("sham", "decode"),
        ("sham", "prefill"),
        ("control", "decode"),
        ("control", "prefill"),
    }
    assert not any(item.wrong for item in trial.elsewhere)


def test_a_false_verdict_elsewhere_is_counted() -> None:
    trial = judged(with_aa_arm(0.05, again=1.3), 1, 0.05, 0.05)
    assert [(item.candidate, item.verdict) for item in trial.elsewhere if item.wrong] == [("sham", "slower")] * 2


def test_what_is_withheld_is_not_found() -> None:
    assert judged(with_aa_arm(0.05, grade="F"), 1, 0.05, 0.05).verdict == "withheld"


@pytest.mark.parametrize(
    ("verdict", "slower_by", "expected"),
    [
        ("faster", 0.0, True),
        ("faster", 0.05, True),
        ("slower", 0.0, True),
        ("slower", 0.015, True),
        ("slower", 0.05, False),
        ("equivalent", 0.0, False),
        ("equivalent", 0.015, False),
        ("equivalent", 0.05, True),
        ("inconclusive", 0.05, False),
        ("withheld", 0.0, False),
        ("incomparable", 0.0, False),
    ],
)
def test_a_verdict_is_wrong_where_the_truth_contradicts_what_it_claims(
    verdict: str, slower_by: float, expected: bool
) -> None:
    assert wrong(verdict, slower_by, 0.02) is expected


def test_the_promise_is_the_largest_that_the_planner_prints_for_a_comparison(tmp_path: Path) -> None:
    from steelyard.service.plan_text import detectable_effects

    run = with_aa_arm(0.0, rounds=3)
    printed = promise(run, tmp_path)
    lines = [line for line in detectable_effects(run, effect_runs.ROUNDS, {}) if "(control)" not in line]
    assert len(lines) == 2
    assert (
        sum(
            f"effect in {effect_runs.ROUNDS} rounds at this noise: a slowdown of {printed:.1%};" in line
            for line in lines
        )
        >= 1
    )
    assert 0.02 < printed < 0.2


def test_a_pilot_that_promises_nothing_is_no_trial(tmp_path: Path) -> None:
    run = with_aa_arm(0.0, rounds=3)
    shaken = dataclasses.replace(
        run,
        results=tuple(
            dataclasses.replace(
                result, measurements=tuple(dataclasses.replace(item, steady="none") for item in result.measurements)
            )
            for result in run.results
        ),
    )
    assert promise(shaken, tmp_path) is None
    text = "\n".join(effect.section(dataclasses.replace(found((), ()), unpromised=(3, 7))))
    assert "2 more pilots promised nothing" in text


def test_a_run_lacks_the_rounds_that_were_not_made_or_were_contaminated() -> None:
    request = slowed_request(1, "full", 0.05)
    run = with_aa_arm(0.05)
    assert lacking(run, request) == 0
    segment = dataclasses.replace(run.segments[0], disturbed={2: "a background load"})
    assert lacking(dataclasses.replace(run, segments=(segment,)), request) == 1
    assert lacking(with_aa_arm(0.05, rounds=5), request) == 3


def test_every_run_of_the_stage_has_a_seed_of_its_own_and_one_cpu() -> None:
    requests = [
        request
        for number in (1, 2, 3)
        for request in (
            pilot_request(number),
            slowed_request(number, "full", 0.03),
            slowed_request(number, "third", 0.01),
        )
    ]
    assert len({request.seed for request in requests}) == len(requests)
    assert {(request.budget.threads, len(request.budget.cpus)) for request in requests} == {(1, 1)}
    assert {request.rounds for request in requests} == {effect_runs.PILOT_ROUNDS, effect_runs.ROUNDS}


def test_the_page_says_how_many_were_found_and_how_many_were_wrong() -> None:
    full = tuple(judged(with_aa_arm(0.05, seed=n), n, 0.05, 0.05) for n in (1, 2))
    third = tuple(judged(with_aa_arm(0.017, seed=n, again=1.3), n, 0.05, 0.017) for n in (1, 2))
    text = "\n".join(effect.section(found(full, third)))
    assert f"{BACKEND}, as promised | decode, prefill | 8 |" in text
    assert "| 2 of 2: 100.0 [15.8, 100.0] | 0 | 10 |" in text
    assert f"{BACKEND}, a third of it" in text
    assert "| 4 | 12 |" in text
    assert text.count("| slower |") == 2 + sum(trial.found for trial in third)


def found(full: tuple[Trial, ...], third: tuple[Trial, ...]) -> Found:
    row = Injected(backend=BACKEND, workloads=effect_runs.WORKLOADS, full=full, third=third)
    return Found(machine="a CPU", created_utc="2026-01-01T00:00:00Z", window_s=0.2, setting="tiny", rows=(row,))


def test_the_stage_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two trials of which the first has its pilot: the other runs are asked for once each, in order."""
    stored: list[tuple[int, Run]] = []

    def pretend(request: object, runs: Path, *_: object, **__: object) -> int:
        number, kind = divmod(request.seed, 100)  # type: ignore[attr-defined]
        slow = [text for text in request.backends if text.startswith(PATH)]  # type: ignore[attr-defined]
        by = float(slow[0].partition("by=")[2].partition(",")[0]) if slow else 0.0
        stored.append((request.seed, with_aa_arm(by, seed=number, rounds=3 if kind == 0 else 8)))  # type: ignore[attr-defined]
        return 0

    monkeypatch.setattr(whole_runs, "new_run", pretend)
    monkeypatch.setattr(
        whole_runs, "stored", lambda request, runs: (run for seed, run in stored if seed == request.seed)
    )
    pretend(pilot_request(1), tmp_path)
    effect_runs.run(tmp_path / "docs", trials=2, runs=tmp_path / "runs")
    assert [seed for seed, _ in stored] == [100, 101, 102, 200, 201, 202]
    effect_runs.run(tmp_path / "docs", trials=2, runs=tmp_path / "runs")
    assert len(stored) == 6, "nothing is measured twice"
