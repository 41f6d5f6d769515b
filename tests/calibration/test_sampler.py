"""What the stage `sampler` reads off a run, and what the page says of it."""

import dataclasses
from pathlib import Path

import pytest

from steelyard.core.run import Run
from steelyard.engine.metering import LEAST_WINDOW_S, READS
from steelyard.service import whole_runs
from tests.calibration import files, page, sampler
from tests.fakes.runs import Shape, llm_points, synthetic_run

BASELINE, READ = sampler.request(30, 2.0).backends


def read_meanwhile(slower: float = 1.0, *, spread: float = 0.004, rounds: int = 30, grade: str = "A") -> Run:
    """A run of the stage in which the reader makes calls so many times as slow."""
    run = synthetic_run(
        backends=(BASELINE, READ),
        effect={BASELINE: 1.0, READ: slower},
        rounds=rounds,
        points=llm_points(workloads=(sampler.WORKLOAD,)),
        headline=sampler.WORKLOAD,
        shape=Shape(spread=spread, round_spread=0.004, within=0.01),
        grade=grade,
    )
    plan = {**run.manifest.plan, "window_s": sampler.WINDOW_S}
    return dataclasses.replace(run, manifest=dataclasses.replace(run.manifest, plan=plan))


def said(run: Run) -> str:
    return "\n".join(sampler.section(sampler.judged(run)))


def test_the_meter_is_read_as_often_as_in_an_energy_window() -> None:
    assert pytest.approx(LEAST_WINDOW_S / READS) == sampler.EVERY_S
    assert f"{sampler.PATH}[every=0,of=onnxruntime]" == BASELINE
    assert f"{sampler.PATH}[every=0.05,of=onnxruntime]" == READ


def test_a_reader_that_disturbs_nothing_is_equivalent_on_a_quiet_machine() -> None:
    read, control = sampler.judged(read_meanwhile()).rows
    assert (read.of, read.verdict, read.rounds) == ("a meter is read", "equivalent", 30)
    assert control.of.endswith("(control)")
    text = said(read_meanwhile())
    assert "| a meter is read | equivalent | " in text
    assert "Why no more can be said" not in text


def test_on_a_noisy_one_the_interval_is_printed_with_the_reason() -> None:
    run = read_meanwhile(spread=0.08)
    read, _ = sampler.judged(run).rows
    assert read.verdict == "inconclusive"
    text = said(run)
    assert f"[{read.ratio.interval.low:.4f}, {read.ratio.interval.high:.4f}]" in text
    assert f"Why no more can be said: {read.reason}" in text


def test_what_is_withheld_says_that_others_used_the_machine() -> None:
    text = said(read_meanwhile(grade="F"))
    assert "| a meter is read | withheld | " in text
    assert "others used the machine" in text


def test_a_reader_that_disturbs_is_told() -> None:
    assert "| a meter is read | slower | 1.1" in said(read_meanwhile(1.1))


def test_the_stage_writes_its_data_and_the_page_holds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Run] = []
    monkeypatch.setattr(whole_runs, "stored", lambda request, folder: iter(made))
    monkeypatch.setattr(whole_runs, "new_run", lambda *_, **__: made.append(read_meanwhile()))
    for _ in range(2):
        sampler.run(tmp_path, runs=tmp_path / "runs")
    assert len(made) == 1, "what is whole is not measured again"
    text = page.render(page.load(tmp_path))
    assert "## What reading a meter does to the calls beside it" in text
    assert "| a meter is read | equivalent |" in text
    files.write(tmp_path / sampler.FILE, sampler.judged(read_meanwhile(1.1)))
    assert "| a meter is read | slower |" in page.render(page.load(tmp_path))
