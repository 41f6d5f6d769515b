"""Coverage of a comparison across runs: how every backend ended on every side, and why."""

from dataclasses import replace

import pytest

from steelyard.across.report import build_across
from steelyard.core.backend import Device
from steelyard.core.run import LeftOut, Run
from steelyard.core.workload import Point
from steelyard.service.comparing import comparisons
from steelyard.tables.table import Table
from tests.fakes.runs import Outcome, llm_points, synthetic_run

HERE, THERE = "Synthetic CPU 3000", "Big Board 9"
BOARD = Device(kind="cuda", index=0, name=THERE, memory_bytes=None)
POINTS = llm_points(("decode", "generate"))
NO_CUDA = LeftOut(backend="tensorrt", reason="no CUDA device")
CRASH = Outcome(status="crashed", stage="load", reason="signal 11", log_tail="first\nlast words", rounds=(3, 4))


def made(seed: int, **how) -> Run:
    settings = {"backends": ("eager", "xla"), "points": POINTS, "headline": "decode", "rounds": 4, "left_out": ()}
    return synthetic_run(seed=seed, **{**settings, **how})


def coverage(*sides: list[Run]) -> Table:
    return build_across(sides, comparisons(sides)).table("across-coverage")


def cell_with_notes(table: Table, workload: str, column: str) -> tuple[str, str]:
    """The text of a cell and its footnotes."""
    (row,) = [row for row in table.rows if row.tags["workload"] == workload]
    cell = table.cell(row, column)
    return cell.text, "; ".join(note.text for note in table.footnotes if note.mark in cell.notes)


def test_every_backend_has_a_column_on_every_side_that_is_tagged_with_it():
    table = coverage([made(0)], [made(1, device=BOARD)])
    assert [row.tags["workload"] for row in table.rows] == ["decode", "generate"]
    assert [dict(column.tags) for column in table.columns[1:]] == [
        {"arm": arm, "device": device} for arm in ("eager", "xla") for device in (HERE, THERE)
    ]
    assert {cell.text for row in table.rows for cell in row.cells[1:]} == {"ok"}
    assert table.footnotes == ()


def test_a_failure_has_its_stage_its_share_its_reason_and_the_end_of_its_log():
    table = coverage([made(0)], [made(1, device=BOARD, statuses={("xla", "decode"): CRASH})])
    assert cell_with_notes(table, "decode", f"xla | {HERE}") == ("ok", "")
    status, why = cell_with_notes(table, "decode", f"xla | {THERE}")
    assert status == "crashed"
    assert why == f"crashed at load in 2 of 5 launches: signal 11; Log of xla on {THERE}, decode: last words"
    assert table.cell(table.rows[0], f"xla | {THERE}").flags == ("failed",)


def test_the_worst_of_the_runs_of_a_side_counts_over_all_launches():
    wrong = {("xla", "decode"): Outcome(status="incorrect", stage="steady", reason="NaN", rounds=(2,))}
    crash = {("xla", "decode"): CRASH}
    table = coverage([made(0)], [made(1, device=BOARD, statuses=crash), made(2, device=BOARD, statuses=wrong)])
    status, why = cell_with_notes(table, "decode", f"xla | {THERE}")
    assert status == "incorrect"
    assert why == "incorrect at steady in 3 of 10 launches: NaN"


def test_what_was_left_out_before_a_run_began_says_why():
    here = made(0, left_out=(NO_CUDA,))
    there = made(
        1,
        device=BOARD,
        backends=("eager", "xla", "openvino"),
        left_out=(NO_CUDA, LeftOut(backend="inductor", point="prefill", reason="too large")),
    )
    table = coverage([here], [there])
    assert cell_with_notes(table, "decode", f"tensorrt | {HERE}") == ("unsupported", "unsupported: no CUDA device")
    assert cell_with_notes(table, "decode", f"tensorrt | {THERE}") == ("unsupported", "unsupported: no CUDA device")
    assert len({note.text for note in table.footnotes}) == len(table.footnotes)
    assert cell_with_notes(table, "decode", f"openvino | {HERE}") == ("–", f"openvino was not run on {HERE}")
    assert cell_with_notes(table, "decode", f"inductor | {THERE}") == ("–", f"inductor was not run on {THERE}")


@pytest.mark.parametrize("place", ["key", "title"])
def test_a_backend_left_out_at_one_point_ran_at_the_others(place):
    table = coverage([made(0)], [without(made(1, device=BOARD), POINTS[1], "no such operator", place)])
    assert cell_with_notes(table, "decode", f"xla | {THERE}") == ("ok", "")
    assert cell_with_notes(table, "generate", f"xla | {THERE}") == ("unsupported", "unsupported: no such operator")


def test_what_only_some_runs_of_a_side_have_is_told():
    some = [made(1, device=BOARD), made(2, device=BOARD, points=POINTS[:1])]
    table = coverage([made(0, points=POINTS[:1])], some)
    assert cell_with_notes(table, "generate", f"xla | {THERE}") == ("ok", f"part of 1 of 2 runs of {THERE}")
    assert cell_with_notes(table, "generate", f"xla | {HERE}") == ("–", f"not among the configurations of {HERE}")
    left = without(made(2, device=BOARD), POINTS[1], "no such operator")
    table = coverage([made(0)], [made(1, device=BOARD), left])
    assert cell_with_notes(table, "generate", f"xla | {THERE}") == (
        "unsupported",
        "unsupported in 1 of 2 runs: no such operator",
    )


def without(run: Run, point: Point, reason: str, place: str = "key") -> Run:
    """The run as it is where xla was left out at a point before it began."""
    cases = {case.id for case in run.manifest.cases if case.point == point}
    entry = LeftOut(backend="xla", point=getattr(point, place), reason=reason)
    return replace(
        run,
        manifest=replace(run.manifest, left_out=(*run.manifest.left_out, entry)),
        results=tuple(item for item in run.results if item.arm != "xla" or item.case_id not in cases),
    )
