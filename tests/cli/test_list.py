"""`bench list`: what it prints, and what it does not import."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from steelyard.cli.main import app, main
from steelyard.store import create_run
from tests.fakes.runs import synthetic_run


def bench(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def test_all_kinds_are_listed(tmp_path):
    output = bench("list", "--runs", tmp_path).output
    for word in ("suites", "backends", "devices", "workloads", "llm", "onnxruntime", "generate", "cpu", "runs: none"):
        assert word in output
    assert max(len(line) for line in output.splitlines() if str(tmp_path) not in line) <= 80


def test_of_a_suite_with_hundreds_of_workloads_people_see_how_many_and_data_has_each():
    rows = json.loads(bench("list", "workloads", "--json").output)["workloads"]
    count = sum(row["suite"] == "coverage" for row in rows)
    text = bench("list", "workloads").output
    assert count > 300
    assert f"{count} of them" in text
    assert text.count("coverage") == 1
    assert "resnet50" in text


@pytest.mark.parametrize(
    ("kind", "key", "expected"),
    [
        ("suites", "suite", "llm"),
        ("backends", "backend", "eager"),
        ("devices", "device", "cpu"),
        ("workloads", "workload", "decode"),
    ],
)
def test_the_same_as_data(kind, key, expected):
    data = json.loads(bench("list", kind, "--json").output)
    assert (data.pop("kind"), data.pop("version")) == ("steelyard-list", 1)
    assert list(data) == [kind]
    assert expected in [row[key] for row in data[kind]]


def test_what_no_published_run_has_shown_is_called_experimental():
    assert "experimental: not seen on hardware" in bench("list", "backends").output
    rows = {row["backend"]: row for row in json.loads(bench("list", "backends", "--json").output)["backends"]}
    assert rows["openvino"]["devices"] == ["cpu"]
    assert rows["openvino"]["experimental"] == ["xpu", "npu"]
    assert rows["onnxruntime"]["experimental"] == ["cuda", "rocm", "mps"]
    assert rows["xla"]["experimental"] == ["cuda", "rocm", "tpu"]


def test_runs_with_a_damaged_one_among_them(tmp_path):
    create_run(tmp_path, synthetic_run(backends=("eager", "xla"), rounds=1).manifest).close()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text('{"schema_version": 99}')
    data = json.loads(bench("list", "runs", "--runs", tmp_path, "--json").output)
    good, broken = data["runs"]
    assert "newer steelyard" in broken["problem"]
    assert good["backends"] == ["eager", "xla"]
    assert good["problem"] == ""


def test_an_unknown_kind_names_the_valid_ones(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench", "list", "backend"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "did you mean 'backends'" in capsys.readouterr().err


def test_listing_imports_no_framework(tmp_path):
    code = (
        "import sys\nfrom steelyard.cli.list import list_\nlist_(None, __import__('pathlib').Path('none'), False)\n"
        "heavy = {'torch', 'jax', 'onnxruntime', 'openvino', 'pandas', 'matplotlib', 'pyarrow'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, stdout=subprocess.DEVNULL)
