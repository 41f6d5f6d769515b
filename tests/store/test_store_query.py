"""SQL over stored runs: the views agree with the runs, nothing else can be reached, damage stops nothing."""

from dataclasses import replace

import numpy as np
import pytest

from steelyard.core.errors import UsageError
from steelyard.store import open_run, query, segments
from steelyard.store.views import COLUMNS
from tests.fakes.runs import llm_points, synthetic_run
from tests.store.test_store_round_trip import write


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp("o'ne [runs]*")
    for seed in (1, 2):
        points = llm_points(("decode",), batches=(seed,))
        write(path, synthetic_run(backends=("eager", "xla"), rounds=3, points=points, headline="decode", seed=seed))
    return path


def rows(root, sql):
    answer = query(root, sql)
    assert answer.left_out == ()
    return list(answer.rows)


def test_samples_are_those_of_the_runs(root):
    for run_id, launch, arm, values, starts in rows(
        root,
        "select run_id, launch, arm, list(value order by index), list(start_s order by index) from samples "
        "group by all",
    ):
        run = open_run(root / run_id)
        (result,) = [item for item in run.results if (item.launch, item.arm) == (launch, arm) and item.measurements]
        assert values == list(result.measurements[0].samples)
        assert starts == list(result.measurements[0].starts_s)


def test_results_launches_and_runs_are_those_of_the_runs(root):
    run = open_run(root / "synthetic-0002")
    found = rows(
        root,
        "select r.arm, r.round, workload, axes['batch'], status, compile_s, memory['host_peak_bytes/compile'], "
        "energy_j, l.ended_s from results r join launches l using (run_id, segment, launch) "
        "where run_id = 'synthetic-0002' order by l.started_s",
    )
    ended = {record.launch: record.ended_s for record in run.launches}
    assert found == [
        (
            result.arm,
            result.round,
            "decode",
            "2",
            "ok",
            result.phases["compile_s"],
            result.memory["host_peak_bytes/compile"].value,
            None,
            ended[result.launch],
        )
        for result in run.results
    ]
    assert rows(root, "select run_id, threads, segments from runs order by all") == [
        ("synthetic-0001", 2, 1),
        ("synthetic-0002", 2, 1),
    ]


def test_a_median_is_the_one_that_numpy_computes(root):
    run = open_run(root / "synthetic-0001")
    values = [v for r in run.results if r.arm == "xla" for m in r.measurements for v in m.samples]
    ((found,),) = rows(root, "select median(value) from samples where arm = 'xla' and run_id like '%1'")
    assert found == pytest.approx(float(np.median(values)), rel=1e-15)


def test_only_what_a_statement_names_is_read(root, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("documents are read for a query that does not ask for them")

    monkeypatch.setattr(segments, "read_published", refuse)
    (answer,) = query(root, "with s as (select * from SAMPLES) select count(*) from s").rows
    assert answer[0] > 0
    with pytest.raises(AssertionError):
        query(root, "select count(*) from results")


def test_a_join_finds_the_columns_of_both_sides(root):
    joined = query(root, "select count(*) from results r join launches l using (run_id, launch)").rows
    assert joined == query(root, "select count(*) from results").rows


def test_the_columns_are_those_that_are_documented(root):
    for view, columns in COLUMNS.items():
        assert [row[0] for row in rows(root, f"describe {view}")] == list(columns)


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_text('{secret}')",
        "select * from '{secret}'",
        "select * from read_csv('{secret}')",
        "select * from read_parquet('{root}/*/segment-000/samples.parquet')",
        "select * from glob('/*')",
        "explain analyze copy runs to '{root}/out.csv'",
        "select * from found",  # a variable of the program
    ],
)
def test_nothing_else_can_be_read(root, tmp_path, sql):
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\n1,2\n")
    before = set(root.rglob("*"))
    with pytest.raises(UsageError, match=r"no answer: (Permission|Catalog|Binder) Error"):
        query(root, sql.format(secret=secret, root=str(root).replace("'", "''")))
    assert set(root.rglob("*")) == before


@pytest.mark.parametrize(
    "sql",
    ["copy runs to 'x.csv'", "attach 'x.db'", "install httpfs", "set threads=1", "create table x as select 1", "",
     "select 1; select 2", "drop view runs", "insert into runs select * from runs", "pragma version", "call x()"],
)  # fmt: skip
def test_only_one_statement_that_reads_is_answered(root, sql):
    with pytest.raises(UsageError, match="answers one SELECT"):
        query(root, sql)


def test_wrong_sql_says_what_is_wrong_and_which_views_there_are(root):
    with pytest.raises(UsageError, match=r"(?s)syntax error at or near \"selec\".*views: samples, results, launches"):
        query(root, "selec 1")
    with pytest.raises(UsageError, match="nocolumn"):
        query(root, "select nocolumn from runs")
    with pytest.raises(UsageError, match="there are no runs here"):
        query(root / "nowhere", "select 1")


def test_a_folder_without_runs_has_empty_views(tmp_path):
    assert rows(tmp_path, "select count(*), max(value) from samples") == [(0, None)]


@pytest.mark.parametrize("name", ["samples.parquet", "results.jsonl", "segment.json"])
def test_a_damaged_segment_is_left_out_and_named(tmp_path, name):
    points = llm_points(("decode",))
    two = synthetic_run(backends=("eager",), rounds=3, points=points, segments=((0, 1), (2, 3)))
    write(tmp_path, two)
    other = synthetic_run(backends=("eager",), rounds=1, points=points, seed=5)
    write(tmp_path, replace(other, manifest=replace(other.manifest, run_id="other")))
    file = tmp_path / two.manifest.run_id / "segment-001" / name
    file.write_bytes(file.read_bytes()[:-20])
    answer = query(tmp_path, "select run_id, segment, count(*) > 0 from samples group by all order by all")
    assert answer.rows == (("other", 0, True), (two.manifest.run_id, 0, True))
    (told,) = answer.left_out
    assert f"segment-001/{name}" in told
