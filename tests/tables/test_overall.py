"""What is said of the points that no mean was taken over."""

from steelyard.sections.overall import overall_table
from steelyard.tables.facts import gather
from steelyard.tables.overall import left_out
from tests.fakes.runs import Outcome, llm_points, synthetic_run


def test_points_that_the_mean_leaves_out_for_one_reason_are_told_together():
    reasons = {f"decode batch={number}": "xla: crashed" for number in range(5)} | {"prefill": "it is too large"}
    assert list(left_out(reasons)) == [
        ("decode batch=0, decode batch=1, decode batch=2 and 2 more", "xla: crashed"),
        ("prefill", "it is too large"),
    ]


def test_where_no_backend_has_a_mean_one_sentence_says_why_instead_of_a_table_of_dashes():
    failed = {("xla", workload): Outcome(status="crashed") for workload in ("prefill", "decode", "generate")}
    table = overall_table(gather(synthetic_run(backends=("eager", "xla"), points=llm_points(), statuses=failed)))
    assert table is not None
    assert table.rows == ()
    assert table.empty.startswith("no mean: xla: crashed in 9 of 9 launches: made to fail by the test")
