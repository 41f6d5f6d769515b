"""A run against itself: what no hash of a file can say."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.artifact.consistency import inspect_run
from steelyard.artifact.finding import whole
from steelyard.core.result import Measurement, Result
from steelyard.core.run import Run
from steelyard.measure.digest import digest_of, sealed
from tests.fakes.approximate import under_tolerance
from tests.fakes.groups import in_groups
from tests.fakes.runs import llm_points, synthetic_run
from tests.fakes.stored import honest


@pytest.fixture(scope="module")
def run() -> Run:
    return honest(synthetic_run(backends=("eager", "xla"), rounds=2, points=llm_points(("decode", "generate"))))


def first(run: Run, workload: str) -> int:
    """The place of the first result of a workload that has samples."""
    return next(
        place
        for place, result in enumerate(run.results)
        if result.measurements and run.case(result.case_id).point.workload == workload
    )


def with_result(run: Run, place: int, **changed: object) -> Run:
    results = list(run.results)
    results[place] = replace(results[place], **changed)  # type: ignore[arg-type]
    return replace(run, results=tuple(results))


def with_sample(run: Run, place: int, metric: str, index: int, factor: float, *, reseal: bool) -> Run:
    """One sample multiplied; `reseal` mends the worker's digest too."""

    def changed(entry: Measurement) -> Measurement:
        if entry.metric != metric:
            return entry
        samples = list(entry.samples)
        samples[index] *= factor
        entry = replace(entry, samples=tuple(samples))
        return sealed(entry) if reseal else entry

    return with_result(run, place, measurements=tuple(map(changed, run.results[place].measurements)))


def wrong(run: Run) -> list[str]:
    return [f"{finding.where}: {finding.text}" for finding in inspect_run(run) if finding.kind == "wrong"]


def test_a_run_in_groups_is_whole_and_a_result_belongs_to_the_group_of_its_launch(run):
    grouped = honest(in_groups(run, ("xla",), ("eager (control)",)))
    assert not wrong(grouped)
    place = next(
        place for place, result in enumerate(grouped.results) if (result.arm, result.place) == ("eager", (1, 1))
    )
    told = " ".join(wrong(with_result(grouped, place, group=0)))
    assert "its launch was one of eager in round 1, group 1" in told
    assert "in round 1, group 0: which of them make a pair is not told" in told


def test_an_honest_run_is_whole(run):
    found = inspect_run(run)
    assert whole(found)
    assert [finding.kind for finding in found] == ["holds"]


def test_the_last_bit_of_a_sample_is_missed(run):
    place = first(run, "decode")
    (told,) = wrong(with_sample(run, place, "latency_s", 7, 1 - 2**-52, reseal=False))
    assert run.results[place].launch in told
    assert "its digest is another" in told


def test_a_sample_longer_than_the_time_to_the_next_is_told_even_with_a_mended_digest(run):
    (told,) = wrong(with_sample(run, first(run, "decode"), "latency_s", 7, 1.01, reseal=True))
    assert "latency_s: sample 7 lasts" in told


def test_a_token_that_does_not_end_where_the_next_begins_is_told(run):
    (told,) = wrong(with_sample(run, first(run, "generate"), "tpot_s", 3, 0.9, reseal=True))
    assert "tpot_s: token" in told


def test_a_cut_that_the_samples_do_not_give_is_told(run):
    place = first(run, "decode")
    (entry,) = run.results[place].measurements
    moved = sealed(replace(entry, cut=entry.cut + 6, steady="warmed"))
    (told,) = wrong(with_result(run, place, measurements=(moved,)))
    assert f"latency_s: warmed, {moved.cut} cut; its samples are {entry.steady}, {entry.cut} cut" in told


def test_cuts_of_another_version_are_not_judged_anew_and_that_is_said(run):
    other = replace(run, manifest=replace(run.manifest, tool_version="0.0.1"))
    found = inspect_run(other)
    assert whole(found)
    assert "found by steelyard 0.0.1" in found[0].text


def test_an_answer_shorter_than_its_tokens_is_told(run):
    told = wrong(with_sample(run, first(run, "generate"), "latency_s", 2, 0.9, reseal=True))
    assert any("answer 2: its tokens take" in text for text in told)


def test_an_old_run_is_verified_as_far_as_it_goes_and_that_is_said():
    old = honest(synthetic_run(backends=("eager",), rounds=1, points=llm_points(("decode",))), seal=False)
    found = inspect_run(old)
    assert whole(found)
    (note,) = [finding.text for finding in found if finding.kind == "note"]
    assert "have no digest of the worker" in note


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"case_id": "0" * 16}, "its case is not in the manifest"),
        ({"arm": "xla"}, "does not run the backend of its case"),
        ({"round": 7}, "its launch was one of"),
        ({"launch": "nowhere"}, "its launch is not recorded"),
    ],
)
def test_a_result_out_of_place_is_told(run, changed, said):
    place = next(p for p, r in enumerate(run.results) if r.measurements and r.arm == "eager")
    assert any(said in text for text in wrong(with_result(run, place, **changed)))


def test_a_status_that_its_evidence_does_not_bear_out_is_told():
    made = honest(synthetic_run(backends=("eager",), rounds=1, points=llm_points(("decode",))))
    result: Result = made.results[0]
    assert result.correctness is not None
    assert result.proof is not None
    outputs = tuple(replace(check, relative_l2=0.5) for check in result.correctness.outputs)
    off = with_result(made, 0, correctness=replace(result.correctness, outputs=outputs))
    assert "passed with an error of 0.5" in wrong(off)[0]
    elsewhere = with_result(made, 0, proof=replace(result.proof, mismatches=("ran in bfloat16",)))
    assert "ran otherwise than told: ran in bfloat16" in wrong(elsewhere)[0]


def test_many_places_are_counted_and_not_listed(run):
    changed = run
    for place, result in enumerate(run.results):
        changed = with_result(changed, place, case_id="0" * 16, launch=result.launch + str(place))
    assert sum("its case is not in the manifest" in text for text in wrong(changed)) <= 10
    assert any("more places of this kind" in text for text in wrong(changed))


TIMES = st.lists(st.floats(min_value=1e-9, max_value=1e3), min_size=1, max_size=8)


@given(samples=TIMES, index=st.integers(min_value=0, max_value=7))
def test_the_digest_knows_every_bit_and_no_container(samples, index):
    index %= len(samples)
    entry = Measurement(
        metric="latency_s", layer="bound_wall", samples=tuple(samples), starts_s=(), cut=0, steady="flat", stop="time"
    )
    assert digest_of(replace(entry, samples=np.array(samples))) == digest_of(entry)
    changed = list(samples)
    changed[index] = float(np.nextafter(changed[index], np.inf))
    assert digest_of(replace(entry, samples=tuple(changed))) != digest_of(entry)
    assert digest_of(replace(entry, cut=1)) != digest_of(entry)
    assert digest_of(replace(entry, samples=(), starts_s=tuple(samples))) != digest_of(entry)


def test_a_mark_of_approximation_that_its_errors_do_not_bear_out_is_told(run):
    place = first(run, "decode")
    assert "is marked as approximate otherwise" in wrong(with_result(run, place, approximate="y: nearly"))[0]
    stated = under_tolerance(run, "xla")
    assert wrong(stated) == []
    place = next(place for place, result in enumerate(stated.results) if result.approximate)
    assert "is marked as approximate otherwise" in wrong(with_result(stated, place, approximate=""))[0]


@pytest.mark.parametrize(
    ("kept", "counts", "error", "told"),
    [
        (0.98, {"right": 98, "of": 100, "reference": 100}, 0.9, ""),
        (0.98, {"right": 90, "of": 100, "reference": 100}, 0.9, "by answers that are not counted so"),
        (0.98, None, 0.9, "by answers that are not counted so"),
        (0.98, {"right": "98", "reference": []}, 0.9, "by answers that are not counted so"),
        (0.9, {"right": 90, "of": 100, "reference": 100}, 0.9, "by answers that are not counted so"),
        (0.98, {"right": 98, "of": 100, "reference": 100}, 1.5, "by answers that are not counted so"),
        (None, {"right": 98, "of": 100, "reference": 100}, 0.9, "passed with an error of"),
    ],
)
def test_an_error_beyond_the_tolerance_stands_by_counted_answers_alone(run, kept, counts, error, told):
    stated = under_tolerance(run, "xla")
    place = next(place for place, result in enumerate(stated.results) if result.approximate)
    result = stated.results[place]
    beyond = replace(result.correctness.outputs[0], relative_l2=error, kept=kept)
    changed = replace(result.correctness, outputs=(beyond, *result.correctness.outputs[1:]))
    details = replace(result.details, driver={**result.details.driver, **({"score": counts} if counts else {})})
    found = wrong(with_result(stated, place, correctness=changed, approximate=changed.approximate, details=details))
    assert any(told in line for line in found) if told else not found


def test_a_tolerance_that_the_run_does_not_state_is_told(run):
    stated = under_tolerance(run, "xla")
    place = next(place for place, result in enumerate(stated.results) if result.approximate)
    checked = stated.results[place].correctness
    widened = replace(checked, outputs=(replace(checked.outputs[0], tolerance=0.5),))
    told = wrong(with_result(stated, place, correctness=widened, approximate=widened.approximate))
    assert "was held against 0.5, which nobody stated" in told[0]
