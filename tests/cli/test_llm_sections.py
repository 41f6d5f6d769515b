"""The sections of the llm report on memory, energy and efficiency, at `tiny`: without a meter, and with stand-ins."""

import csv
import html
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from steelyard import plugins
from steelyard.cli.main import app
from steelyard.core.run import Run
from steelyard.guard.meters import ROOT_VARIABLE
from steelyard.guard.rapl import is_virtual
from steelyard.store import find_run, open_run
from steelyard.tables.build import build
from tests.cli.conftest import FAMILIES, PLUGINS
from tests.fakes.ceilings import keep_synthetic
from tests.fakes.metered_work import REAL_PATH
from tests.fakes.meters import driven_package
from tests.fakes.nvml import build as build_nvml
from tests.fakes.nvml import environment
from tests.fakes.stored import store

pytestmark = [pytest.mark.backends, pytest.mark.timeout(3600)]
ROOT = Path(__file__).parents[2]
SECTIONS = ("Memory by phase", "Energy", "Efficiency", "Roofs")
WATTS = 42.0
BACKEND = f"{REAL_PATH}[of=onnxruntime]"
ZERO_JOULES = re.compile(r"(?<![\d.])0(\.0+)?\s*(&nbsp;|~|\\,)?\s*(J|mJ|µJ|W)\b")


def rows(report: Path, table: str) -> list[dict[str, str]]:
    with (report / "csv" / f"{table}.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def texts(report: Path) -> Mapping[str, str]:
    """The text of each format, without the marks of HTML."""
    page = re.sub(r"<[^>]*>", "", html.unescape((report / "report.html").read_text()))
    return {"markdown": (report / "report.md").read_text(), "html": page}


def without_zeros(report: Path, *tables: str) -> None:
    for table in tables:
        for row in rows(report, table):
            assert not [key for key, cell in row.items() if re.fullmatch(r"-?0(\.0+)?", cell or "")], (table, row)


@pytest.fixture(scope="module")
def report(llm_runs: Path) -> Path:
    return find_run(llm_runs, "latest") / "report"


def test_without_a_meter_the_report_says_so_in_every_format_and_has_no_zero(report: Path) -> None:
    machine = "virtual machine" if is_virtual() else "machine"
    told = f"unavailable: no powercap on this {machine}"
    for name, text in texts(report).items():
        assert told in text, name
        for section in SECTIONS:
            assert section in text, (name, section)
    for path in report.rglob("*"):
        if path.suffix in (".md", ".html", ".tex", ".typ", ".csv"):
            assert not ZERO_JOULES.search(path.read_text()), path
    assert rows(report, "energy") == []
    without_zeros(report, "memory", "memory-plan", "efficiency", "roofs")


def test_memory_stands_by_phase_and_plans_and_shapes_apart(llm_runs: Path, report: Path) -> None:
    measured = rows(report, "memory")
    for backend in ("eager", "xla", "onnxruntime", "openvino", *PLUGINS):
        told = [row for row in measured if row["backend"] == backend and row["quantity"] == "Host peak"]
        assert any(all(float(row[phase]) > 1e6 for phase in ("import", "compile", "first_run", "steady"))
                   for row in told), backend  # fmt: skip
    for row in rows(report, "memory-plan"):
        assert float(row["kv_cache_bytes"]) > 0
        planned = [float(cell) for key, cell in row.items() if key.startswith("planned_bytes") and cell]
        assert bool(planned) == (row["backend"] == "xla"), row
        assert all(value > 0 for value in planned)
    run = open_run(find_run(llm_runs, "latest"))
    for result in run.results:
        peaks = [reading for key, reading in result.memory.items() if key.startswith("allocator_peak_bytes")]
        assert all(reading.value is None and reading.reason for reading in peaks), "no allocator tells on a CPU"


def test_efficiency_is_held_against_roofs(report: Path) -> None:
    for row in rows(report, "efficiency"):
        assert all(float(row[key]) > 0 for key in ("flop_per_s", "bytes_per_s", "intensity")), row
        assert row["fraction"], row
    assert {row["origin"] for row in rows(report, "roofs")} >= {"measured"}
    assert any(path.stem == "roofline" for path in (report / "figures").iterdir())


@dataclass(frozen=True)
class StandIn:
    """What a run is given so that a stand-in meters it, and what the meter is called."""

    device: str
    options: tuple[str, ...]
    variables: Mapping[str, str]
    source: str
    boundary: str


@contextmanager
def powercap(folder: Path) -> Iterator[StandIn]:
    with driven_package(folder / "host", WATTS) as root:
        yield StandIn("cpu", (), {ROOT_VARIABLE: str(root)}, "rapl", "package-0")


@contextmanager
def nvml(folder: Path) -> Iterator[StandIn]:
    """A board on which another process computes, which is allowed."""
    variables = environment(build_nvml(folder / "lib"), "watts=load:60:300;update_ms=3;processes=1;reasons=1")
    yield StandIn("cuda:0", ("--allow-foreign-processes",), variables, "nvml", "gpu_board:0")


@pytest.fixture(
    scope="module", params=[powercap, pytest.param(nvml, marks=pytest.mark.full)], ids=["powercap tree", "NVML"]
)
def metered(request, llm_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[StandIn, Run, Path]:
    """A stored run of six rounds, and its report by `bench report`. No background load sets rounds aside."""
    base = tmp_path_factory.mktemp("metered")
    model = "smollm2" if FAMILIES == "all" else FAMILIES.partition(",")[0]
    with request.param(base) as stand_in:
        options = f"--suite llm --size tiny --workload decode --set model={model} --set dtype=float32 --threads 1"
        options += f" --backend {BACKEND} --baseline {BACKEND} --device {stand_in.device} --rounds 6 --window 0.03"
        command = [sys.executable, "-m", "steelyard", "run", *options.split(), *stand_in.options]
        command += ["--no-report", "--output", str(base / "runs")]
        cache = llm_runs.parent / "cache"
        keep_synthetic(cache, stand_in.device, 1)
        env = {**os.environ, "STEELYARD_CACHE": str(cache), **stand_in.variables}
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    run = open_run(find_run(base / "runs", "latest"))
    assert {(result.status, result.reason) for result in run.results} == {("ok", "")}
    stored = store(run, base / "calm")
    with pytest.MonkeyPatch.context() as patch:
        figures = plugins.figures()
        patch.setattr(plugins, "figures", lambda: {name: figures[name] for name in ("energy", "power", "roofline")})
        written = CliRunner().invoke(app, ["report", str(stored), "--format", "markdown,html,csv,figures"])
    assert written.exit_code == 0, written.output
    return stand_in, open_run(stored), stored / "report"


def test_a_metered_report_has_joules_of_a_token_with_intervals(metered: tuple[StandIn, Run, Path]) -> None:
    _, run, report = metered
    table = build(run).table("energy")
    (row,) = table.rows
    gross, item = table.cell(row, "energy_j"), table.cell(row, "energy_of_item_j")
    for cell in (gross, item):
        assert cell.interval is not None
        assert 0 < cell.interval.low < cell.value < cell.interval.high
    assert item.value == pytest.approx(gross.value), "a call of decode makes one token"
    assert table.cell(row, "item").text == "token"
    for name, text in texts(report).items():
        assert "unavailable" not in text.partition("Energy")[2].partition("Efficiency")[0], name
        for section in SECTIONS:
            assert section in text, (name, section)
    (printed,) = rows(report, "energy")
    assert float(printed["energy_of_item_j"]) == pytest.approx(item.value)
    without_zeros(report, "energy", "memory", "memory-plan", "efficiency")
    assert not ZERO_JOULES.search(texts(report)["markdown"])


def test_a_metered_report_draws_power_over_time(metered: tuple[StandIn, Run, Path]) -> None:
    _, _, report = metered
    traced = rows(report, "power")
    assert {row["phase"] for row in traced} == {"before", "calls", "after"}
    assert all(float(row["watts"]) > 0 for row in traced)
    assert {path.stem for path in (report / "figures").iterdir()} >= {"energy", "power", "roofline"}


def test_what_is_stored_of_a_meter_is_whole(metered: tuple[StandIn, Run, Path]) -> None:
    stand_in, run, _ = metered
    for result in run.results:
        if result.round == 0:
            assert result.energy.reason == "too_short: a cold launch has no timed window"
            continue
        use = result.energy_use
        assert (use.source, use.boundary, use.quality) == (stand_in.source, stand_in.boundary, "measured_counter")
        assert use.period_measured
        assert use.window_s >= 50 * use.update_period_s
        assert use.uncertainty_j > 0
        assert use.trace.watts
        power = use.gross_j / use.window_s
        if stand_in.source == "rapl":
            assert power == pytest.approx(WATTS, rel=0.2)  # the thread that drives it may be late
        else:
            assert use.integral_j is not None
            assert use.idle_before_w == pytest.approx(60, rel=0.3)
            assert use.idle_before_w < power < 400
            assert 0 < use.net_j < use.gross_j


def test_what_shared_the_board_is_recorded_where_it_was_allowed(metered: tuple[StandIn, Run, Path]) -> None:
    stand_in, run, report = metered
    if stand_in.source != "nvml":
        assert "allow_foreign_processes" not in run.manifest.plan
        assert not (report / "csv" / "device.csv").exists()
        return
    assert run.manifest.plan["allow_foreign_processes"] is True
    timed = [result for result in run.results if result.round]
    assert {result.details.board.foreign_processes for result in timed} == {1}
    rounds = len({result.round for result in timed})  # a contaminated round is measured again
    for row in rows(report, "device"):
        assert (row["others"], row["slowed"], row["l2"]) == (f"{rounds} of {rounds}", f"0 of {rounds}", "hot")
