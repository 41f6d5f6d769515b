"""What is said of the points that no mean was taken over."""

from steelyard.tables.overall import left_out


def test_points_that_the_mean_leaves_out_for_one_reason_are_told_together():
    reasons = {f"decode batch={number}": "xla: crashed" for number in range(5)} | {"prefill": "it is too large"}
    assert list(left_out(reasons)) == [
        ("decode batch=0, decode batch=1, decode batch=2 and 2 more", "xla: crashed"),
        ("prefill", "it is too large"),
    ]
