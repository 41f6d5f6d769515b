"""Damage found and set aside: every damaged file is named, the rest stays readable."""

import hashlib
import json
import shutil

import pytest

from steelyard.core.errors import StoreError
from steelyard.store import check_run, create_run, last_round, merge, open_run, read_run, resume, set_aside
from tests.fakes.runs import llm_points, synthetic_run
from tests.store.test_store_round_trip import append, write


@pytest.fixture
def run():
    return synthetic_run(backends=("eager", "xla"), rounds=3, points=llm_points(("decode",)), segments=((0, 1), (2, 3)))


@pytest.fixture
def path(tmp_path, run):
    return write(tmp_path, run)


def found(path):
    return {item.file: item.problem for item in check_run(path)}


def edit(file, old, new):
    """Change a file as somebody would who mends nothing else."""
    data = file.read_bytes()
    assert old in data
    file.write_bytes(data.replace(old, new, 1))


def mend_hashes(path, index):
    """Make segment.json say what the files are now."""
    segment = path / f"segment-{index:03d}" / "segment.json"
    document = json.loads(segment.read_text())
    for name in document["files"]:
        document["files"][name] = hashlib.sha256((segment.parent / name).read_bytes()).hexdigest()
    document["manifest_sha256"] = hashlib.sha256((path / "manifest.json").read_bytes()).hexdigest()
    segment.write_text(json.dumps(document))


def test_a_whole_run_has_no_findings(path):
    assert check_run(path) == ()


def test_an_open_segment_is_no_damage_and_a_torn_line_neither(tmp_path, run):
    with create_run(tmp_path, run.manifest) as writer:
        append(writer, run, (0, 1))
    with (writer.path / "segment-000.open" / "journal.jsonl").open("ab") as stream:
        stream.write(b'{"event":')
    assert check_run(writer.path) == ()


def test_all_damaged_files_are_named_not_only_the_first(path):
    edit(path / "segment-000" / "results.jsonl", b'"ok"', b'"OK"')
    (path / "segment-001" / "launches.jsonl").unlink()
    parquet = path / "segment-001" / "samples.parquet"
    parquet.write_bytes(parquet.read_bytes()[:100])
    problems = found(path)
    assert set(problems) == {"segment-000/results.jsonl", "segment-001/launches.jsonl", "segment-001/samples.parquet"}
    assert "damaged or edited" in problems["segment-000/results.jsonl"]
    assert "No such file" in problems["segment-001/launches.jsonl"]


@pytest.mark.parametrize(
    ("name", "old", "new", "told"),
    [
        ("results.jsonl", b'"samples":40', b'"samples":39', "segment-000/results.jsonl"),
        ("results.jsonl", b'"samples":40,"starts_s":40', b'"samples":39,"starts_s":39', "segment-000/samples.parquet"),
        ("results.jsonl", b'"samples":40', b'"samples":"40"', "segment-000/results.jsonl"),
        ("results.jsonl", b'"samples":40', b'"samples":-1', "segment-000/results.jsonl"),
        ("results.jsonl", b'"steady":"warmed"', b'"steady":"lukewarm"', "segment-000/results.jsonl"),
        ("results.jsonl", b'"measurements":[', b'"measurements":[7,', "segment-000/results.jsonl"),
        ("results.jsonl", b'{"case_id"', b'"case_id"', "segment-000/results.jsonl"),
        ("launches.jsonl", b'"position":0', b'"position":null', "segment-000/launches.jsonl"),
        ("results.jsonl", b'"arm":"xla","round":1', b'"arm":"xlb","round":1', "segment-000/samples.parquet"),
    ],
)
def test_an_edit_with_its_hash_mended_is_still_found(path, name, old, new, told):
    edit(path / "segment-000" / name, old, new)
    mend_hashes(path, 0)
    assert list(found(path)) == [told]


def test_a_parquet_file_of_something_else_is_found(path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = path / "segment-000" / "samples.parquet"
    for table in (pa.table({"a": [1]}), pa.table({"index": [0], "start_s": [0.0], "value": ["x"]})):
        pq.write_table(table, file)
        mend_hashes(path, 0)
        assert list(found(path)) == ["segment-000/samples.parquet"]


def test_a_link_in_place_of_a_file_is_found(path, tmp_path):
    outside = tmp_path / "outside"
    file = path / "segment-000" / "results.jsonl"
    file.rename(outside)
    file.symlink_to(outside)
    assert set(found(path)) == {"segment-000/results.jsonl"}


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"schema_version": 99}', "\x00"])
def test_a_damaged_manifest_is_one_of_the_findings(path, text):
    (path / "manifest.json").write_text(text)
    assert "manifest.json" in found(path)


def test_what_is_no_run_is_one_finding(tmp_path):
    assert [item.file for item in check_run(tmp_path / "nowhere")] == ["."]
    assert [item.file for item in check_run(tmp_path)] == ["manifest.json"]


def test_a_damaged_segment_is_set_aside_and_the_rest_counts(path, run):
    edit(path / "segment-000" / "results.jsonl", b'"ok"', b'"OK"')
    (moved,) = set_aside(path.parent, path, check_run(path))
    assert moved == path / "quarantine" / "segment-000"
    assert (moved / "results.jsonl").exists()
    reason = json.loads((path / "quarantine" / "segment-000.json").read_text())
    assert reason["findings"][0]["file"] == "segment-000/results.jsonl"
    assert check_run(path) == ()
    stored = read_run(path)
    assert [segment.index for segment in stored.run.segments] == [1]
    (note,) = stored.notes
    assert note.startswith("segment-000 was damaged and lies in quarantine/")
    assert note.endswith("its rounds do not count")


def test_a_whole_segment_merged_in_from_another_place_takes_the_place_of_one_set_aside(path, run, tmp_path):
    whole = shutil.copytree(path, tmp_path / "elsewhere" / path.name)
    edit(path / "segment-000" / "results.jsonl", b'"ok"', b'"OK"')
    set_aside(path.parent, path, check_run(path))
    merge(path.parent, [whole])
    stored = read_run(path)
    assert [segment.index for segment in stored.run.segments] == [0, 1]
    assert stored.run.digest == read_run(whole).run.digest
    (note,) = stored.notes
    assert note.endswith("a whole one took its place and counts")


def test_a_later_segment_never_takes_the_place_of_one_set_aside(path, run):
    (path / "segment-001" / "samples.parquet").unlink()
    set_aside(path.parent, path, check_run(path))
    with resume(path, run.manifest) as writer:
        assert writer.begin_segment(started_utc="2026-01-02T00:00:00Z", noise=run.segments[0].noise) == 2


@pytest.mark.parametrize("damage", ["results.jsonl", "segment.json"])
def test_the_rounds_of_a_segment_set_aside_keep_their_numbers(path, run, damage):
    assert last_round(path) == 0
    file = path / "segment-001" / damage
    file.write_bytes(file.read_bytes()[:-7])
    set_aside(path.parent, path, check_run(path))
    assert last_round(path) == 3


def test_whatever_a_damaged_file_holds_is_read_for_round_numbers(path):
    (path / "quarantine" / "segment-004").mkdir(parents=True)
    (path / "quarantine" / "segment-004" / "results.jsonl").write_bytes(b'{"round":3\n4}\xff{"rounds" : [ 7,8,\n9x')
    assert last_round(path) == 9


def test_a_round_that_stands_in_two_segments_is_damage_and_is_not_merged_in(path, run, tmp_path):
    """As where a run was gone on with without a damaged segment, of which a whole copy is found later."""
    whole = shutil.copytree(path, tmp_path / "elsewhere" / path.name)
    file = path / "segment-001" / "results.jsonl"
    file.write_bytes(file.read_bytes()[:-7])
    set_aside(path.parent, path, check_run(path))
    with resume(path, run.manifest) as writer:
        append(writer, run, (2, 3))
        writer.finish(ended="rounds", rounds=(2, 3))
    with pytest.raises(StoreError, match=r"round 2 stands in .*segment-001 as well: 2 rounds would count twice"):
        merge(path.parent, [whole])
    shutil.copytree(whole / "segment-001", path / "segment-001")
    assert found(path) == {"segment-002": "round 2 stands in segment-001 as well: 2 rounds would count twice"}
    with pytest.raises(StoreError, match="bench store verify --quarantine sets it aside"):
        open_run(path)


def test_a_run_without_its_manifest_is_set_aside_whole(path):
    (path / "manifest.json").write_text("{}")
    root = path.parent
    (moved,) = set_aside(root, path, check_run(path))
    assert moved == root / "quarantine" / path.name
    assert not path.exists()
    assert (moved / "segment-000" / "samples.parquet").exists()
    shutil.copytree(moved, path)
    assert set_aside(root, path, check_run(path)) == (root / "quarantine" / f"{path.name}-1",)


def test_a_run_that_is_being_written_is_not_moved(path, run):
    (path / "segment-000" / "results.jsonl").unlink()
    findings = check_run(path)
    with resume(path, run.manifest), pytest.raises(StoreError, match="another process is writing"):
        set_aside(path.parent, path, findings)
    assert (path / "segment-000").exists()


def test_an_error_points_to_verify(path):
    edit(path / "segment-000" / "results.jsonl", b'"ok"', b'"OK"')
    with pytest.raises(StoreError, match="bench store verify names all damage"):
        open_run(path)
