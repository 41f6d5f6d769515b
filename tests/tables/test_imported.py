"""Results of other benchmark tools: read, shown beside a run, refused where they are something else."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from steelyard import plugins
from steelyard.core.errors import UsageError
from steelyard.render.output import ReportInputs
from steelyard.service.reporting import write_run
from steelyard.tables.build import build
from steelyard.tables.imported import imported_tables, read_benchmarks
from tests.fakes.runs import llm_points, synthetic_run
from tests.reports.hostile import REASON

PYTEST = {
    "machine_info": {"node": "n"},
    "version": "5.3.1",
    "benchmarks": [
        {"name": "short", "fullname": "tests/test_a.py::short", "stats": {"median": 2e-6, "iqr": 1e-7, "rounds": 40}},
        {"name": "long", "stats": {"median": 0.5, "rounds": 5}},
    ],
}


def google(name, unit="us", **fields):
    return {"name": name, "run_name": name.partition("_median")[0].partition("_stddev")[0], "time_unit": unit, **fields}


GOOGLE = {
    "context": {"date": "d"},
    "benchmarks": [
        google("one", iterations=1000, real_time=3.0, cpu_time=2.0),
        google("two", iterations=10, real_time=9.0, run_type="iteration"),
        google("two_median", iterations=3, real_time=8.0, run_type="aggregate", aggregate_name="median"),
        google("two_stddev", iterations=3, real_time=0.5, run_type="aggregate", aggregate_name="stddev"),
        google("two_cv", iterations=3, real_time=6.0, run_type="aggregate", aggregate_name="cv",
               aggregate_unit="percentage") | {"run_name": "two"},
        *(google("three", "ms", iterations=1, real_time=value) for value in (1.0, 2.0, 6.0)),
        google("four", error_occurred=True, error_message="no device"),
    ],
}  # fmt: skip


def file(directory: Path, content, name: str = "micro.json") -> Path:
    path = directory / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_pytest_benchmark(tmp_path):
    tool, (short, long) = read_benchmarks(file(tmp_path, PYTEST))
    assert tool == "pytest-benchmark"
    assert (short.name, short.value_s, short.spread_s, short.n) == ("tests/test_a.py::short", 2e-6, 1e-7, 40)
    assert (long.name, long.value_s, long.spread_s, long.n) == ("long", 0.5, None, 5)


def test_google_benchmark(tmp_path):
    tool, (one, two, three, four) = read_benchmarks(file(tmp_path, GOOGLE))
    assert tool == "Google Benchmark"
    assert (one.value_s, one.spread_s, one.n) == (pytest.approx(3e-6), None, 1000)
    assert (two.value_s, two.spread_s, two.n) == (pytest.approx(8e-6), pytest.approx(5e-7), 3)
    assert (three.value_s, three.n) == (pytest.approx(2e-3), 3)
    assert "taken here" in three.statistic
    assert (four.value_s, four.reason) == (None, "error: no device")


def test_the_tables_carry_no_verdict_and_only_the_name_of_the_file(tmp_path):
    first, second = imported_tables(
        [file(tmp_path, PYTEST), file((tmp_path / "other").mkdir() or tmp_path / "other", GOOGLE)]
    )
    assert (first.name, second.name) == ("imported-micro", "imported-micro-2")
    assert first.title == "Imported: unpaired (micro.json)"
    assert not {column.key for column in first.columns} & {"verdict", "speedup"}
    assert first.columns[first.index("time_s")].shown == "µs"
    assert {first.cell(row, "file").text for row in first.rows} == {"micro.json"}
    assert first.cell(first.rows[1], "spread_s").value is None
    assert [note.text for note in second.footnotes] == ["four: error: no device"]
    assert str(tmp_path) not in repr(first)


def test_they_stand_in_the_report_and_hostile_names_are_text(tmp_path):
    entry = {"name": REASON, "stats": {"median": 1.0, "rounds": 2}}
    path = file(tmp_path, {**PYTEST, "benchmarks": [entry]}, "<b>&micro_%.json")
    run = synthetic_run(backends=("eager", "xla"), points=llm_points(("decode",)), headline="decode", rounds=2)
    out = tmp_path / "out"
    write_run(run, ("markdown", "csv"), out, beside=[path])
    data = build(run)
    inputs = ReportInputs(data=replace(data, tables=(*data.tables, *imported_tables([path]))))
    for name in ("html", "latex"):  # without the figures, which take long to draw
        plugins.reports()[name].write(inputs, out)
    for text in ((out / "report.md").read_text(), (out / "report.html").read_text()):
        assert "Imported: unpaired" in text
        assert "<script>alert" not in text
        assert "<b>&micro" not in text
    assert (out / "csv/imported-b-micro.csv").exists()
    assert r"\write18" not in (out / "latex/tables/imported-b-micro.tex").read_text()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not json", "not a file of benchmark results"),
        ("[1, 2]", "not a file of benchmark results"),
        ({"results": []}, "neither the JSON of pytest-benchmark"),
        ({"benchmarks": []}, "neither the JSON of pytest-benchmark"),
        ({**PYTEST, "benchmarks": [{"name": "x", "stats": {"rounds": 1}}]}, "median"),
        ({**PYTEST, "benchmarks": [{"name": "x", "stats": {"median": "1", "rounds": 1}}]}, r"benchmarks\[0\]\.stats"),
        ({**PYTEST, "benchmarks": [{"name": "x", "stats": {"median": -1.0, "rounds": 1}}]}, "a time of -1 s"),
        ({**GOOGLE, "benchmarks": [google("x", "hours", real_time=1.0)]}, "time_unit"),
        ("[" * 100_000, "not a file of benchmark results"),
    ],
)
def test_what_is_something_else_is_refused(content, message, tmp_path):
    with pytest.raises(UsageError, match=message) as error:
        read_benchmarks(file(tmp_path, content))
    assert "micro.json" in str(error.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_benchmarks(tmp_path / "none.json")


def test_an_empty_file_of_results_says_so(tmp_path):
    (table,) = imported_tables([file(tmp_path, {**PYTEST, "benchmarks": []})])
    assert (table.rows, table.empty) == ((), "micro.json holds no benchmark")


def test_a_format_without_tables_does_not_swallow_the_file(tmp_path):
    run = synthetic_run(backends=("eager", "xla"), points=llm_points(("decode",)), headline="decode", rounds=1)
    with pytest.raises(UsageError, match="junit has none"):
        write_run(run, ("junit",), tmp_path, beside=[file(tmp_path, PYTEST)])


def entry(**stats):
    return {"name": "x", "stats": {"median": 1.0, "rounds": 2, **stats}}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("place", ["context", "stats", "extra_info"])
def test_a_number_that_is_none_where_nobody_reads_it_is_nobodys_business(number, place, tmp_path):
    told = {
        "context": {**PYTEST, "machine_info": {"load": "HERE"}},
        "stats": {**PYTEST, "benchmarks": [entry(stddev="HERE")]},
        "extra_info": {**PYTEST, "benchmarks": [{**entry(), "extra_info": {"speed": "HERE"}}]},
    }[place]
    tool, found = read_benchmarks(file(tmp_path, json.dumps(told).replace('"HERE"', number)))
    assert tool == "pytest-benchmark"
    assert found[0].value_s is not None


def test_a_cpu_time_that_is_no_number_leaves_the_real_time(tmp_path):
    text = json.dumps({**GOOGLE, "benchmarks": [google("one", real_time=3.0, cpu_time=math.nan, iterations=2)]})
    assert "NaN" in text
    assert read_benchmarks(file(tmp_path, text))[1][0].value_s == pytest.approx(3e-6)


@pytest.mark.parametrize(
    ("stats", "told"),
    [
        ({"median": math.nan}, r"micro.json: the benchmark 'x' has a time of nan s \(median of the rounds\)"),
        ({"iqr": math.inf}, r"micro.json: the benchmark 'x' has a time of inf s \(interquartile range\)"),
        ({"rounds": math.nan}, r"micro.json: .* Expected `int`, got `float` - at `\$.benchmarks\[0\].stats.rounds`"),
    ],
)
def test_where_it_is_read_it_is_refused_by_file_and_field(stats, told, tmp_path):
    with pytest.raises(UsageError, match=told):
        read_benchmarks(file(tmp_path, {**PYTEST, "benchmarks": [entry(**stats)]}))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("content", [PYTEST, GOOGLE], ids=["pytest", "google"])
def test_what_windows_writes_is_read(encoding, content, tmp_path):
    path = tmp_path / "micro.json"
    path.write_bytes(json.dumps(content).encode(encoding))
    assert read_benchmarks(path) == read_benchmarks(file(tmp_path, content, "plain.json"))


def test_what_is_no_text_is_refused_by_name(tmp_path):
    path = tmp_path / "micro.json"
    path.write_bytes(b'{"machine_info": "\xff\xfe"}')
    with pytest.raises(UsageError, match="not a file of benchmark results"):
        read_benchmarks(path)
