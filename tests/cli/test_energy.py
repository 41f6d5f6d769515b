"""Energy through the command line and real workers: without a meter, and by an external meter's log.

What stand-ins for meters give in a whole report stands in test_llm_sections.py.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from steelyard import plugins
from steelyard.cli.report import write_report
from steelyard.core.run import Run
from steelyard.guard.meters import ROOT_VARIABLE
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


def test_an_external_meter_with_a_clock_of_its_own_is_aligned_by_its_marker(bench: Bench, tmp_path: Path) -> None:
    """The log reaches beyond the run at once: a logger that is always ahead. Its place is nowhere in what is stored."""
    folder = tmp_path / "laboratory-of-someone"
    folder.mkdir()
    log, begun = folder / "power.csv", time.time() - 5
    rows = [(f"{n / 250:.3f}", WATTS, f"{begun + n / 250:.6f}" if n in (25, 900) else "") for n in range(250 * 180)]
    log.write_text("time_s,power_w,marker\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))
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
