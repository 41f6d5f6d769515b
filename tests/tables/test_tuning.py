"""The curve of a search and what it was worth, as tables."""

import pytest

from steelyard.core.comparison import Comparison, Estimate, Interval
from steelyard.core.tuning import Part, Search, Trial
from steelyard.render.style import Look
from steelyard.render.tuning_curve import FIGURE
from steelyard.tables.tuning import tuning_report, tuning_tables

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


def test_a_row_for_each_trial_that_made_it_better_and_why_others_had_no_time():
    trials = [trial("one", 0.5), trial("two", reason="wrong"), trial("two", 0.1), trial("one", 0.7), trial("one", 0.2)]
    curve, worth, failures = tuning_tables(SEARCH, trials, "tvm_untuned", "", (), {})
    assert [(row.cells[0].value, row.cells[1].value) for row in curve.rows] == [(3, 6.0), (5, 10.0)]
    assert [round(row.cells[2].value, 6) for row in curve.rows] == [0.8, 0.5]
    assert worth.empty == "nothing was measured: not every part has one"
    assert [(row.cells[0].value, row.cells[1].text) for row in failures.rows] == [(1, "wrong")]


def test_without_a_time_for_every_part_there_is_no_curve():
    curve, *_ = tuning_tables(SEARCH, [trial("one", 0.5)], "tvm_untuned", "", (), {})
    assert (curve.rows, curve.empty) == ((), "no candidate of every part was right in 1 trial")


def test_calls_that_pay_are_counted_where_a_call_was_shown_to_be_faster():
    trials = [trial("one", 0.5), trial("two", 0.1)]  # 4 s of search
    for verdict, calls in (("faster", 4.0 / (2 * 0.01 - 0.01)), ("inconclusive", None)):
        compare = (compared(verdict), compared(verdict, "eager"))
        _, worth = tuning_tables(SEARCH, trials, "untuned", "tuned", compare, {"tuned": 0.01, "untuned": 0.02})
        untuned, tuned, eager = worth.rows
        assert [each.cells[1].value for each in worth.rows] == [0.02, 0.01, None]
        assert untuned.cells[3].text == "baseline"
        assert tuned.cells[2].text == "2.00 [1.67, 2.50]"
        assert (tuned.cells[4].value, eager.cells[4].value) == (calls, None)


def test_the_curve_has_a_ring_where_95_percent_of_the_final_speed_was_reached_and_a_line_for_each_that_was_measured():
    trials = [trial("one", 0.5), trial("two", 0.1), trial("one", 0.21), trial("one", 0.2)]
    tables = tuning_tables(SEARCH, trials, "untuned", "tuned", (compared("faster"),), {"untuned": 0.9, "tuned": 0.5})
    data = tuning_report(SEARCH, tables, "untuned", ("untuned", "tuned"), "run")
    drawing = FIGURE.draw(data, Look())
    assert drawing.rows == ((2, 4.0, pytest.approx(0.8)), (3, 6.0, pytest.approx(0.51)), (4, 8.0, pytest.approx(0.5)))
    left, right = drawing.figure.axes
    rings = [line for line in left.lines if line.get_marker() == "o"]
    assert [(list(ring.get_xdata()), list(ring.get_ydata())) for ring in rings] == [([3], [pytest.approx(510.0)])]
    across = [line.get_ydata()[0] for line in right.lines if line.get_linestyle() in ("--", ":", "-.")]
    assert across == [900.0, 500.0]


def test_a_search_without_a_time_has_a_reason_in_place_of_a_curve():
    tables = tuning_tables(SEARCH, [trial("one", 0.5)], "untuned", "", (), {})
    drawing = FIGURE.draw(tuning_report(SEARCH, tables, "untuned", (), ""), Look())
    assert (drawing.figure, drawing.reason) == (None, "no candidate of every part was right in 1 trial")
