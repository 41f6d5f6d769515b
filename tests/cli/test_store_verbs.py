"""`bench store`: query in three forms, merge, verify with and without quarantine; damage stops nothing else."""

import csv
import io
import json

import pytest
from typer.testing import CliRunner

from steelyard.cli.main import app
from steelyard.core.errors import StoreError, UsageError
from tests.cli.test_show import store
from tests.fakes.runs import llm_points, synthetic_run


def bench(*arguments, code=0):
    ended = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if ended.exception is not None and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    assert ended.exit_code == code, ended.output
    return ended


@pytest.fixture
def root(tmp_path):
    for seed in (1, 2):
        store(
            tmp_path / "runs", synthetic_run(backends=("eager",), rounds=1, points=llm_points(("decode",)), seed=seed)
        )
    return tmp_path / "runs"


SQL = "select run_id, round, count(*) as n, max(value) as worst, null as nothing from samples group by all order by 1"


def test_an_answer_as_csv_and_json_is_whole_and_as_a_table_short(root):
    lines = list(csv.reader(io.StringIO(bench("store", "query", SQL, "--runs", root, "--format", "csv").stdout)))
    assert lines[0] == ["run_id", "round", "n", "worst", "nothing"]
    assert [line[:3] for line in lines[1:]] == [["synthetic-0001", "1", "80"], ["synthetic-0002", "1", "80"]]
    data = json.loads(bench("store", "query", SQL, "--runs", root, "--format", "json").stdout)
    assert (data["kind"], data["version"], data["left_out"]) == ("steelyard-query", 1, [])
    assert [column["name"] for column in data["columns"]] == lines[0]
    assert [float(line[3]) for line in lines[1:]] == [row[3] for row in data["rows"]]
    assert data["rows"][0][4] is None
    table = bench("store", "query", SQL, "--runs", root).stdout
    assert "2 rows" in table
    assert f"{data['rows'][0][3]:.6g}" in table
    with pytest.raises(UsageError, match="answers one SELECT"):
        bench("store", "query", "drop view runs", "--runs", root)


def test_damage_is_named_on_stderr_and_stops_neither_query_list_nor_show(root):
    file = root / "synthetic-0002" / "segment-000" / "samples.parquet"
    file.write_bytes(file.read_bytes()[:-30])
    ended = bench("store", "query", SQL, "--runs", root, "--format", "csv")
    assert "synthetic-0002" not in ended.stdout
    assert "left out" in ended.stderr
    assert "synthetic-0002/segment-000/samples.parquet" in ended.stderr.replace("\n", "")
    assert "synthetic-0002" in bench("list", "runs", "--runs", root).stdout
    assert "synthetic-0001" in bench("show", "synthetic-0001", "--runs", root).stdout


def test_verify_names_damage_and_quarantine_moves_it(root):
    assert bench("store", "verify", "--runs", root).stdout.count(": whole") == 2
    (root / "synthetic-0002" / "segment-000" / "launches.jsonl").write_text("")
    ended = bench("store", "verify", "--runs", root, code=1)
    assert "synthetic-0001: whole" in ended.stdout
    assert "synthetic-0002: damaged\n  segment-000/launches.jsonl: damaged or edited" in ended.stdout
    assert (root / "synthetic-0002" / "segment-000").exists()
    data = json.loads(bench("store", "verify", "synthetic-0002", "--runs", root, "--json", code=1).stdout)
    assert data["kind"] == "steelyard-store"
    assert data["runs"][0]["findings"][0]["file"] == "segment-000/launches.jsonl"
    with pytest.raises(StoreError, match="bench store verify"):
        bench("show", "synthetic-0002", "--runs", root)
    bench("store", "verify", "--runs", root, "--quarantine", code=1)
    assert (root / "synthetic-0002" / "quarantine" / "segment-000").is_dir()
    bench("store", "verify", "--runs", root)
    assert "lies in quarantine/" in bench("show", "synthetic-0002", "--runs", root).stdout


def test_merge_says_what_it_did(root, tmp_path):
    there = tmp_path / "there"
    assert "synthetic-0001: new (segment-000)" in bench("store", "merge", root, "--runs", there).stdout
    assert "synthetic-0002: is here already" in bench("store", "merge", root, "--runs", there).stdout
