"""The stage `bench`: what is read off a stored run, and how it is written."""

from pathlib import Path

from steelyard.store import open_run
from tests.calibration import bench
from tests.calibration.page import render

PUBLISHED = Path(__file__).parents[2] / "results/published/20261130T042356Z-llm-1421f5"


def test_a_stored_run_says_its_verdicts_what_it_could_find_and_how_much_of_it_was_timed() -> None:
    found = bench.given(open_run(PUBLISHED), "empty", 1176.0, 130.0)
    assert (found.rounds, found.grade) == (8, "B")
    assert {row.backend: row.verdict for row in found.backends} == dict.fromkeys(
        ("inductor", "xla", "onnxruntime", "openvino"), "faster"
    )
    assert all(0 < row.detectable < 0.5 for row in found.backends)
    assert 0.3 < found.timed_share < 1
    assert 0 < found.handover_s < 0.1
    data = bench.Bench(
        machine="two cores",
        threads=2,
        created_utc="2026-12-01T00:00:00",
        tool_version="0.1.0",
        headline="decode",
        runs=(found,),
    )
    page = render({bench.FILE: data})
    assert "**Cache empty**: 19.6 min, of which lowering 130 s; 8 warm rounds" in page
    (row,) = [line for line in page.splitlines() if line.startswith("| openvino | faster |")]
    assert "[" in row
