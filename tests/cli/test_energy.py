"""Energy through the command line and real workers: none here, and with fakes joules of a token with intervals."""

import csv
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from steelyard import plugins
from steelyard.core.run import Run
from steelyard.guard.meters import ROOT_VARIABLE
from steelyard.store import find_run, open_run
from steelyard.tables.build import build
from steelyard.tables.output import ReportInputs
from tests.fakes.metered_work import PATH, SUITE_PATH, TOKENS, write_zone
from tests.fakes.nvml import build as build_nvml
from tests.fakes.nvml import environment

ROOT = Path(__file__).parents[2]
WATTS = 42.0


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


def bench(cache: Path, output: Path, *arguments: str, **variables: str) -> Run:
    command = [sys.executable, "-m", "steelyard", "run", "--suite", SUITE_PATH, "--backend", PATH, "--baseline", PATH]
    command += ["--output", str(output), "--window", "0.03", "--threads", "1", *arguments]
    env = {**os.environ, "STEELYARD_CACHE": str(cache), **variables}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return open_run(find_run(output, "latest"))


@pytest.fixture
def powercap(tmp_path):
    """A tree whose package draws WATTS for as long as the test lasts; written some hundred times a second."""
    over = threading.Event()

    def drive() -> None:
        begun = time.monotonic()
        while not over.wait(0.003):
            write_zone(tmp_path / "host", 261_000 + WATTS * (time.monotonic() - begun))

    write_zone(tmp_path / "host", 261_000)
    thread = threading.Thread(target=drive)
    thread.start()
    yield tmp_path / "host"
    over.set()
    thread.join()


def check_joules_of_a_token(run: Run) -> None:
    """The table, and the report's files, show gross energy of a call and of a token with intervals."""
    table = build(run).table("energy")
    (row,) = table.rows
    gross, item = table.cell(row, "energy_j"), table.cell(row, "energy_of_item_j")
    assert gross.interval.low <= gross.value <= gross.interval.high
    assert item.value == pytest.approx(gross.value / TOKENS)
    assert item.interval is not None
    assert table.cell(row, "item").text == "token"
    metered = [result for result in run.results if result.round > 0]
    assert all(result.energy_use.gross_j > 0 for result in metered)
    assert all(result.energy_use.trace.watts for result in metered)


def test_the_fake_tree_gives_joules_of_a_token_with_intervals(cache, tmp_path, powercap):
    run = bench(
        cache, tmp_path / "runs", "--rounds", "6", "--device", "cpu", "--no-report", **{ROOT_VARIABLE: str(powercap)}
    )
    check_joules_of_a_token(run)
    for result in run.results:
        if result.round == 0:
            assert result.energy.reason == "too_short: a cold launch has no timed window"
            continue
        use = result.energy_use
        assert (use.source, use.boundary, use.quality) == ("rapl", "package-0", "measured_counter")
        assert use.gross_j / use.window_s == pytest.approx(WATTS, rel=0.2)  # the thread that drives it may be late
        assert use.period_measured
        assert use.window_s >= 50 * use.update_period_s
    report = tmp_path / "report"
    report.mkdir()
    for name in ("markdown", "csv"):
        plugins.reports()[name].write(ReportInputs(data=build(run)), report)
    assert "token" in next(report.rglob("*.md")).read_text()
    (rows,) = (list(csv.DictReader(path.open())) for path in report.rglob("energy.csv"))
    assert rows
    assert all(float(row["energy_j"]) > 0 for row in rows)


def test_the_stub_of_nvml_gives_joules_of_a_token_above_idle(cache, tmp_path):
    library = build_nvml(tmp_path / "lib")
    run = bench(
        cache,
        tmp_path / "runs",
        *("--rounds", "6", "--device", "cuda:0", "--no-report"),
        **environment(library, "watts=load:60:300;update_ms=5"),
    )
    check_joules_of_a_token(run)
    table = build(run).table("energy")
    (row,) = table.rows
    assert 0 < table.cell(row, "energy_net_j").value < table.cell(row, "energy_j").value
    for result in run.results[1:]:
        if result.round:
            use = result.energy_use
            assert (use.source, use.boundary) == ("nvml", "gpu_board:0")
            assert use.integral_j is not None
            assert use.idle_before_w == pytest.approx(60, rel=0.3)
            assert use.idle_before_w < use.gross_j / use.window_s < 400


def test_without_a_meter_it_is_unavailable_and_no_zero_is_stored_or_printed(cache, tmp_path):
    run = bench(
        cache,
        tmp_path / "runs",
        *("--rounds", "1", "--device", "cpu", "--estimate-energy"),
        **{ROOT_VARIABLE: str(tmp_path / "nowhere")},
    )
    for result in run.results:
        assert result.energy.value is None
        assert result.energy.reason
        assert result.energy_use is None or result.energy_use.gross_j is None
        if result.round:
            assert result.energy_estimate is not None
            assert result.energy_estimate.value != 0
    for path in (tmp_path / "runs").rglob("*"):
        if path.suffix in (".md", ".tex", ".html", ".csv"):
            assert not re.search(r"(?<![\d.])0(\.0+)?\s?(J|mJ|µJ)\b", path.read_text()), path
        if path.name == "results.jsonl":
            for line in path.read_text().splitlines():
                stored = json.loads(line)
                assert stored["energy"]["value"] is None
                assert not stored.get("energy_use") or stored["energy_use"]["gross_j"] is None
