"""Energy through the command line and real workers: without a meter, and by an external meter's log.

What stand-ins for meters give in a whole report stands in test_llm_sections.py.
"""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from steelyard import plugins
from steelyard.core.run import Run
from steelyard.guard.meters import ROOT_VARIABLE
from steelyard.service.reporting import write_report
from steelyard.store import find_run, open_run
from tests.fakes.metered_work import PATH, SUITE_PATH

ROOT = Path(__file__).parents[2]
WATTS = 42.0
Bench = Callable[..., Run]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Makes a run of one warm round and opens it."""
    cache = tmp_path_factory.mktemp("cache")

    def make(output: Path, *arguments: str) -> Run:
        command = [sys.executable, "-m", "steelyard", "run", "--suite", SUITE_PATH, "--backend", PATH]
        command += ["--baseline", PATH, "--output", str(output), "--window", "0.03", "--threads", "1"]
        command += ["--rounds", "1", "--device", "cpu", "--no-report", *arguments]
        env = {**os.environ, "STEELYARD_CACHE": str(cache), ROOT_VARIABLE: str(output / "nowhere")}
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return open_run(find_run(output, "latest"))

    return make


def test_without_a_meter_it_is_unavailable_and_no_zero_is_stored_or_printed(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = bench(tmp_path / "runs", "--estimate-energy")
    energy = plugins.figures()["energy"]
    monkeypatch.setattr(plugins, "figures", lambda: {"energy": energy})
    write_report(find_run(tmp_path / "runs", "latest"))
    for result in run.results:
        assert result.energy.value is None
        assert result.energy.reason
        assert result.energy_use is None or result.energy_use.gross_j is None
        if result.round:
            assert result.energy_estimate is not None
            assert result.energy_estimate.value != 0
    assert "Estimated, not measured" in (find_run(tmp_path / "runs", "latest") / "report/report.md").read_text()
    for path in (tmp_path / "runs").rglob("*"):
        if path.suffix in (".md", ".tex", ".html", ".csv"):
            assert not re.search(r"(?<![\d.])0(\.0+)?\s?(J|mJ|µJ)\b", path.read_text()), path
        if path.name == "results.jsonl":
            for line in path.read_text().splitlines():
                stored = json.loads(line)
                assert stored["energy"]["value"] is None
                assert not stored.get("energy_use") or stored["energy_use"]["gross_j"] is None


@contextmanager
def logger(path: Path, watts: Callable[[int], str] = lambda number: str(WATTS)) -> Iterator[None]:
    """A logger with a clock of its own that appends a row every 20 ms; it began 5 s ago, and sent a marker once."""
    begun, over, rows = time.time() - 5, threading.Event(), 0

    def write() -> None:
        nonlocal rows
        with path.open("a") as stream:
            while rows / 50 <= time.time() - begun:
                marker = f"{begun + rows / 50:.6f}" if rows in (23, 203) else ""
                stream.write(f"{rows / 50:.3f},{watts(rows)},{marker}\n")
                rows += 1

    def run() -> None:
        while not over.wait(0.02):
            write()

    path.write_text("time_s,power_w,marker\n")
    write()
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_an_external_meter_with_a_clock_of_its_own_is_aligned_by_its_marker(bench: Bench, tmp_path: Path) -> None:
    """Its place is nowhere in what is stored."""
    folder = tmp_path / "laboratory-of-someone"
    folder.mkdir()
    log = folder / "power.csv"
    with logger(log):
        run = bench(tmp_path / "runs", "--meter", str(log))
    metered = [result for result in run.results if result.round]
    assert metered
    for result in metered:
        use = result.energy_use
        assert (use.source, use.kind, use.boundary) == ("external", "external", "wall")
        assert use.quality == "integrated_samples", use.reason
        assert use.gross_j == pytest.approx(WATTS * use.window_s, rel=0.01)
        assert use.per_call.value == pytest.approx(use.gross_j / use.calls)
    at = run.manifest.command.index("--meter")
    assert run.manifest.command[at + 1] == "power.csv"
    for path in (tmp_path / "runs").rglob("*"):
        if path.is_file():
            assert folder.name.encode() not in path.read_bytes(), path


@pytest.mark.full
def test_a_log_full_of_what_is_no_power_costs_energy_and_no_latency(bench: Bench, tmp_path: Path) -> None:
    log = tmp_path / "power.csv"
    with logger(log, lambda number: ("nan", "-inf", "-3", str(WATTS), str(WATTS))[number % 5]):
        run = bench(tmp_path / "runs", "--meter", str(log))
    metered = [result for result in run.results if result.round]
    assert metered
    for result in metered:
        assert result.status == "ok"
        assert result.measurements[0].samples
        assert result.energy.value is None
        assert result.energy.reason.startswith("garbage: row ")


@pytest.mark.parametrize("arguments", [(), ("--resume", "latest")], ids=["new", "resumed"])
def test_a_log_of_yesterday_is_refused_before_anything_starts(arguments: tuple[str, ...], tmp_path: Path) -> None:
    log = tmp_path / "power.csv"
    log.write_text("unix_time_s,power_w\n" + "".join(f"{time.time() - 90000 + n},40\n" for n in range(60)))
    os.utime(log, (0, 0))
    command = [sys.executable, "-m", "steelyard", "run", "--meter", str(log), "--output", str(tmp_path), *arguments]
    command += [] if arguments else ["--suite", SUITE_PATH, "--backend", PATH, "--device", "cpu"]
    env = {**os.environ, "STEELYARD_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2, done.stderr
    assert "its last row is of 25.0 h ago, and nothing was written for" in done.stderr
    assert "Traceback" not in done.stderr
