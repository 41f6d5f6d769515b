"""The noise of earlier runs: which of them count, and what the pilot makes of it."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from steelyard.analysis import control_spreads
from steelyard.core.run import Run
from steelyard.service import earlier
from steelyard.service.earlier import noise_seen
from steelyard.service.plan_text import detectable_effects
from steelyard.service.recorder import Recorder
from steelyard.stats.planning import ENOUGH_RUNS
from steelyard.store import open_run
from tests.engine.test_contaminated_rounds import plan_of  # noqa: F401 (a fixture)
from tests.fakes.runs import Shape, llm_points, synthetic_run
from tests.fakes.stored import store

NAME = "latency_s"


def made(number: int, *, spread: float = 0.01, rounds: int = 8, **changes: object) -> Run:
    """The run that was made in this minute, with so much noise between launches."""
    run = synthetic_run(
        backends=("eager", "xla"),
        points=llm_points(("decode",)),
        headline="decode",
        rounds=rounds,
        shape=Shape(spread=spread, round_spread=0.01, within=0.001),
        seed=number,
    )
    stamp = f"2026-01-01T00:{number:02}:00+00:00"
    named = replace(run.manifest, run_id=f"20260101T00{number:02}00Z-llm-000000", created_utc=stamp, **changes)
    return replace(run, manifest=named)


def spread_of(run: Run) -> float:
    (value,) = [spread for (_, metric), spread in control_spreads(run).items() if metric == NAME]
    return value


@pytest.fixture
def today() -> Run:
    return made(30, rounds=3)


def test_the_noisiest_of_the_earlier_runs_counts(tmp_path, today):
    calm, noisy = made(1), made(2, spread=0.2)
    for run in (calm, noisy, made(3)):
        store(run, tmp_path)
    ((_, metric),) = seen = noise_seen(tmp_path, today.manifest)
    assert metric == NAME
    (found,) = seen.values()
    assert (found.spread, found.runs) == (pytest.approx(spread_of(noisy), rel=1e-3), 3)


def test_runs_in_other_circumstances_or_made_later_or_with_too_few_rounds_do_not_count(tmp_path, today):
    budget = replace(today.manifest.budget, threads=today.manifest.budget.threads + 1)
    environment = {**today.manifest.environment, "memory_bytes": 1 << 45}
    for run in (
        made(1, spread=0.2, budget=budget),
        made(2, spread=0.2, environment=environment),
        made(3, spread=0.2, plan={**today.manifest.plan, "window_s": 17.0}),
        made(6, spread=0.2, plan={**today.manifest.plan, "time_s": 1200.0}),
        made(7, spread=0.2, plan={**today.manifest.plan, "quick": True}),
        made(4, spread=0.2, baseline="xla"),
        made(5, spread=0.2, rounds=7),
        made(31, spread=0.2),
    ):
        store(run, tmp_path)
    assert noise_seen(tmp_path, today.manifest) == {}


def test_a_run_that_is_older_than_the_ten_newest_is_forgotten(tmp_path, today):
    store(made(1, spread=0.2), tmp_path)
    for number in range(2, 2 + ENOUGH_RUNS):
        store(made(number), tmp_path)
    store(made(20, spread=0.2, rounds=3), tmp_path)  # too short to count or to take the place of one that does
    (found,) = noise_seen(tmp_path, today.manifest).values()
    assert found.spread < 0.05
    assert found.runs == ENOUGH_RUNS


def test_a_damaged_run_has_no_say(tmp_path, today):
    (store(made(1, spread=0.2), tmp_path) / "manifest.json").write_text("{")
    (store(made(2, spread=0.2), tmp_path) / "segment-000" / "results.jsonl").write_text("{")
    assert noise_seen(tmp_path, today.manifest) == {}


def test_a_run_that_is_deleted_meanwhile_has_no_say(tmp_path, today, monkeypatch):
    gone, _ = (store(made(number), tmp_path) for number in (1, 2))

    def read(path):
        if path == gone:
            raise FileNotFoundError(path)
        return open_run(path)

    monkeypatch.setattr(earlier, "open_run", read)
    (found,) = noise_seen(tmp_path, today.manifest).values()
    assert found.runs == 1


def test_the_pilot_reckons_with_it_and_says_so(tmp_path, today):
    store(made(1, spread=0.2), tmp_path)
    seen = noise_seen(tmp_path, today.manifest)
    (found,) = seen.values()
    alone, reckoned = (
        next(line for line in detectable_effects(today, 8, told) if "(control)" not in line) for told in ({}, seen)
    )
    assert "earlier run" not in alone
    assert f" (up to {found.spread:.1%} in 1 earlier run); " in reckoned
    effects = [float(line.partition("a slowdown of ")[2].partition("%")[0]) for line in (alone, reckoned)]
    assert effects[1] > 2 * effects[0]


def test_bench_run_looks_at_the_runs_beside_its_own_after_the_pilot(tmp_path, today, plan_of):  # noqa: F811
    store(made(1, spread=0.2), tmp_path)
    said: list[str] = []
    writer, screen = SimpleNamespace(path=tmp_path / today.manifest.run_id), SimpleNamespace(line=said.append)
    noise = today.segments[0].noise
    recorder = Recorder(writer, screen, today.manifest, plan_of(8), replace(today, segments=()), noise=noise)
    for number in (1, 2):
        recorder.round_ends(number)
    assert said == []
    recorder.round_ends(3)
    assert any("in 1 earlier run" in line for line in said)
