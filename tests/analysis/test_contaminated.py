"""Contaminated rounds: kept and shown, and without any say in times and verdicts."""

import dataclasses
from collections.abc import Collection

import pytest

from steelyard.analysis import (
    compare_run,
    compare_runs,
    contaminated_warm,
    launch_medians,
    other_pairs,
    pilot,
    set_aside,
    summaries,
    widest_half_width,
)
from steelyard.analysis.withheld import too_noisy
from steelyard.core.metrics import Reading
from steelyard.core.run import Run
from steelyard.guard.contamination import contaminated_rounds, stolen_launches
from steelyard.tables import provenance
from steelyard.tables.build import build
from steelyard.tables.facts import gather
from steelyard.tables.going_on import how_to_go_on
from tests.fakes.runs import Outcome, Shape, llm_points, synthetic_run

DECODE = llm_points(workloads=("decode",))
QUIET = Shape(spread=0.003, within=0.01)
EVIDENCE = "xla: other processes used 0.97 of 2 CPUs while it ran"


def small(rounds: int = 12, **how) -> Run:
    return synthetic_run(
        **{
            "backends": ("eager", "xla"),
            "points": DECODE,
            "headline": "decode",
            "shape": QUIET,
            "rounds": rounds,
            "effect": {"xla": 0.9},
            **how,
        }
    )


def touched(run: Run, rounds: Collection[int], by: float = 10.0, marked: bool = True) -> Run:
    """The run with everything that xla measured in these rounds `by` times as slow, and the rounds marked or not."""

    def slowed(result):
        if result.round not in rounds or result.arm != "xla":
            return result
        entries = [
            dataclasses.replace(entry, samples=tuple(by * x for x in entry.samples)) for entry in result.measurements
        ]
        phases = {name: by * value for name, value in result.phases.items()}
        return dataclasses.replace(result, measurements=tuple(entries), phases=phases)

    told = dict.fromkeys(sorted(rounds), EVIDENCE) if marked else {}
    (segment,) = run.segments
    return dataclasses.replace(
        run,
        segments=(dataclasses.replace(segment, disturbed=told),),
        results=tuple(slowed(result) for result in run.results),
    )


def without(run: Run, rounds: Collection[int]) -> Run:
    """The run as if these rounds had never been."""
    (segment,) = run.segments
    kept = tuple(number for number in segment.rounds if number not in rounds)
    return dataclasses.replace(
        run,
        segments=(dataclasses.replace(segment, rounds=kept),),
        results=tuple(result for result in run.results if result.round not in rounds),
    )


def stolen_from(run: Run, arms: str, rounds: Collection[int], share: float = 0.08) -> Run:
    """The run in turns, in which the hypervisor took so much of the time of these arms' launches in these rounds."""

    def record(launch):
        taken = share if launch.arm in arms.split(",") and launch.round in rounds else 0.01
        reading = Reading(value=taken, unit="1", method="/proc/stat")
        return dataclasses.replace(launch, noise={"during/steal_share": reading}, ran_s=1.0, stopped_s=1.0)

    return dataclasses.replace(run, launches=tuple(record(launch) for launch in run.launches))


def latency(run: Run, candidate: str = "xla"):
    (found,) = [item for item in compare_run(run) if item.candidate == candidate and item.metric == "latency_s"]
    return found


def test_they_give_no_pairs_whatever_they_hold():
    run = small()
    found = latency(touched(run, (3, 7, 8)))
    assert found == latency(without(run, (3, 7, 8)))
    assert found.verdict == "faster"
    assert found.ratio is not None
    assert found.ratio.n == 9
    unmarked = latency(touched(run, (3, 7, 8), marked=False))
    assert unmarked.verdict != "faster", "the test would prove nothing if the mark made no difference"


def test_they_give_no_times_no_start_up_times_and_no_widths():
    run, rounds = small(), (2, 5, 6)
    marked, never = touched(run, rounds), without(run, rounds)
    for mine, other in zip(summaries(marked), summaries(never), strict=True):
        assert dataclasses.replace(mine, statuses={}) == dataclasses.replace(other, statuses={})
    assert launch_medians(marked) == launch_medians(never)
    assert widest_half_width(marked) == widest_half_width(never)
    assert pilot(marked, rounds=9) == pilot(never, rounds=9)


def test_the_report_foretells_for_as_many_rounds_as_count_somewhere():
    run, rounds = small(), (2, 5, 6)
    assert gather(touched(run, rounds)).detectable_effects == gather(without(run, rounds)).detectable_effects
    beside = gather(beside_others(two_models(), "decode", rounds)).detectable_effects
    assert {effect.rounds for effect in beside} == {12}


def test_the_cold_round_stays_there_is_but_one():
    run = small()
    cold = {item.metric: item.estimate for item in summaries(touched(run, (0,), by=1.0)) if item.arm == "xla"}
    assert cold == {item.metric: item.estimate for item in summaries(run) if item.arm == "xla"}
    assert contaminated_warm(touched(run, (0, 4))) == {4: EVIDENCE}
    assert latency(touched(run, (0,), by=1.0)).verdict == "faster"


def test_a_wrong_answer_counts_however_noisy_its_round_was():
    wrong = Outcome(status="incorrect", stage="check", reason="relative error 0.3", rounds=(4,))
    found = latency(touched(small(statuses={("xla", "decode"): wrong}), (4,)))
    assert (found.verdict, found.reason) == ("incomparable", "xla: incorrect in 1 of 13 launches: relative error 0.3")


@pytest.mark.parametrize(
    ("rounds", "lost", "withheld"),
    [
        (12, 6, False),
        (12, 7, True),  # more than half
        (7, 3, False),  # 4 are left
        (6, 3, True),
        (20, 10, False),
        (20, 11, True),
    ],
)
def test_too_many_lost_rounds_withhold_every_verdict(rounds, lost, withheld):
    run = small(rounds)
    chosen = range(1, lost + 1)
    for item in compare_run(touched(run, chosen)):
        assert (item.verdict == "withheld") == withheld, item.candidate
        if withheld:
            assert item.reason.startswith(
                f"{lost} of {rounds} rounds were contaminated by others; {rounds - lost} are left"
            )
            assert EVIDENCE in item.reason
            assert item.ratio is not None


def test_a_run_too_short_for_any_verdict_says_that_instead():
    found = latency(touched(small(3), (1,)))
    assert (found.verdict, found.reason) == ("inconclusive", "2 of 4 rounds")


@pytest.mark.parametrize("rounds", [3, 12])
def test_where_nearly_all_were_contaminated_numbers_stay_and_no_verdict_is_given(rounds):
    run = small(rounds)
    found = latency(touched(run, range(1, rounds + 1), by=1.0))
    plain = latency(run)
    assert plain.ratio is not None
    assert found.ratio is not None
    assert found.ratio.value == plain.ratio.value
    assert found.ratio.n == rounds
    assert found.verdict == ("inconclusive" if rounds < 8 else "withheld")


def test_across_runs_they_are_left_out_too():
    before = [small(seed=seed) for seed in range(3)]
    newer = {"xla": {"jax": "0.11.0", "jaxlib": "0.11.0"}}
    after = [small(seed=seed, versions=newer) for seed in range(10, 13)]

    def xla(runs):
        (found,) = [item for item in compare_runs(before, runs) if item.candidate == "xla"]
        return found

    assert xla([touched(run, (3, 4)) for run in after]) == xla([without(run, (3, 4)) for run in after])
    noisy = [touched(after[0], range(1, 8)), *after[1:]]
    assert xla(noisy).verdict == "withheld"
    assert "synthetic-0010: 7 of 12 rounds were contaminated" in xla(noisy).reason


def test_tables_and_sentences_say_which_rounds_and_why():
    report = build(touched(small(), (3, 7)))
    tables = {table.name: table for table in report.tables}
    (segment,) = tables["segments"].rows
    assert tables["segments"].cell(segment, "contaminated").text == f"3: {EVIDENCE}; 7: {EVIDENCE}"
    medians = [row.cells for row in tables["launches"].rows if row.cells[0].value in (3, 7)]
    assert medians
    assert all("contaminated round" in [cell.text for cell in cells] for cells in medians)
    sentence = "2 rounds contaminated by other programs on the machine (3, 7; evidence in the table of segments)"
    assert any(sentence in text for text in report.headline)
    assert any(sentence in text for paragraph in report.paragraphs for text in paragraph.sentences)
    assert f"Left out: {sentence}." in report.conditions
    quiet = build(small())
    assert not any("contaminated by" in text for text in quiet.headline)


def test_a_launch_in_turns_that_lost_time_to_the_host_is_left_out_alone():
    run = small(backends=("eager", "xla", "onnxruntime"))
    robbed = stolen_from(touched(run, (3, 7, 8), marked=False), "xla", (3, 7, 8))
    assert contaminated_rounds(robbed.launches) == {}
    found, expected = latency(robbed), latency(without(run, (3, 7, 8)))
    assert (found.ratio.value, found.ratio.n) == (expected.ratio.value, 9)
    assert latency(robbed, "onnxruntime") == latency(run, "onnxruntime")
    told = "of xla 3 launches (round 3: the hypervisor gave 8% of the CPU time to other guests; 7: "
    assert told in " ".join(provenance.shared(gather(robbed)))


def test_an_arm_that_lost_time_in_most_rounds_keeps_its_numbers_and_gets_no_verdict():
    run = small(backends=("eager", "xla", "onnxruntime"))
    robbed = stolen_from(run, "xla", range(1, 8))
    found = latency(robbed)
    assert (found.verdict, found.ratio) == ("withheld", latency(run).ratio)
    assert found.reason.startswith("xla lost too much time to the host in 7 of 12 rounds; 5 are left, where 4 and at ")
    assert latency(robbed, "onnxruntime") == latency(run, "onnxruntime")
    pairs = [item for item in other_pairs(robbed) if "xla" in (item.baseline, item.candidate)]
    assert {item.verdict for item in pairs} == {"withheld"}
    assert how_to_go_on(gather(robbed)).startswith("Verdicts on decode for xla are withheld, because the machine was ")
    (free,) = [item for item in compare_run(robbed, guard=False) if item.candidate == "xla"]
    assert free.verdict == "faster"


def test_without_the_baselines_launch_a_round_gives_no_pair():
    run = small()
    robbed = stolen_from(run, "eager", (2, 5))
    assert latency(robbed).ratio == latency(without(run, (2, 5))).ratio


def test_a_host_that_takes_time_from_most_launches_contaminates_the_round_and_any_launch_on_its_own_does():
    run = small(backends=("eager", "xla"))
    assert list(contaminated_rounds(stolen_from(run, "eager,xla", (4,)).launches)) == [4]
    alone = tuple(dataclasses.replace(launch, ran_s=None) for launch in stolen_from(run, "xla", (4,)).launches)
    assert list(contaminated_rounds(alone)) == [4]
    assert stolen_launches(alone) == {}


def two_models(**how) -> Run:
    """A run in which each workload has launches of its own, as models have."""
    made = small(points=llm_points(workloads=("prefill", "decode")), **how)

    def own(result):
        return dataclasses.replace(result, launch=f"{result.launch}/{made.case(result.case_id).point.workload}")

    launches = [
        dataclasses.replace(launch, launch=f"{launch.launch}/{workload}")
        for launch in made.launches
        for workload in ("prefill", "decode")
    ]
    return dataclasses.replace(made, results=tuple(map(own, made.results)), launches=tuple(launches))


def beside_others(run: Run, model: str, rounds: Collection[int]) -> Run:
    """The run in which another program was at work during xla's launches of a model in these rounds."""
    readings = {"measured_cpus": 2.0, "foreign_cpu_share": 0.4, "watched_s": 5.0}
    noise = {f"during/{name}": Reading(value=value, unit="1", method="/proc") for name, value in readings.items()}
    launches = tuple(
        dataclasses.replace(launch, noise=noise)
        if launch.arm == "xla" and launch.round in rounds and launch.launch.endswith(f"/{model}")
        else launch
        for launch in run.launches
    )
    (segment,) = run.segments
    marked = dataclasses.replace(segment, disturbed=contaminated_rounds(launches))
    return dataclasses.replace(run, launches=launches, segments=(marked,))


def ratios(run: Run, workload: str) -> list[object]:
    return [item.ratio for item in compare_run(run) if item.workload == workload]


def test_a_round_in_which_a_program_ran_beside_one_model_counts_for_the_others():
    apart = two_models()
    beside = beside_others(apart, "decode", (3, 7))
    assert set(beside.segments[0].disturbed) == {3, 7}
    assert ratios(beside, "prefill") == ratios(apart, "prefill")
    assert ratios(beside, "decode") == ratios(without(apart, (3, 7)), "decode")
    sentence = "2 rounds contaminated by other programs on the machine for some configurations (3, 7; evidence in "
    assert sentence in " ".join(provenance.shared(gather(beside)))
    aside = {case.point.workload: set(set_aside(beside)[case.point.key]) for case in beside.manifest.cases}
    assert aside == {"decode": {3, 7}, "prefill": set()}


def test_a_launch_without_a_result_contaminates_all_points_and_its_evidence_is_told_once():
    beside = beside_others(two_models(backends=("eager", "xla", "onnxruntime")), "decode", (3,))
    touched = {launch.launch for launch in beside.launches if launch.noise}
    lost = dataclasses.replace(
        beside, results=tuple(result for result in beside.results if result.launch not in touched)
    )
    for rounds in set_aside(lost).values():
        assert rounds == {3: "xla: other processes used 0.80 of 2 CPUs while it ran"}


def test_verdicts_are_withheld_where_most_rounds_were_contaminated_and_given_elsewhere():
    beside = beside_others(two_models(), "decode", range(1, 9))
    verdicts = {item.workload: item for item in compare_run(beside) if item.candidate == "xla"}
    assert verdicts["decode"].verdict == "withheld"
    assert verdicts["decode"].reason.startswith("8 of 12 rounds were contaminated by others; 4 are left, where 4 and ")
    assert verdicts["decode"].reason.count("were contaminated") == 1
    assert verdicts["prefill"].verdict == "faster"
    assert not too_noisy(beside)
    both = beside_others(beside_others(two_models(), "decode", range(1, 9)), "prefill", range(1, 9))
    assert too_noisy(both).startswith("8 of 12 rounds")


def test_a_launch_that_lost_time_costs_the_points_that_it_ran_and_no_others():
    apart = two_models()
    robbed = stolen_from(apart, "xla", (3, 7))
    decode = tuple(
        record if record.launch.endswith("/decode") else launch
        for record, launch in zip(robbed.launches, stolen_from(apart, "", ()).launches, strict=True)
    )
    robbed = dataclasses.replace(robbed, launches=decode)

    def of(run: Run, workload: str):
        return [
            item
            for item in compare_run(run)
            if (item.workload, item.candidate, item.metric) == (workload, "xla", "latency_s")
        ]

    assert [item.ratio for item in of(robbed, "prefill")] == [item.ratio for item in of(apart, "prefill")]
    assert [item.ratio for item in of(robbed, "decode")] == [
        item.ratio for item in of(without(apart, (3, 7)), "decode")
    ]
    assert "of xla 2 launches (round 3: the hypervisor gave 8% " in " ".join(provenance.shared(gather(robbed)))
