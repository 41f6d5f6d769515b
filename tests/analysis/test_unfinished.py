"""What a run still lacks for its verdicts, on runs whose truth is known."""

import dataclasses

import pytest

from steelyard.analysis import compare_run
from steelyard.analysis.unfinished import Unfinished, unfinished
from steelyard.core.run import Run
from steelyard.tables.facts import gather
from steelyard.tables.going_on import how_to_go_on
from steelyard.tables.words import headline
from tests.fakes.runs import Shape, llm_points, synthetic_run

NOISY = Shape(spread=0.03, within=0.01)


def decode(**how) -> Run:
    points = llm_points(workloads=("decode",))
    return synthetic_run(
        **{"backends": ("eager", "xla"), "points": points, "headline": "decode", "shape": NOISY, **how}
    )


def left(run: Run) -> Unfinished | None:
    return unfinished(run, compare_run(run))


def test_a_run_with_all_its_verdicts_lacks_nothing():
    run = decode(effect={"xla": 0.5})
    assert left(run) is None
    assert how_to_go_on(gather(run)) == ""


def test_too_few_rounds_for_any_verdict_lack_the_rest():
    found = left(decode(rounds=1, effect={"xla": 0.5}))
    assert found is not None
    assert (found.candidates, found.rounds, found.more) == (("xla",), 1, 3)


def test_the_rounds_that_it_names_bring_the_verdict():
    """Simulated: with the rounds that eight of them ask for, most runs decide what they had left open."""
    asked = decided = 0
    for seed in range(40):
        effect = {"xla": 0.95}
        found = left(decode(seed=seed, effect=effect))
        if found is not None and found.more is not None:
            asked += 1
            decided += left(decode(seed=seed, rounds=8 + found.more, effect=effect)) is None
    assert asked >= 10
    assert decided >= asked / 2, "expected half-widths are exceeded about half of the time"


def test_noise_that_rounds_cannot_beat_is_told():
    found = left(decode(effect={"xla": 1.02}, shape=Shape(spread=0.3, within=0.01)))
    assert found == Unfinished(candidates=("xla",), rounds=8, more=None, time_s=None)


def test_its_time_is_that_of_a_segment_of_its_own():
    run = decode(rounds=2, effect={"xla": 0.5})
    spans = {}
    for record in run.launches:
        spans.setdefault(record.round, []).extend((record.started_s, record.ended_s))
    lasted = [max(span) - min(span) for _, span in sorted(spans.items())]
    found = left(run)
    assert found is not None
    assert found.time_s == pytest.approx(lasted[0] + 2 * (lasted[1] + lasted[2]) / 2)


@pytest.mark.parametrize("plan", [{"quick": True}, {"scenario": "cold-start"}])
def test_nothing_is_lacking_where_nobody_asked_for_verdicts(plan):
    run = decode(rounds=1)
    manifest = dataclasses.replace(run.manifest, plan={**run.manifest.plan, **plan})
    assert left(dataclasses.replace(run, manifest=manifest)) is None


def test_the_report_says_how_to_go_on():
    run = decode(rounds=3, effect={"xla": 0.5})
    (sentence,) = [text for text in headline(gather(run)) if text.startswith("No verdict")]
    assert sentence.startswith(
        "No verdict on decode yet for xla (3 rounds): about 1 more round would do, as things are; "
    )
    assert f"bench run --resume {run.manifest.run_id} --time " in sentence
    assert sentence.endswith("m goes on.")


def test_withheld_verdicts_say_so_instead():
    told = how_to_go_on(gather(decode(rounds=3, grade="F", evidence=("steal 12 %",))))
    assert told.startswith("Verdicts on decode are withheld, because the machine was too noisy: run again")


def test_a_run_that_times_nothing_is_never_told_to_find_a_quiet_machine():
    run = decode(rounds=3, grade="F", evidence=("steal 12 %",))
    cases = tuple(dataclasses.replace(case, scenario="correctness") for case in run.manifest.cases)
    assert how_to_go_on(gather(run)) != ""
    untimed = dataclasses.replace(run, manifest=dataclasses.replace(run.manifest, cases=cases))
    assert how_to_go_on(gather(untimed)) == ""
