"""Comparisons across runs: the factor, the identity, the run-to-run effect."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from steelyard.analysis import compare_runs
from steelyard.core.backend import Device
from steelyard.core.errors import UsageError
from steelyard.core.run import Run
from tests.fakes.runs import Outcome, Shape, llm_points, synthetic_run

QUIET = Shape(spread=0.004, within=0.01, round_spread=0.003)
DECODE = llm_points(workloads=("decode",))
NEWER: Mapping[str, Mapping[str, str]] = {"xla": {"jax": "0.11.0", "jaxlib": "0.11.0"}}


def runs(first_seed: int, count: int = 3, **how) -> list[Run]:
    settings = {"backends": ("eager", "xla"), "points": DECODE, "headline": "decode", "shape": QUIET, **how}
    return [synthetic_run(seed=first_seed + index, **settings) for index in range(count)]


def of(found, candidate: str):
    (item,) = [item for item in found if item.candidate == candidate and item.metric == "latency_s"]
    return item


@pytest.mark.parametrize(("effect", "verdict"), [(0.8, "faster"), (1.0, "equivalent"), (1.1, "slower")])
def test_a_new_version_is_judged(effect: float, verdict: str) -> None:
    found = compare_runs(runs(0, effect={"xla": 0.5}), runs(10, effect={"xla": 0.5 * effect}, versions=NEWER))
    item = of(found, "xla")
    assert (item.verdict, item.factor, item.scope, item.family) == (verdict, "version", "across runs", "primary")
    assert item.ratio is not None
    assert item.ratio.value == pytest.approx(effect, rel=0.02)
    assert item.evidence["baseline_runs"] == item.evidence["candidate_runs"] == 3
    assert item.evidence["baseline_launches"] == 24


@pytest.mark.parametrize("counts", [(1, 1), (2, 5), (3, 2)])
def test_fewer_than_three_runs_on_a_side_claim_nothing(counts: tuple[int, int]) -> None:
    found = compare_runs(
        runs(0, counts[0], effect={"xla": 0.5}), runs(10, counts[1], effect={"xla": 5.0}, versions=NEWER)
    )
    item = of(found, "xla")
    assert (item.verdict, item.floor) == ("inconclusive", None)
    assert f"{counts[0]} and {counts[1]} runs with a control arm; 3 on each side are needed" in item.reason
    assert item.ratio is not None
    assert item.ratio.value == pytest.approx(10, rel=0.05)


def test_a_difference_within_what_runs_differ_anyway_is_not_believed() -> None:
    def unlucky(seed: int, luck: tuple[float, ...], xla: float, **how) -> list[Run]:
        return [
            runs(seed + index, 1, effect={"eager": by, "eager (control)": by, "xla": xla * by}, **how)[0]
            for index, by in enumerate(luck)
        ]

    before = unlucky(0, (0.9, 1.0, 1.1), 0.5)
    item = of(compare_runs(before, unlucky(10, (1.0, 1.1, 1.2), 0.5, versions=NEWER)), "xla")
    assert item.ratio is not None
    assert item.ratio.interval is not None
    assert item.ratio.interval.low > 1.02, "the launches alone would call it slower"
    assert item.verdict == "inconclusive"
    assert item.floor is not None
    assert item.floor > 0.15
    assert of(compare_runs(before, unlucky(10, (0.9, 1.0, 1.1), 1.0, versions=NEWER)), "xla").verdict == "slower"


@pytest.mark.parametrize("part", ["definition", "weights", "inputs", "reference"])
def test_unlike_work_is_incomparable_and_the_part_is_named(part: str) -> None:
    found = compare_runs(runs(0), runs(10, versions=NEWER, identity={part: "other"}))
    assert {item.verdict for item in found} == {"incomparable"}
    assert all(item.reason == f"the identity differs in {part}" and item.ratio is None for item in found)


@pytest.mark.parametrize(
    ("how", "factor"),
    [
        ({"versions": NEWER}, "version"),
        ({"threads": 4}, "threads"),
        ({"tuning": "max"}, "tuning"),
        ({"device": Device(kind="cpu", index=0, name="Other CPU", memory_bytes=None)}, "device"),
        ({"backends": ("eager", "openvino")}, "backend"),
    ],
)
def test_the_factor_is_found(how: dict, factor: str) -> None:
    found = compare_runs(runs(0), runs(10, **how))
    assert {item.factor for item in found} == {factor}
    if factor == "backend":
        assert {(item.baseline, item.candidate) for item in found} == {("xla", "openvino")}
    else:
        assert {(item.baseline, item.candidate) for item in found} == {("eager", "eager"), ("xla", "xla")}


def on_cpus(found: list[Run], *cpus: int, cpu: str = "Synthetic CPU 3000") -> list[Run]:
    return [
        replace(
            run,
            manifest=replace(
                run.manifest,
                budget=replace(run.manifest.budget, threads=len(cpus), cpus=cpus),
                environment={**run.manifest.environment, "cpu": cpu},
            ),
        )
        for run in found
    ]


def test_as_many_threads_on_other_cpus_of_the_machine_are_a_difference() -> None:
    before = on_cpus(runs(0), 0, 1)
    newer = runs(10, versions=NEWER)
    with pytest.raises(UsageError, match=r"more than one thing: .*jaxlib: 0.10.2 -> 0.11.0; cpus: 0,1 -> 0,2\. Name"):
        compare_runs(before, on_cpus(newer, 0, 2))
    meant = of(compare_runs(before, on_cpus(newer, 0, 2), factor="version"), "xla")
    assert (meant.verdict, meant.reason) == ("incomparable", "also differs: cpus: 0,1 -> 0,2")
    assert {item.factor for item in compare_runs(before, on_cpus(runs(10), 0, 2))} == {"cpus"}
    with pytest.raises(UsageError, match=r"not alike \(cpus: 0,1 -> 0,2\)"):
        compare_runs([*before, *on_cpus(runs(5, 1), 0, 2)], newer)


def test_more_threads_or_another_machine_say_enough_of_the_cpus() -> None:
    before = on_cpus(runs(0), 0, 1)
    assert {item.factor for item in compare_runs(before, on_cpus(runs(10), 0, 2, 4, 6))} == {"threads"}
    with pytest.raises(UsageError) as refused:
        compare_runs(before, on_cpus(runs(10, versions=NEWER), 4, 5, cpu="Other CPU"))
    assert "cpu: Synthetic CPU 3000 -> Other CPU" in str(refused.value)
    assert "cpus: " not in str(refused.value)


def test_two_differences_are_an_error_unless_one_is_meant() -> None:
    before, after = runs(0), runs(10, versions=NEWER, threads=4)
    with pytest.raises(UsageError, match=r"jax: 0.10.2 -> 0.11.0.*threads: 2 -> 4"):
        compare_runs(before, after)
    found = compare_runs(before, after, factor="version")
    assert {item.verdict for item in found} == {"incomparable"}
    assert all("also differs: threads: 2 -> 4" in item.reason for item in found)


def test_no_difference_is_an_error_unless_a_factor_is_meant() -> None:
    with pytest.raises(UsageError, match="in nothing"):
        compare_runs(runs(0), runs(10))
    found = compare_runs(runs(0), runs(10), factor="version")
    assert {item.verdict for item in found} == {"equivalent"}


def test_nonsense_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="did you mean 'threads'"):
        compare_runs(runs(0), runs(10), factor="thread")
    with pytest.raises(UsageError, match="at least one run"):
        compare_runs([], runs(10))
    with pytest.raises(UsageError, match="no configuration in common"):
        compare_runs(runs(0), runs(10, points=llm_points(workloads=("prefill",)), threads=4))
    with pytest.raises(UsageError, match="not alike"):
        compare_runs([*runs(0, 2), *runs(5, 1, threads=4)], runs(10))
    with pytest.raises(UsageError, match="no pair of backends"):
        compare_runs(runs(0), runs(10, threads=4), factor="backend")


@pytest.mark.parametrize(
    ("before", "after", "twice"),
    [
        ((0, 0, 0), (10, 10, 10), "synthetic-0000 stands twice on the baseline's side"),
        ((0, 1, 2), (10, 11, 10), "synthetic-0010 stands twice on the candidate's side"),
        ((0, 1, 2), (10, 11, 2), "synthetic-0002 stands on both sides"),
    ],
)
def test_a_run_counts_once(before: tuple[int, ...], after: tuple[int, ...], twice: str) -> None:
    baseline = [run for seed in before for run in runs(seed, 1)]
    candidate = [run for seed in after for run in runs(seed, 1, threads=4)]
    with pytest.raises(UsageError, match=f"the run {twice}; give each run once"):
        compare_runs(baseline, candidate)


def test_failures_and_noise_are_told() -> None:
    wrong = {("xla", "decode"): Outcome(status="incorrect", reason="NaN", rounds=(4,))}
    found = compare_runs(runs(0), runs(10, versions=NEWER, statuses=wrong))
    assert of(found, "xla").verdict == "incomparable"
    assert "xla: incorrect in 1 of 9 launches: NaN" in of(found, "xla").reason
    noisy = compare_runs(runs(0), runs(10, versions=NEWER, grade="F", evidence=("load 12",)))
    assert {item.verdict for item in noisy} == {"withheld"}
    assert "run synthetic-0010: noise grade F in segment 0: load 12" in noisy[0].reason


CRASHED = {("xla", "decode"): Outcome(status="crashed", stage="compile", reason="signal 11", rounds=tuple(range(1, 9)))}


def test_a_run_in_which_a_backend_has_no_number_takes_none_from_the_others() -> None:
    slower = {"versions": NEWER, "effect": {"xla": 0.6}}
    before, after, crashed = (
        runs(0, effect={"xla": 0.5}),
        runs(10, **slower),
        runs(20, 1, **slower, statuses=CRASHED),
    )
    item = of(compare_runs(before, [*crashed, *after]), "xla")
    assert item.verdict == "slower"
    assert item.reason.endswith("; run synthetic-0020: xla: crashed in 8 of 9 launches: signal 11")
    assert (item.evidence["candidate_runs"], item.evidence["candidate_launches"]) == (3, 24)
    few = of(compare_runs(before, [*crashed, *after[:2]]), "xla")
    assert (few.verdict, few.floor) == ("inconclusive", None)
    assert few.reason.startswith("3 and 2 runs with steady samples of xla; 3 on each side are needed")
    assert "run synthetic-0020: xla: crashed" in few.reason
    assert few.ratio is not None


def test_a_run_that_was_interrupted_after_its_cold_round_counts_for_nothing() -> None:
    before, after = runs(0, effect={"xla": 0.5}), runs(10, effect={"xla": 0.6}, versions=NEWER)
    interrupted = runs(20, 1, rounds=0, versions=NEWER)
    alone, beside = compare_runs(before, after), compare_runs(before, [*after, *interrupted])
    assert beside == alone
    assert of(beside, "xla").verdict == "slower"


def test_a_backend_measured_in_no_run_of_a_side_is_incomparable() -> None:
    item = of(compare_runs(runs(0), runs(10, versions=NEWER, statuses=CRASHED)), "xla")
    assert (item.verdict, item.ratio, item.floor) == ("incomparable", None, None)
    assert item.reason == "xla: crashed in 8 of 9 launches: signal 11"
    assert item.evidence["candidate_runs"] == 0


def test_times_of_unlike_layers_are_incomparable() -> None:
    def inside(run: Run) -> Run:
        """The run as if xla had been timed at another layer."""
        results = [
            replace(result, measurements=tuple(replace(found, layer="api_wall") for found in result.measurements))
            if result.arm == "xla"
            else result
            for result in run.results
        ]
        return replace(run, results=tuple(results))

    after = runs(10, versions=NEWER)
    item = of(compare_runs(runs(0), [*after[:2], inside(after[2])]), "xla")
    assert (item.verdict, item.ratio) == ("incomparable", None)
    assert item.reason == "the layers differ: bound_wall for xla, api_wall for xla"
