"""The flame graph as SVG: boxes are the parts of a call that stacks take, whatever their names hold."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.core.trace import Kernel, Recording
from steelyard.tracing import flames
from steelyard.tracing.flames import Box, stacks
from tests.tracing.recorded import recording

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert(1)</script>\"&'\x07\u202e"


def drawn(tmp_path, *tracks: tuple[str, Recording]) -> ET.Element:
    return ET.fromstring(flames.write(tmp_path / "made.svg", tracks).read_text(encoding="utf-8"))


def boxes(root: ET.Element) -> dict[str, tuple[float, float, float]]:
    """Left, top and width of each box by its title."""
    found = {}
    for group in root.iter(f"{SVG}g"):
        title, rect = group.find(f"{SVG}title"), group.find(f"{SVG}rect")
        assert title is not None
        assert title.text
        assert rect is not None
        found[title.text] = tuple(float(rect.attrib[name]) for name in ("x", "y", "width"))
    return found


def test_equal_stacks_of_all_calls_are_one_box_as_wide_as_its_part_of_a_call(tmp_path):
    found = recording(
        [
            ("run", 0, 80), ("MatMul", 10, 50), ("Add", 50, 60), ("MatMul", 60, 70),
            ("run", 100, 180), ("MatMul", 110, 160),
            ("Add", 250, 260),  # in no call
        ],
        calls=[(0, 100), (100, 200)],
        kernels=[Kernel(name="run", kind="call", wrapper=True)],
    )  # fmt: skip
    placed = boxes(drawn(tmp_path, ("eager", found)))
    widths = {title.partition(" ")[0]: width for title, (_, _, width) in placed.items()}
    assert widths == {"run": pytest.approx(800), "MatMul": pytest.approx(500), "Add": pytest.approx(50)}
    tops = {title.partition(" ")[0]: top for title, (_, top, _) in placed.items()}
    assert tops["MatMul"] == tops["Add"] > tops["run"]
    (product,) = [title for title in placed if title.startswith("MatMul")]
    assert "50 %, 1.5 times, matmul" in product


def test_names_are_text_and_nothing_of_them_is_hidden(tmp_path):
    found = recording([(HOSTILE, 0, 90)], calls=[(0, 100)])
    root = drawn(tmp_path, (HOSTILE, found))
    assert not list(root.iter(f"{SVG}script"))
    told = "".join(root.itertext())
    assert "<script>alert(1)</script>" in told
    assert "[U+202E]" in told


def test_each_thread_has_a_panel_and_what_is_too_narrow_is_counted(tmp_path):
    events = [("Conv", 0, 90_000), ("Conv", 0, 50_000, 1), *((f"Add{n}", 90_000 + n, 90_001 + n) for n in range(7))]
    root = drawn(tmp_path, ("xla", recording(events, calls=[(0, 100_000)])))
    told = [text.text or "" for text in root.iter(f"{SVG}text")]
    assert [text for text in told if text.startswith("xla")] == [
        "xla, thread 0: one call, 100 µs",
        "xla, thread 1: one call, 100 µs",
    ]
    assert "7 too narrow to be drawn" in told


NESTED = st.recursive(
    st.just([]), lambda inner: st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5), inner), max_size=3)
)


def laid_out(tree, at: float = 0.0) -> tuple[list[tuple[str, float, float]], float]:
    """A tree of (name, own time, inside) as events one after the other, and where they end."""
    events = []
    for name, own, inside in tree:
        within, end = laid_out(inside, at)
        events += [(name, at, end + own + 1), *within]
        at = end + own + 1
    return events, at


@given(NESTED)
@settings(max_examples=50)
def test_a_box_holds_what_is_in_it_and_together_they_are_all_that_was_recorded(tree):
    events, end = laid_out(tree)
    if not events:
        return
    (root,) = stacks(recording(events, calls=[(0, end)])).values()
    assert sum(box.ns for box in root.inside.values()) == pytest.approx(end)

    def check(box: Box) -> int:
        within = sum(each.ns for each in box.inside.values())
        assert box.kernel is None or within <= box.ns + 1e-9
        return box.times + sum(check(each) for each in box.inside.values())

    assert check(root) == len(events)


def test_the_same_recordings_give_the_same_bytes(tmp_path):
    found = recording([("run", 0, 90), ("Add", 1, 5), ("Mul", 5, 9)], calls=[(0, 100)])
    first, second = (flames.write(tmp_path / name, [("a", found)]).read_bytes() for name in ("1.svg", "2.svg"))
    assert first == second
