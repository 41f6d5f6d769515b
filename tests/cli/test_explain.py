"""`bench explain` on stored synthetic runs: differences, what is not told, how a case is named."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from steelyard.cli.main import app
from steelyard.core.errors import UsageError
from steelyard.core.result import Result
from steelyard.core.run import LeftOut
from steelyard.store import create_run
from steelyard.tables.explain import explain, find_point
from steelyard.tables.facts import gather
from tests.fakes.runs import Outcome, llm_points, synthetic_run

BACKENDS = ("eager", "onnxruntime", "openvino", "xla")
DENORMALS = {"eager": "kept", "onnxruntime": "kept", "openvino": "kept", "xla": "count as zero"}


def with_budget(result: Result) -> Result:
    """A result with a proof that says how the budget was kept."""
    if result.proof is None:
        return result
    arm = result.arm.split(" ")[0]
    budget = {
        "inter_op": 1 if arm != "xla" else {"value": None, "reason": "XLA does not tell"},
        "denormals": DENORMALS[arm],
        "cpus": [0, 1],
        "environment": {"OMP_NUM_THREADS": "2"} if arm == "eager" else {},
    }
    return replace(result, proof=replace(result.proof, budget=budget))


@pytest.fixture(scope="module")
def run():
    run = synthetic_run(
        backends=BACKENDS, rounds=3, points=llm_points(("decode", "prefill"), batches=(1, 8)), headline="decode",
        statuses={("openvino", "prefill"): Outcome(status="crashed", stage="compile", reason="killed by SIGSEGV")},
    )  # fmt: skip
    return replace(run, results=tuple(with_budget(result) for result in run.results))


@pytest.fixture(scope="module")
def facts(run):
    return gather(run)


@pytest.fixture(scope="module")
def root(run, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs")
    store(path, run)
    return path


def store(path, run):
    with create_run(path, run.manifest) as writer:
        writer.begin_segment(started_utc="2026-01-01T00:00:00Z", noise=run.segments[0].noise)
        for record in run.launches:
            writer.launch(record)
        for result in run.results:
            writer.result(result)
        writer.finish(ended="rounds", rounds=run.segments[0].rounds)


def bench(*arguments, code=0):
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == code, done.output
    return done.output


def fields(explanation):
    return {field.name: field for section in explanation.sections for field in section.fields}


def test_differences_are_marked_and_only_differences(facts):
    found = explain(facts, find_point(facts, "decode/batch=1"))
    assert found.arms == BACKENDS
    known = fields(found)
    assert known["denormals"].compared == "differs"
    assert known["denormals"].values == DENORMALS
    assert known["threads"].compared == "same"
    assert known["inter op"].compared == "not told"
    assert known["inter op"].values["xla"] == "not known: XLA does not tell"
    assert known["format"].compared == "differs"
    others = dict.fromkeys(("onnxruntime", "openvino", "xla"), "unset")
    assert known["OMP_NUM_THREADS"].values == {"eager": "2", **others}
    assert known["latency, steady"].compared == "measured"
    assert {"denormals", "format", "OMP_NUM_THREADS"} <= set(found.differing)
    assert not {"threads", "cpus", "inter op", "latency, steady", "computed in"} & set(found.differing)
    assert found.alike["threads"] == "2"
    assert found.own["eager"]["declared: intra_op_threads"] == "2"
    assert found.own["eager"]["declared: search"] == "no", "the options of the tuning that was used, not of the other"


def test_a_backend_that_ended_early_makes_no_difference_and_is_told(facts):
    found = explain(facts, find_point(facts, "prefill/batch=1"))
    known = fields(found)
    assert known["threads"].compared == "same"
    assert known["threads"].values["openvino"] == "–"
    assert known["status"].compared == "differs"
    assert any("openvino: crashed at compile" in remark and "SIGSEGV" in remark for remark in found.remarks)


def test_launches_of_one_backend_that_differ_are_all_shown(run):
    other = [r for r in run.results if r.arm == "xla" and r.proof is not None][-1]
    odd = replace(other, proof=replace(other.proof, threads=1))
    changed = replace(run, results=tuple(odd if result is other else result for result in run.results))
    facts = gather(changed)
    point = facts.points[[p.key for p in facts.points].index(run.case(other.case_id).point.key)]
    assert fields(explain(facts, point))["threads"].values["xla"] == "2; in other launches 1"


def test_a_case_is_found_by_id_and_by_its_axes(facts):
    case = facts.run.manifest.cases[-1]
    assert find_point(facts, case.id) == case.point
    assert find_point(facts, case.id[:8]) == case.point
    assert find_point(facts, "decode batch=8").axes["batch"] == 8
    with pytest.raises(UsageError, match="fits 2 configurations of this run; there are decode/batch=1, decode/batch=8"):
        find_point(facts, "decode")
    with pytest.raises(UsageError, match="fits 0 configurations of this run"):
        find_point(facts, "decode/batch=3")
    with pytest.raises(UsageError, match="did you mean 'decode/batch=1'"):
        find_point(facts, "decod/batch=1")


def test_the_terminal(root):
    output = bench("explain", "decode/batch=1", "--runs", root)
    assert max(map(len, output.splitlines())) <= 80
    assert "≠ denormals" in output
    assert "? inter op" in output
    assert "the same for all that ran: " in output
    assert "fields differ: format" in output
    assert "\x1b" not in output, "no colour, no cursor"
    for backend in BACKENDS:
        assert f"{backend} (case " in output


def test_the_same_as_data(root):
    data = json.loads(bench("explain", "decode/batch=8", "--runs", root, "--run", "latest", "--json"))
    assert (data["kind"], data["version"], data["workload"]) == ("steelyard-explanation", 1, "decode")
    assert set(data["cases"]) == set(BACKENDS)
    did = next(section for section in data["sections"] if section["title"] == "did")
    denormals = next(field for field in did["fields"] if field["name"] == "denormals")
    assert denormals == {"name": "denormals", "values": DENORMALS, "compared": "differs"}
    assert "denormals" in data["differing"]


def test_an_older_run_without_read_back_says_that_nothing_is_known(tmp_path):
    run = synthetic_run(backends=("eager", "xla"), rounds=1, points=llm_points(("decode",)))
    old = tuple(replace(row, formats=()) for row in run.manifest.tunings if row.tuning == "default")
    store(tmp_path, replace(run, manifest=replace(run.manifest, tunings=old)))
    found = fields(explain(gather(run), gather(run).points[0]))
    assert "denormals" not in found, "a row of dashes tells nothing"
    output = bench("explain", "decode", "--runs", tmp_path)
    assert "? format" in output


def test_stored_text_cannot_move_the_cursor(tmp_path):
    run = synthetic_run(backends=("eager",), rounds=1, points=llm_points(("decode",)))
    evil = LeftOut(backend="x", reason="\x1b[2J\x07gone")
    store(tmp_path, replace(run, manifest=replace(run.manifest, left_out=(evil,))))
    output = bench("explain", "decode", "--runs", tmp_path)
    assert "gone" in output
    assert "\x1b" not in output
    assert "\x07" not in output
