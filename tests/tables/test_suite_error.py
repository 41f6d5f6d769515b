"""A point that the suite itself gets wrong stands once, for all backends, and as unsupported by none."""

from steelyard.core.run import LeftOut
from steelyard.tables.build import build
from tests.fakes.runs import llm_points, synthetic_run

REASON = "suite error: suite 'llm', workload 'mine'"
LEFT = LeftOut(backend="all", point="mine batch=1", reason=REASON, status="suite error")


def test_the_table_of_coverage_has_one_row_of_it() -> None:
    run = synthetic_run(backends=("eager", "xla"), points=llm_points(("decode",)), rounds=2, left_out=(LEFT,))
    table = build(run).table("coverage")
    rows = [[cell.text for cell in row.cells] for row in table.rows if row.tags.get("status") == "suite error"]
    assert [[row[0], row[1], row[2], row[5], row[6]] for row in rows] == [
        ["mine batch=1", "all", "suite error", "lower", REASON]
    ]
    assert not any(cell.text == "unsupported" for row in table.rows for cell in row.cells)
