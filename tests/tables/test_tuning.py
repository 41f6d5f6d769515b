"""The curve of a search and what it was worth, as tables."""

from steelyard.core.comparison import Comparison, Estimate, Interval
from steelyard.core.tuning import Part, Search, Trial
from steelyard.tables.tuning import tuning_tables

SEARCH = Search(
    suite="kernels",
    point="matmul size=tiny",
    point_key="key",
    backend="tvm[schedules=s]",
    device="a CPU",
    threads=1,
    versions=("tvm 1",),
    seed=0,
    parts=(Part(name="one"), Part(name="two", calls=3)),
    created_utc="2026-12-03T00:00:00+00:00",
    tool_version="0",
)


def trial(part, latency_s=None, reason=""):
    return Trial(candidate=f"{part}!", part=part, cost_s=2.0, latency_s=latency_s, reason=reason)


def test_a_row_for_each_trial_that_made_it_better_and_why_others_had_no_time():
    trials = [trial("one", 0.5), trial("two", reason="wrong"), trial("two", 0.1), trial("one", 0.7), trial("one", 0.2)]
    curve, worth, failures = tuning_tables(SEARCH, trials, "tvm_untuned", "", (), None)
    assert [(row.cells[0].value, row.cells[1].value) for row in curve.rows] == [(3, 6.0), (5, 10.0)]
    assert [round(row.cells[2].value, 6) for row in curve.rows] == [0.8, 0.5]
    assert worth.empty == "nothing was measured: not every part has one"
    assert [(row.cells[0].value, row.cells[1].text) for row in failures.rows] == [(1, "wrong")]


def test_without_a_time_for_every_part_there_is_no_curve():
    curve, *_ = tuning_tables(SEARCH, [trial("one", 0.5)], "tvm_untuned", "", (), None)
    assert (curve.rows, curve.empty) == ((), "no candidate of every part was right in 1 trial")


def test_calls_that_pay_are_counted_where_a_call_was_shown_to_be_faster():
    def compared(verdict, candidate="tuned"):
        ratio = Estimate(value=0.5, interval=Interval(low=0.4, high=0.6, confidence=0.95), n=8)
        return Comparison(
            point="p",
            title="p",
            workload="matmul",
            metric="latency_s",
            factor="backend",
            baseline="untuned",
            candidate=candidate,
            scope="within run",
            ratio=ratio,
            verdict=verdict,
            reason="",
            family="primary",
        )

    trials = [trial("one", 0.5), trial("two", 0.1)]  # 4 s of search
    for verdict, calls in (("faster", 4.0 / (2 * 0.01 - 0.01)), ("inconclusive", None)):
        compare = (compared(verdict), compared(verdict, "eager"))
        _, worth = tuning_tables(SEARCH, trials, "untuned", "tuned", compare, 0.01)
        tuned, eager = worth.rows
        assert tuned.cells[1].text == "2.00 [1.67, 2.50]"
        assert (tuned.cells[3].value, eager.cells[3].value) == (calls, None)
