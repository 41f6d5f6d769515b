"""Which stored runs a campaign takes for its own, and how many rounds each lacks."""

from dataclasses import replace
from pathlib import Path

import pytest

from steelyard import __version__, plugins
from steelyard.core.run import LeftOut, Manifest, Run
from steelyard.core.workload import Selection
from steelyard.engine.plan import Request
from steelyard.hardware.fingerprint import packages
from steelyard.selftest import campaign
from steelyard.service.stored_runs import runs_of, warm_rounds
from tests.fakes.runs import synthetic_run
from tests.fakes.stored import store

SELECTION = Selection(device_kind="cpu", size="tiny", workloads=("decode",))


@pytest.fixture(scope="module")
def made() -> Run:
    """A run of two warm rounds, made with the software of today."""
    run = synthetic_run(backends=("eager",), points=plugins.suite("llm").points(SELECTION), rounds=2, left_out=())
    plan = {**run.manifest.plan, "suite": "llm", "seed": 3, "window_s": 0.5, "turns": True}
    environment = {**run.manifest.environment, "packages": packages()}
    manifest = replace(run.manifest, tool_version=__version__, environment=environment, plan=plan)
    return replace(run, manifest=manifest)


@pytest.fixture(scope="module")
def request_(made: Run) -> Request:
    return Request(
        suite="llm", backends=("eager",), device=made.manifest.device, budget=made.manifest.budget,
        selection=SELECTION, rounds=2, window_s=0.5, seed=3,
    )  # fmt: skip


def found(run: Run, request: Request, folder: Path) -> list[tuple[Path, str]]:
    store(run, folder)
    return [(path, each.manifest.run_id) for path, each in runs_of(request, folder)]


def test_the_run_that_was_asked_for_is_found_where_it_lies(made, request_, tmp_path):
    assert found(made, request_, tmp_path) == [(tmp_path / made.manifest.run_id, made.manifest.run_id)]


def _planned(manifest: Manifest, **changes: object) -> Manifest:
    return replace(manifest, plan={**manifest.plan, **changes})


OTHERS = {
    "another version": lambda manifest: replace(manifest, tool_version="0.0.1"),
    "other packages": lambda manifest: replace(manifest, environment={**manifest.environment, "packages": {}}),
    "another device": lambda manifest: replace(manifest, device=replace(manifest.device, name="another CPU")),
    "other threads": lambda manifest: replace(manifest, budget=replace(manifest.budget, threads=7)),
    "another suite": lambda manifest: _planned(manifest, suite="tests.fakes.small_suite:SUITE"),
    "another seed": lambda manifest: _planned(manifest, seed=4),
    "another window": lambda manifest: _planned(manifest, window_s=2.0),
    "turns of two lengths": lambda manifest: _planned(manifest, piece=4),
    "launches one after the other": lambda manifest: _planned(manifest, turns=False),
    "one backend more": lambda manifest: replace(manifest, left_out=(LeftOut(backend="xla", reason="not there"),)),
    "other points": lambda manifest: replace(manifest, cases=()),
}


@pytest.mark.parametrize("what", OTHERS)
def test_a_run_of_other_terms_is_none(made, request_, tmp_path, what):
    assert found(replace(made, manifest=OTHERS[what](made.manifest)), request_, tmp_path) == []


def test_a_damaged_run_is_none(made, request_, tmp_path):
    (store(made, tmp_path) / "manifest.json").write_text("{")
    assert list(runs_of(request_, tmp_path)) == []


def test_a_leg_beside_a_background_load_counts_its_contaminated_rounds(made, request_, tmp_path, monkeypatch):
    contaminated = replace(made.segments[0], disturbed={1: "a background load"})
    run = replace(made, segments=(contaminated,))
    assert warm_rounds(run) == {1, 2}
    store(run, tmp_path)
    monkeypatch.setattr(campaign.CampaignTerms, "request", lambda *_: request_)
    terms = campaign.CampaignTerms(
        suite="llm", size="tiny", backends=("eager",), device=request_.device, budget=request_.budget
    )
    leg = campaign.Leg(backend="eager", batches=(1,), seed=3, comparisons=2, seconds=1.0)
    assert [lacks for _, _, lacks in campaign.stored(tmp_path, terms, leg)] == [campaign.ROUNDS - 2]
