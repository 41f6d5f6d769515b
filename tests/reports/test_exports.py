"""Exports: read by the tool that they are for where it is here, held against its form otherwise."""

import dataclasses
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import junitparser
import msgspec
import pytest
from junitparser import xunit2

from steelyard import plugins
from steelyard.core.errors import UsageError
from steelyard.core.run import Run
from steelyard.render.output import ReportInputs, kind
from steelyard.service.reporting import write_run
from steelyard.tables.box_summary import described
from steelyard.tables.build import build
from steelyard.tables.facts import gather
from steelyard.tables.imported import read_benchmarks
from steelyard.tables.records import Records, records
from steelyard.tables.table import ReportData
from tests.fakes.runs import Outcome, llm_points, synthetic_run
from tests.reports.hostile import REASON, hostile_run

EXPORTS = (
    *("bencher", "github-action", "google-benchmark", "junit", "otava", "perfetto", "pytest-benchmark", "pytorch-oss"),
)
POINTS = llm_points(("decode", "generate"))
STATUSES = {
    ("onnxruntime", "decode"): Outcome(status="crashed", reason="signal 11", log_tail="last words"),
    ("openvino", "decode"): Outcome(status="incorrect", reason="NaN"),
    ("openvino", "generate"): Outcome(status="unsupported", stage="plan", reason="no such operator"),
}


def made(seed: int = 0, **how) -> Run:
    settings = {"points": POINTS, "headline": "decode", "effect": {"inductor": 1.4, "xla": 0.5}, **how}
    return synthetic_run(seed=seed, **settings)


@pytest.fixture(scope="module")
def run() -> Run:
    return made(statuses=STATUSES)


@pytest.fixture(scope="module")
def record(run) -> Records:
    return records(gather(run))


@cache
def tables() -> ReportData:
    """Tables of some run: exports get them and do not read them."""
    return build(made(rounds=1, backends=("eager", "xla")))


def export(name: str, directory: Path, *runs: Records) -> tuple[dict[str, str], list[str]]:
    """The files of an export by name, and its remarks."""
    remarks: list[str] = []
    inputs = ReportInputs(data=tables(), records=runs, remark=remarks.append)
    files = plugins.reports()[name].write(inputs, directory)
    return {str(path.relative_to(directory)): path.read_text() for path in files}, remarks


def document(name: str, directory: Path, *runs: Records):
    (text,) = export(name, directory, *runs)[0].values()
    return json.loads(text)


def case(record: Records, arm: str, workload: str):
    (found,) = [item for item in record.cases if (item.arm, item.workload) == (arm, workload)]
    return found


# Records


def test_names_are_unique_and_the_same_in_every_run_of_the_same_cases(record):
    names = [item.name for item in record.cases]
    assert len(set(names)) == len(names) == 10
    again = records(gather(made(seed=7, backends=("xla", "eager"))))
    assert {item.name for item in again.cases} == {item.name for item in record.cases if item.arm in ("xla", "eager")}
    assert re.search(r"^llm/decode/model=smollm2,.*batch=1.*/xla/cpu#[0-9a-f]{8}$", case(record, "xla", "decode").name)


def test_another_budget_is_another_name():
    four = records(gather(made(threads=4, rounds=1)))
    assert not {item.name for item in four.cases} & {item.name for item in records(gather(made(rounds=1))).cases}


def test_a_wrong_answer_has_no_number_and_says_why(record):
    wrong = case(record, "openvino", "decode")
    assert wrong.status == "incorrect"
    assert all(value.estimate is None and "NaN" in value.reason for value in wrong.timed)
    assert not any(value.estimate for value in wrong.values)


def test_throughput_is_the_work_over_the_latency(record):
    good = case(record, "xla", "decode")
    latency, throughput = good.value("latency_s"), good.value("throughput")
    assert throughput.estimate.value == pytest.approx(1 / latency.estimate.value)
    assert throughput.estimate.interval.low == pytest.approx(1 / latency.estimate.interval.high)
    assert len(latency.launches) == 8
    assert throughput.launches == pytest.approx([1 / seconds for seconds in latency.launches])


# All exports


def test_exports_are_named_and_not_part_of_all(run, tmp_path):
    assert tuple(sorted(name for name, entry in plugins.reports().items() if kind(entry) == "export")) == EXPORTS
    lines = write_run(run, ["junit", "otava"], tmp_path)
    assert lines == (f"junit: {tmp_path}/junit.xml", f"otava: {tmp_path}/otava")


@pytest.mark.parametrize("name", EXPORTS)
def test_the_same_run_gives_the_same_bytes_and_no_place_of_this_machine(name, record, run, tmp_path):
    first, remarks = export(name, tmp_path / "a", record)
    second, _ = export(name, tmp_path / "b", records(gather(run)))
    assert first == second
    assert first
    for text in first.values():
        assert str(tmp_path) not in text
    if name not in ("junit", "perfetto"):
        assert any("left out" in line for line in remarks)


def test_several_runs_are_a_history(tmp_path):
    one, other = (made(seed=seed, rounds=3, backends=("eager", "xla"), points=POINTS[:1]) for seed in (1, 2))
    write_run(other, ["otava"], tmp_path, earlier=[one])
    for path in (tmp_path / "otava").glob("*.csv"):
        assert [line.split(",")[1] for line in path.read_text().splitlines()[1:]] == [
            "synthetic-0001",
            "synthetic-0002",
        ]
    with pytest.raises(UsageError, match="a history, which csv cannot hold"):
        write_run(other, ["csv", "otava"], tmp_path, earlier=[one])


@pytest.mark.parametrize("name", [name for name in EXPORTS if name != "otava"])
def test_a_history_fits_only_otava(name, record, tmp_path):
    with pytest.raises(UsageError, match="holds one run, not 2"):
        export(name, tmp_path, record, record)


@pytest.fixture(scope="module")
def hostile() -> Records:
    return records(gather(hostile_run()))


@pytest.mark.parametrize("name", EXPORTS)
def test_hostile_names_stay_text(name, hostile, tmp_path):
    for text in export(name, tmp_path, hostile)[0].values():
        if name == "junit":
            assert "<script" not in text
        elif name == "otava":
            assert not re.search(r"^[=@+-]", text, re.M)
        else:
            json.loads(text)


# pytest-benchmark


def test_pytest_benchmark_reads_it(record, tmp_path):
    export("pytest-benchmark", tmp_path, record)
    command = [sys.executable, "-m", "pytest_benchmark", "compare", "pytest-benchmark.json", "--csv=read.csv"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    read = (tmp_path / "read.csv").read_text()
    assert f"{case(record, 'xla', 'decode').name}/latency" in read
    assert case(record, "openvino", "decode").name not in read


def test_pytest_benchmark_counts_as_the_tool_does(record, tmp_path):
    from pytest_benchmark.stats import Stats

    for entry in document("pytest-benchmark", tmp_path, record)["benchmarks"]:
        theirs = Stats()
        for value in entry["stats"]["data"]:
            theirs.update(value)
        for field in ("min", "max", "mean", "stddev", "rounds", "median", "ops", "total", "stddev_outliers"):
            assert entry["stats"][field] == pytest.approx(getattr(theirs, field)), field
        assert entry["stats"]["q1"] <= entry["stats"]["median"] <= entry["stats"]["q3"]


def test_one_launch_has_no_spread(tmp_path):
    files, remarks = export("pytest-benchmark", tmp_path, records(gather(made(rounds=1, backends=("eager", "xla")))))
    assert json.loads(files["pytest-benchmark.json"])["benchmarks"] == []
    assert any("one launch only" in line for line in remarks)


def test_described():
    found = described([1.0, 2.0, 3.0, 4.0, 100.0])
    assert (found.lower_quartile, found.median, found.upper_quartile) == (2.0, 3.0, 4.0)
    assert (found.low_fence, found.high_fence, found.beyond_fence, found.beyond_deviation) == (1.0, 4.0, 1, 1)
    with pytest.raises(ValueError, match="no spread"):
        described([1.0])


# Google Benchmark


class GoogleEntry(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    family_index: int
    per_family_instance_index: int
    run_name: str
    run_type: str
    repetitions: int
    threads: int
    iterations: int
    real_time: float
    time_unit: str
    label: str
    repetition_index: int | None = None
    aggregate_name: str | None = None
    aggregate_unit: str | None = None
    low: float | None = None
    high: float | None = None
    confidence: float | None = None


class GoogleFile(msgspec.Struct, forbid_unknown_fields=True):
    context: dict[str, str]
    benchmarks: list[GoogleEntry]


def test_google_benchmark_has_its_form_and_invents_no_cpu_time(record, tmp_path):
    text = export("google-benchmark", tmp_path, record)[0]["google-benchmark.json"]
    found = msgspec.json.decode(text, type=GoogleFile).benchmarks
    latency = case(record, "xla", "decode").value("latency_s")
    own = [entry for entry in found if entry.run_name == f"{case(record, 'xla', 'decode').name}/latency"]
    repeated = [entry.real_time for entry in own if entry.run_type == "iteration"]
    assert repeated == pytest.approx([1e9 * seconds for seconds in latency.launches])
    (total,) = [entry for entry in own if entry.run_type == "aggregate"]
    assert total.real_time == pytest.approx(1e9 * latency.estimate.value)
    assert total.low < total.real_time < total.high
    assert {entry.time_unit for entry in found} == {"ns"}


@pytest.mark.parametrize("name", ["google-benchmark", "pytest-benchmark"])
def test_what_is_exported_can_be_imported(name, record, tmp_path):
    export(name, tmp_path, record)
    _, found = read_benchmarks(tmp_path / f"{name}.json")
    values = {item.name: item.value_s for item in found}
    median = described(list(case(record, "xla", "decode").value("latency_s").launches)).median
    assert values[f"{case(record, 'xla', 'decode').name}/latency"] == pytest.approx(median)


# Bencher, github-action-benchmark, PyTorch


class Metric(msgspec.Struct, forbid_unknown_fields=True):
    value: float
    lower_value: float | None = None
    upper_value: float | None = None


def test_bencher(record, tmp_path):
    text = export("bencher", tmp_path, record)[0]["bencher.json"]
    found = msgspec.json.decode(text, type=dict[str, dict[str, Metric]])
    assert all(len(name) <= 1024 and all(len(measure) <= 64 for measure in found[name]) for name in found)
    measures = found[case(record, "xla", "decode").name]
    latency = case(record, "xla", "decode").value("latency_s").estimate
    assert measures["latency"].value == pytest.approx(1e9 * latency.value)  # Bencher's own measure is in nanoseconds
    assert measures["latency"].lower_value == pytest.approx(1e9 * latency.interval.low)
    assert measures["throughput"].lower_value < measures["throughput"].value < measures["throughput"].upper_value
    assert measures["compile_s cold"].lower_value is None  # one launch
    assert "energy_j" not in measures
    assert case(record, "onnxruntime", "decode").name not in found


def test_a_name_that_bencher_refuses_gives_way_to_the_id(record, tmp_path):
    long = dataclasses.replace(record.cases[0], name="x" * 1025)
    found = document("bencher", tmp_path, dataclasses.replace(record, cases=(long,)))
    assert list(found) == [long.id]


class Bench(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    unit: str
    value: float
    range: str | None = None
    extra: str | None = None


def test_github_action_has_a_file_for_each_direction(record, tmp_path):
    files, _ = export("github-action", tmp_path, record)
    smaller, bigger = (
        msgspec.json.decode(files[f"github-action-benchmark/{name}.json"], type=list[Bench])
        for name in ("smaller", "bigger")
    )
    assert {entry.unit for entry in bigger} == {"tokens/s"}
    assert {entry.unit for entry in smaller} == {"s", "B"}
    names = [entry.name for entry in (*smaller, *bigger)]
    assert len(set(names)) == len(names)
    (entry,) = [item for item in smaller if item.name == f"{case(record, 'inductor', 'decode').name}: latency_s"]
    assert "against eager: slower" in entry.extra
    assert "95 %" in entry.range


class Oss(msgspec.Struct, forbid_unknown_fields=True):
    class Benchmark(msgspec.Struct, forbid_unknown_fields=True):
        name: str
        mode: str
        dtype: str
        extra_info: dict[str, str]

    class Model(msgspec.Struct, forbid_unknown_fields=True):
        name: str
        type: str
        backend: str
        origins: list[str]
        extra_info: dict[str, str]

    class Dependency(msgspec.Struct, forbid_unknown_fields=True):
        version: str

    class Metric(msgspec.Struct, forbid_unknown_fields=True):
        name: str
        benchmark_values: list[float]
        extra_info: dict[str, str]

    benchmark: Benchmark
    model: Model
    dependencies: dict[str, Dependency]
    metric: Metric


def test_pytorch_oss(record, tmp_path):
    text = export("pytorch-oss", tmp_path, record)[0]["pytorch-oss/benchmarks.json"]
    found = msgspec.json.decode(text, type=list[Oss])
    assert all(item.metric.benchmark_values for item in found)
    (item,) = [
        item
        for item in found
        if (item.model.backend, item.model.type, item.metric.name) == ("xla", "decode", "latency_s")
    ]
    assert item.metric.benchmark_values == list(case(record, "xla", "decode").value("latency_s").launches)
    assert item.dependencies["jax"].version == "0.10.2"
    assert (item.model.name, item.benchmark.dtype, item.benchmark.extra_info["arch"]) == (
        "smollm2",
        "float32",
        "Synthetic CPU 3000",
    )


# JUnit


def test_junit_is_read_by_junitparser(record, tmp_path):
    export("junit", tmp_path, record)
    read = xunit2.JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    assert (read.tests, read.failures, read.errors, sum(suite.skipped for suite in read)) == (11, 3, 1, 2)
    tests = {test.name: test for suite in read for test in suite}

    def result(arm, workload):
        (found,) = tests[case(record, arm, workload).name].result
        return found

    assert isinstance(result("inductor", "decode"), junitparser.Failure)
    assert result("inductor", "decode").type == "slower"
    assert "speed-up over eager 0.716: the whole" in result("inductor", "decode").message
    assert isinstance(result("openvino", "decode"), junitparser.Failure)
    assert isinstance(result("onnxruntime", "decode"), junitparser.Error)
    assert "at steady: signal 11" in result("onnxruntime", "decode").message
    assert result("onnxruntime", "decode").text == "last words"
    assert isinstance(result("openvino", "generate"), junitparser.Skipped)
    assert tests[case(record, "xla", "decode").name].is_passed
    assert tests["tensorrt"].is_skipped
    properties = {item.name: item.value for item in tests[case(record, "xla", "decode").name].properties()}
    assert float(properties["latency_s"]) == case(record, "xla", "decode").value("latency_s").estimate.value
    assert properties["verdict"] == "faster"


def test_junit_holds_what_xml_cannot(record, tmp_path):
    torn = dataclasses.replace(case(record, "onnxruntime", "decode"), log_tail="a\x00b\x1b[31m]]>" + REASON)
    export("junit", tmp_path, dataclasses.replace(record, cases=(torn,)))
    (suite, _) = xunit2.JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    (test,) = suite
    assert test.result[0].text == "a\ufffdb\ufffd[31m]]>" + REASON
