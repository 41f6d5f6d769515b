"""What a desktop, an editor or a person leaves in a stored run is named, read by nothing, and no damage."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from steelyard.artifact.archive import unpack
from steelyard.artifact.bundle import contents
from steelyard.artifact.sums import run_files
from steelyard.core.run import Run
from steelyard.store import check_run, left_behind, merge, open_run, read_run, set_aside, strangers
from tests.cli.test_store_verbs import bench
from tests.fakes.runs import llm_points, synthetic_run
from tests.fakes.stored import honest
from tests.store.test_store_round_trip import write

LEFT = (
    ".DS_Store",
    "._results.jsonl",
    "Thumbs.db",
    "desktop.ini",
    "results.jsonl~",
    "#results.jsonl#",
    ".launches.swp",
)
STRANGERS = (
    *(name for name in LEFT),
    "manifest.json~",
    "notes.txt",
    "segment-000 copy",
    *(f"segment-000/{name}" for name in (*LEFT, "notes.txt")),
)


@pytest.fixture
def run() -> Run:
    points = llm_points(("decode",))
    return honest(synthetic_run(backends=("eager", "xla"), rounds=3, points=points, segments=((0, 1), (2, 3))))


@pytest.fixture
def path(tmp_path: Path, run: Run) -> Path:
    """A run into which people have looked."""
    found = write(tmp_path / "runs", run)
    for name in STRANGERS:
        (found / name).write_bytes(b"\x00\x05\x16\x07 of no run")
    (found / ".lock").touch()
    return found


def test_all_of_them_are_named_and_nothing_else(path: Path) -> None:
    (path / "report").mkdir()
    assert strangers(path) == tuple(sorted(STRANGERS))
    assert check_run(path) == ()


def test_a_run_reads_and_is_sealed_as_without_them(path: Path, run: Run, tmp_path: Path) -> None:
    plain = open_run(write(tmp_path / "plain", run))
    stored = read_run(path)
    assert stored.run == plain
    assert stored.run.digest == plain.digest
    assert stored.notes == ()


def test_verify_names_them_and_quarantine_moves_none(path: Path) -> None:
    told = bench("store", "verify", "--quarantine", "--runs", path.parent).stdout
    assert f"{path.name}: whole" in told
    assert all(f"  {name}: no file of the run, ignored" in told for name in STRANGERS)
    assert not (path / "quarantine").exists()
    data = json.loads(bench("store", "verify", "--runs", path.parent, "--json").stdout)["runs"][0]
    assert (data["findings"], data["strangers"]) == ([], sorted(STRANGERS))
    ended = bench("verify", path)
    assert all(f"note      {name}: no file of the run" in ended.stdout for name in STRANGERS)


def test_damage_beside_them_is_found_and_set_aside_as_ever(path: Path) -> None:
    (path / "segment-001" / "launches.jsonl").write_text("")
    assert [item.file for item in check_run(path)] == ["segment-001/launches.jsonl"]
    (moved,) = set_aside(path.parent, path, check_run(path))
    assert moved == path / "quarantine" / "segment-001"
    assert check_run(path) == ()


def test_a_merge_leaves_them_where_they_are(path: Path, tmp_path: Path) -> None:
    (merged,) = merge(tmp_path / "there", [path.parent])
    assert merged.strangers == tuple(str(path / name) for name in sorted(STRANGERS))
    assert strangers(merged.path) == ()
    assert check_run(merged.path) == ()
    told = bench("store", "merge", path, "--runs", tmp_path / "there").stdout
    assert f"{path / '.DS_Store'} is no file of the run and was left out" in told.replace("\n", "")


def test_no_bundle_and_no_sums_hold_them(path: Path) -> None:
    names = set(contents(open_run(path), path, {}))
    assert not [name for name in names if name.removeprefix("run/") in STRANGERS]
    assert set(run_files(path)) == {
        "manifest.json",
        *(f"segment-00{n}/{name}" for n in (0, 1)
          for name in ("segment.json", "launches.jsonl", "results.jsonl", "samples.parquet")),
    }  # fmt: skip


def test_a_report_and_a_bundle_that_were_looked_at_are_still_traced(path: Path, tmp_path: Path) -> None:
    bench("report", path, "--format", "csv")
    for name in (".DS_Store", "csv/.DS_Store", "csv/all.csv~"):
        (path / "report" / name).write_bytes(b"x")
    assert "note      csv/.DS_Store: left by a desktop or an editor" in bench("verify", path).stdout
    (path / "report" / "mine.csv").write_text("a,b\n")
    assert "UNTRACED  mine.csv" in bench("verify", path, code=1).stdout


def test_what_a_desktops_archiver_adds_to_a_bundle_is_left_out(tmp_path: Path) -> None:
    source = tmp_path / "bundle.tar.gz"
    with tarfile.open(source, "w:gz") as archive:
        for name in ("._bundle", "bundle/._README.md", "bundle/.DS_Store", "bundle/README.md", "__MACOSX/bundle/x"):
            member = tarfile.TarInfo(name)
            member.size = 1
            archive.addfile(member, io.BytesIO(b"x"))
    (tmp_path / "out").mkdir()
    root = unpack(source, tmp_path / "out")
    assert [entry.name for entry in root.iterdir()] == ["README.md"]


@pytest.mark.parametrize("name", ["report.md", "figures/latency.svg", "csv/all.csv", "latex/_a.tex", "a.tmp.csv", ".x"])
def test_a_file_that_might_be_meant_is_not_taken_for_one(name: str) -> None:
    assert not left_behind(name)
