"""Merging is a union: order does not matter, twice is once, and unlike runs under one id merge nothing."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steelyard.core.errors import StoreError, UsageError
from steelyard.store import create_run, merge, open_run
from tests.fakes.runs import llm_points, synthetic_run
from tests.store.test_store_round_trip import append, write

SEGMENTS = 3


def tree(root: Path) -> dict[str, bytes]:
    """What a folder of runs holds, locks apart."""
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file() and p.name != ".lock"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """Two runs of three segments each."""
    root = tmp_path_factory.mktemp("whole")
    for seed in (1, 2):
        parts = tuple((number,) for number in range(SEGMENTS))
        run = synthetic_run(backends=("eager",), rounds=2, points=llm_points(("decode",)), seed=seed, segments=parts)
        write(root, run)
    return root


def copy_of(whole: Path, place: Path, kept: dict[str, int]) -> Path:
    """A folder that knows the first segments only of some of the runs."""
    for name, count in kept.items():
        shutil.copytree(whole / name, place / name)
        for index in range(count, SEGMENTS):
            shutil.rmtree(place / name / f"segment-{index:03d}")
    place.mkdir(exist_ok=True)
    return place


knowledge = st.dictionaries(st.sampled_from(["synthetic-0001", "synthetic-0002"]), st.integers(1, SEGMENTS), min_size=1)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places=st.lists(knowledge, min_size=1, max_size=3), order=st.randoms(use_true_random=False))
def test_the_order_does_not_matter_and_twice_is_once(tmp_path_factory, whole, places, order):
    base = tmp_path_factory.mktemp("merge")
    sources = [copy_of(whole, base / f"source{number}", kept) for number, kept in enumerate(places)]
    merge(base / "at-once", sources)
    shuffled = list(sources)
    order.shuffle(shuffled)
    for source in shuffled:
        merge(base / "one-by-one", [source])
    merged = tree(base / "at-once")
    assert tree(base / "one-by-one") == merged
    assert merged == {
        name: data
        for name, data in tree(whole).items()
        if any(
            (run := name.split("/")[0]) in kept
            and not any(f"segment-{i:03d}" in name for i in range(kept[run], SEGMENTS))
            for kept in places
        )
    }
    assert all(not entry.new and not entry.added for entry in merge(base / "at-once", sources))
    assert tree(base / "at-once") == merged


def test_a_run_alone_can_be_merged_and_reads_the_same(whole, tmp_path):
    (merged,) = merge(tmp_path / "here", [whole / "synthetic-0002"])
    assert (merged.new, merged.added) == (True, ("segment-000", "segment-001", "segment-002"))
    assert open_run(merged.path) == open_run(whole / "synthetic-0002")


def test_what_grew_elsewhere_is_added_to_the_run_here(whole, tmp_path):
    root = copy_of(whole, tmp_path / "here", {"synthetic-0001": 1})
    (root / "synthetic-0001").rename(root / "renamed")
    before = tree(root)
    (merged,) = merge(root, [whole / "synthetic-0001"])
    assert (merged.path, merged.added) == (root / "renamed", ("segment-001", "segment-002"))
    assert before.items() <= tree(root).items()


def test_unlike_runs_with_one_id_merge_nothing_and_name_both(whole, tmp_path):
    other = synthetic_run(backends=("eager",), rounds=2, points=llm_points(("decode",)), seed=9, segments=((0,), (1,)))
    impostor = write(tmp_path / "other", replace(other, manifest=replace(other.manifest, run_id="synthetic-0001")))
    root = tmp_path / "here"
    with pytest.raises(StoreError) as error:
        merge(root, [whole, tmp_path / "other"])
    assert "nothing was merged" in str(error.value)
    name = "synthetic-0001/segment-000/segment.json"
    assert f"{tmp_path / 'other' / name} and {whole / name} differ" in str(error.value)
    assert not root.exists()
    merge(root, [whole])
    before = tree(root)
    with pytest.raises(StoreError, match="differ"):
        merge(root, [impostor])
    assert tree(root) == before


def test_a_damaged_source_merges_nothing(whole, tmp_path):
    source = copy_of(whole, tmp_path / "source", {"synthetic-0001": 2, "synthetic-0002": 2})
    file = source / "synthetic-0002" / "segment-001" / "samples.parquet"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(StoreError, match=r"segment-001/samples\.parquet: damaged or edited"):
        merge(tmp_path / "here", [source])
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize("name", ["../evil", "evil\n"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path, name):
    run = synthetic_run(backends=("eager",), rounds=1, points=llm_points(("decode",)))
    path = write(tmp_path, run)
    evil = replace(run, manifest=replace(run.manifest, run_id=name))
    (tmp_path / "a").mkdir()
    shutil.move(write(tmp_path / "a", evil), tmp_path / "a" / "fine")
    with pytest.raises(StoreError, match="is no name for a run"):
        merge(tmp_path / "deep" / "here", [tmp_path / "a"])
    assert not (tmp_path / "deep").exists()
    assert path.exists()


def test_what_is_not_published_is_left_out_and_told(tmp_path):
    run = synthetic_run(backends=("eager",), rounds=2, points=llm_points(("decode",)), segments=((0, 1), (2,)))
    path = write(tmp_path / "there", replace(run, segments=run.segments[:1]))
    from steelyard.store import resume

    with resume(path) as writer:
        append(writer, run, (2,))
    (merged,) = merge(tmp_path / "here", [tmp_path / "there"])
    assert (merged.added, merged.left_out) == (("segment-000",), ("segment-001.open",))


def test_an_open_segment_here_is_not_overtaken(whole, tmp_path):
    root = copy_of(whole, tmp_path / "here", {"synthetic-0001": 1})
    (root / "synthetic-0001" / "segment-001.open").mkdir()
    with pytest.raises(StoreError, match="not published yet"):
        merge(root, [whole / "synthetic-0001"])


def test_the_name_of_a_damaged_run_here_is_not_free(whole, tmp_path):
    root = copy_of(whole, tmp_path / "here", {"synthetic-0001": 1})
    (root / "synthetic-0001" / "manifest.json").write_text("{}")
    with pytest.raises(StoreError, match="is in the way"):
        merge(root, [whole])
    assert not (root / "synthetic-0002").exists()


def test_the_recordings_of_a_traced_run_are_named_as_left_out(whole, tmp_path):
    source = copy_of(whole, tmp_path / "source", {"synthetic-0001": SEGMENTS})
    (source / "synthetic-0001" / "traces").mkdir()
    (merged,) = merge(tmp_path / "root", [source])
    assert merged.strangers == (str(source / "synthetic-0001" / "traces"),)


def test_a_place_without_runs_is_named(tmp_path):
    with pytest.raises(UsageError, match="neither a run nor a folder of runs"):
        merge(tmp_path, [tmp_path / "nowhere"])


def test_a_run_just_made_has_no_segment(tmp_path):
    run = synthetic_run(backends=("eager",), rounds=1, points=llm_points(("decode",)))
    create_run(tmp_path / "there", run.manifest).close()
    (merged,) = merge(tmp_path / "here", [tmp_path / "there"])
    assert (merged.new, merged.added) == (True, ())
