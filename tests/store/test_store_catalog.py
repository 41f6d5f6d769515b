"""A run is who its manifest says it is: renamed folders, copies, and damaged ones among them."""

import json
import shutil
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from steelyard.cli.main import app
from steelyard.core.errors import UsageError
from steelyard.store import copies, create_run, find_run, list_runs, merge, query, run_folders, run_of_id, runs_once
from steelyard.store.catalog import is_of
from tests.fakes.runs import synthetic_run
from tests.store.test_store_round_trip import NOISE

OLD, NEW = "20260101T000000Z-llm-aaaaaa", "20260201T000000Z-llm-bbbbbb"


@pytest.fixture
def root(tmp_path):
    """Two runs, of which the older one's folder sorts last: it was renamed."""
    run = synthetic_run(backends=("eager", "xla"), rounds=1)
    for name, created in ((OLD, "2026-01-01T00:00:00+00:00"), (NEW, "2026-02-01T00:00:00+00:00")):
        with create_run(tmp_path, replace(run.manifest, run_id=name, created_utc=created)) as writer:
            writer.begin_segment(started_utc=created, noise=NOISE)
            for result in run.results:
                writer.result(result)
            writer.finish(ended="rounds", rounds=[0, 1])
    (tmp_path / OLD).rename(tmp_path / "before-tuning")
    return tmp_path


def test_a_renamed_run_is_found_by_folder_and_by_id_and_is_as_old_as_it_was(root):
    renamed, newest = root / "before-tuning", root / NEW
    assert find_run(root, "latest") == newest
    for wanted in (OLD, "before-tuning", "before", "aaaaaa", "20260101"):
        assert find_run(root, wanted) == renamed, wanted
    assert run_of_id(root, OLD) == renamed
    assert run_folders(root) == (renamed, newest)
    assert [(entry.run_id, entry.path, entry.problem) for entry in list_runs(root)] == [
        (OLD, renamed, ""),
        (NEW, newest, ""),
    ]
    assert is_of(renamed, OLD)
    assert not is_of(renamed, "before-tuning")
    with pytest.raises(UsageError, match="there is no run 'before-tuning'"):
        run_of_id(root, "before-tuning")


def test_a_copy_is_named_and_counted_once(root):
    shutil.copytree(root / NEW, root / "a-backup")
    assert runs_once(root) == (root / "before-tuning", root / NEW)
    told = f"{root / 'a-backup'}: a copy of the run in {NEW}/, and counted there"
    assert copies(root) == {root / "a-backup": told}
    assert find_run(root, "latest") == find_run(root, NEW) == find_run(root, "bbbbbb") == root / NEW
    assert find_run(root, "a-backup") == root / "a-backup"
    assert [entry.problem for entry in list_runs(root)] == ["", "", told]
    answer = query(root, "SELECT run_id, count(*) FROM results GROUP BY run_id ORDER BY run_id")
    once = query(root, f"SELECT count(*) FROM results WHERE run_id = '{OLD}'").rows[0][0]
    assert answer.rows == ((OLD, once), (NEW, once))
    assert answer.left_out == (told,)


def test_of_copies_the_one_with_more_segments_counts(root):
    shutil.copytree(root / NEW, root / "a-backup")
    shutil.rmtree(root / NEW / "segment-000")
    assert find_run(root, "latest") == root / "a-backup"


def test_a_copy_whose_original_is_damaged_counts_and_the_damage_is_told(root):
    shutil.copytree(root / NEW, root / "a-backup")
    (root / NEW / "manifest.json").write_text("{")
    assert copies(root) == {}
    assert run_of_id(root, NEW) == root / "a-backup"
    assert ["manifest.json" in entry.problem for entry in list_runs(root)] == [False, True, False]


def test_what_tells_no_time_is_never_the_latest(root):
    (root / "zz").mkdir()
    (root / "zz" / "manifest.json").write_text("{}")
    assert find_run(root, "latest") == root / NEW
    assert list_runs(root)[-1].path == root / "zz"


def test_a_merge_knows_runs_by_their_id_and_names_copies(root, tmp_path_factory):
    shutil.copytree(root / NEW, root / "a-backup")
    target = tmp_path_factory.mktemp("target")
    merged = merge(target, [root])
    assert sorted(path.name for path in target.iterdir()) == [OLD, NEW]
    assert [entry.run_id for entry in merged] == [OLD, NEW]
    said = CliRunner().invoke(app, ["store", "merge", str(target), "--runs", str(root)]).output
    assert f"{OLD}: is here already" in said
    assert "a-backup: a copy of the run in" in said.replace("\n", "")


def test_listed_as_data_with_the_folder_where_that_is_not_the_id(root):
    output = CliRunner().invoke(app, ["list", "runs", "--runs", str(root), "--json"]).output
    assert [(run["run"], run["folder"]) for run in json.loads(output)["runs"]] == [(OLD, "before-tuning"), (NEW, "")]
