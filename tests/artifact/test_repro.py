"""A case as a stand-alone script: which case is meant, what is refused, and that nothing stored becomes code."""

import ast
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.artifact.repro import choose, literal, readme, script_text
from steelyard.core.case import Case
from steelyard.core.errors import Unsupported, UsageError
from steelyard.core.lowered import LoweredPoint
from steelyard.core.run import Run
from steelyard.core.script import Script
from steelyard.core.workload import Identity
from steelyard.service.reproducing import write_repro
from steelyard.tables.facts import gather
from tests.fakes.runs import Outcome, llm_points, synthetic_run

HOSTILE = "\"\"\"'''\n__import__('os').abort()\\"
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
)


@pytest.fixture(scope="module")
def run() -> Run:
    made = synthetic_run(
        backends=("eager", "xla", "openvino"),
        rounds=4,
        points=llm_points(("decode", "generate"), batches=(1,)),
        headline="decode",
        statuses={("openvino", "decode"): Outcome(status="crashed", stage="compile", reason="killed by SIGSEGV")},
    )
    results = [replace(each, options={} if each.status == "crashed" else {"donate": HOSTILE}) for each in made.results]
    return replace(made, results=tuple(results))


def lowered(run: Run, key: str) -> LoweredPoint:
    point = next(case.point for case in run.manifest.cases if case.point.key == key)
    identity = Identity(definition="", weights="", inputs="", reference="")
    return LoweredPoint(point=point, identity=identity, programs={}, pool=(), tolerances={})


@given(PLAIN)
def test_a_literal_reads_back_as_what_it_was(value: Any) -> None:
    assert ast.literal_eval(literal(value)) == value


def test_a_case_is_named_by_its_id_or_by_its_configuration_and_a_backend(run: Run) -> None:
    facts = gather(run)
    for case in run.manifest.cases:
        if case.point.workload == "decode" and case.backend.text != "openvino":
            assert choose(facts, case.id, "").case == case
            assert choose(facts, "decode", case.backend.text).case == case
    with pytest.raises(UsageError, match="is a case of eager, xla, openvino: name one with --backend"):
        choose(facts, "decode", "")
    with pytest.raises(UsageError, match="did you mean 'xla'"):
        choose(facts, "decode", "xlaa")


def test_what_no_script_can_show_is_refused_with_the_reason(run: Run) -> None:
    facts = gather(run)
    with pytest.raises(Unsupported, match="such as prefill or decode"):
        choose(facts, "generate", "xla")
    with pytest.raises(Unsupported, match=r"no launch of openvino compiled it.*SIGSEGV"):
        choose(facts, "decode", "openvino")
    elsewhere = tuple(
        Case(point=case.point, backend=case.backend, device_kind="cuda", scenario=case.scenario, budget=case.budget)
        for case in run.manifest.cases
    )
    same = {old.id: new.id for old, new in zip(run.manifest.cases, elsewhere, strict=True)}
    results = tuple(replace(each, case_id=same[each.case_id]) for each in run.results)
    moved = replace(run, manifest=replace(run.manifest, cases=elsewhere), results=results)
    with pytest.raises(Unsupported, match="written for the CPU, and this case ran on cuda"):
        choose(gather(moved), "decode", "xla")


def test_the_median_with_its_interval_stands_in_the_script(run: Run) -> None:
    chosen = choose(gather(run), "decode", "xla")
    assert chosen.median is not None
    assert chosen.median.interval is not None
    text = script_text(chosen, lowered(run, chosen.point.key), Script(code="", constants={}, packages=()))
    constants = {node.targets[0].id: node.value for node in ast.parse(text).body if isinstance(node, ast.Assign)}
    interval = ast.literal_eval(constants["INTERVAL"])
    assert interval == (chosen.median.interval.low, chosen.median.interval.high)
    assert "over 4 launches" in ast.literal_eval(constants["STORED"])
    assert list(ast.literal_eval(constants["INPUTS"])) == [s.name for s in chosen.point.programs["main"].inputs]


def test_what_a_run_says_becomes_a_literal_and_no_code(run: Run) -> None:
    chosen = choose(gather(run), "decode", "xla")
    chosen = replace(chosen, arm=replace(chosen.arm, label=HOSTILE))
    script = Script(code="", constants={"OPTIONS": dict(chosen.result.options)}, packages=("jax",))
    tree = ast.parse(script_text(chosen, lowered(run, chosen.point.key), script))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert "__import__" not in names
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert HOSTILE in texts
    titled = replace(chosen, arm=replace(chosen.arm, label="<img src=x>|\n# head"))
    point = replace(lowered(run, chosen.point.key), reference_by="<i>")
    page = readme(titled, point, script, {}, ["<b>"])
    assert "<img" not in page
    assert "<b>" not in page
    assert "<i>" not in page
    assert "\n# head" not in page


@pytest.mark.parametrize("by", ["", "XLA without optimisation, in float32, as no float64 was to be had: it is int8"])
def test_page_and_script_say_what_computed_the_references(run: Run, by: str) -> None:
    chosen = choose(gather(run), "decode", "xla")
    point = replace(lowered(run, chosen.point.key), reference_by=by)
    script = Script(code="", constants={}, packages=("jax",))
    page = readme(chosen, point, script, {}, ())
    assert f"| References by | {by or 'PyTorch in float64'} |" in page
    assert "float64 references" not in page
    assert f'REFERENCES_BY = "{by or "PyTorch in float64"}"' in script_text(chosen, point, script)


def test_a_runner_that_a_stored_run_names_as_code_is_not_imported_unasked(run: Run, tmp_path: Path) -> None:
    arms = tuple(
        replace(arm, backend=replace(arm.backend, runner="antigravity:Runner")) if arm.label == "xla" else arm
        for arm in run.manifest.arms
    )
    cases = tuple(
        Case(
            point=case.point,
            backend=arms[[arm.backend for arm in run.manifest.arms].index(case.backend)].backend,
            device_kind="cpu",
            scenario=case.scenario,
            budget=case.budget,
        )
        for case in run.manifest.cases
    )
    same = {old.id: new.id for old, new in zip(run.manifest.cases, cases, strict=True)}
    results = tuple(replace(each, case_id=same[each.case_id]) for each in run.results)
    named = replace(run, manifest=replace(run.manifest, arms=arms, cases=cases), results=results)
    with pytest.raises(UsageError, match="xla is code of its own: look at it, install it, then use --trust"):
        write_repro(named, "decode", tmp_path / "made", lambda _: None, backend="xla")
    assert "antigravity" not in sys.modules
