"""A report's files against what the run gives: named by file, line and word; no alarm where versions differ."""

from pathlib import Path

import pytest

from steelyard.artifact.finding import whole
from steelyard.artifact.rendered import Versions, compare_files

SAME = Versions(tool="0.1.0")
DRAWN_ELSEWHERE = Versions(tool="0.1.0", same_drawing=False)
WRITTEN_ELSEWHERE = Versions(tool="0.0.9", same_tool=False)
COMPUTED_ELSEWHERE = Versions(tool="0.1.0", same_arithmetic=False)


def compared(tmp_path: Path, stands: dict[str, bytes], should: dict[str, bytes], versions: Versions = SAME):
    for name, data in stands.items():
        (tmp_path / name).write_bytes(data)
    return tuple(compare_files({name: tmp_path / name for name in stands}, should, versions))


def faults(found) -> list[str]:
    return [f"{finding.kind} {finding.where}: {finding.text}" for finding in found if finding.kind != "holds"]


def test_a_changed_digit_is_named_by_file_line_and_word(tmp_path):
    found = compared(tmp_path, {"a.csv": b"x,y\n1,0.523\n2,0.6\n"}, {"a.csv": b"x,y\n1,0.532\n2,0.6\n"})
    assert faults(found) == ["wrong a.csv:2: stands '0.523', the run gives '0.532'"]


def test_lines_too_many_and_too_few_are_named(tmp_path):
    stands = {"a.md": b"one\nfour\ntwo\nthree\n", "b.md": b"one\nthree\n"}
    should = {"a.md": b"one\ntwo\nthree\n", "b.md": b"one\ntwo\nthree\n"}
    assert faults(compared(tmp_path, stands, should)) == [
        "wrong a.md:2: a line that the run does not give: 'four'",
        "wrong b.md:2: a line is missing: 'two'",
    ]


def test_many_lines_are_counted(tmp_path):
    found = compared(tmp_path, {"a.csv": b"1\n" * 30}, {"a.csv": b"2\n" * 30})
    assert faults(found)[-1] == "wrong a.csv: and 20 more lines"
    longer = compared(tmp_path, {"a.csv": b"1\n" * 3000}, {"a.csv": b"2\n" * 3001})
    assert faults(longer) == ["wrong a.csv:1: stands '3000', the run gives '3001'"]


def test_files_too_many_and_missing_are_named(tmp_path):
    found = compared(tmp_path, {"a.md": b"1\n", "mine.txt": b"?"}, {"a.md": b"1\n", "b.md": b"2\n"})
    assert faults(found) == [
        "wrong b.md: the run gives this file, and it is not there",
        "untraced mine.txt: no format of this report writes it",
    ]


@pytest.mark.parametrize("name", ["a.pdf", "a.png", "a.svg"])
def test_pictures_of_another_matplotlib_are_no_alarm_and_that_is_said(tmp_path, name):
    stands, should = {name: b"one"}, {name: b"two"}
    assert faults(compared(tmp_path, stands, should)) == [
        f"wrong {name}: the picture is not the one that the run gives"
    ]
    found = compared(tmp_path, stands, should, DRAWN_ELSEWHERE)
    assert whole(found)
    assert "drawn by other versions" in faults(found)[0]


def test_a_page_is_compared_without_its_pictures_where_they_were_drawn_elsewhere(tmp_path):
    stands = {"a.html": b"<svg>\n1\n</svg>\n<p>0.5</p>\n"}
    assert whole(compared(tmp_path, stands, {"a.html": b"<svg>\n2\n</svg>\n<p>0.5</p>\n"}, DRAWN_ELSEWHERE))
    found = compared(tmp_path, stands, {"a.html": b"<svg>\n2\n</svg>\n<p>0.6</p>\n"}, DRAWN_ELSEWHERE)
    assert faults(found) == ["wrong a.html:4: stands '0.5', the run gives '0.6'"]


def test_another_version_of_the_tool_is_untraced_and_not_called_wrong(tmp_path):
    found = compared(tmp_path, {"a.md": b"one\n"}, {"a.md": b"two\n"}, WRITTEN_ELSEWHERE)
    (text,) = faults(found)
    assert text.startswith("untraced a.md: written by steelyard 0.0.9")
    assert "install steelyard==0.0.9" in text
    assert whole(compared(tmp_path, {"a.md": b"one\n"}, {"a.md": b"one\n"}, WRITTEN_ELSEWHERE))


def test_bytes_that_are_no_text_are_compared_as_bytes(tmp_path):
    found = compared(tmp_path, {"a.bin": b"\xff\xfe"}, {"a.bin": b"\xff\xfd"})
    assert faults(found) == ["wrong a.bin: its bytes are not those that the run gives"]


def test_last_digits_of_another_cpu_are_no_alarm_and_that_is_said(tmp_path):
    stands, should = {"a.csv": b"x,0.5230000000000001,8\n"}, {"a.csv": b"x,0.523,8\n"}
    assert not whole(compared(tmp_path, stands, should))
    found = compared(tmp_path, stands, should, COMPUTED_ELSEWHERE)
    assert whole(found)
    assert "1 file from another numpy or CPU" in faults(found)[0]


@pytest.mark.parametrize(
    "line", [b"x,0.5230001,8\n", b"y,0.523,8\n", b"x,0.523,9\n", b"x,0.523\n", b"x,0.523,8\n1.0\n"]
)
def test_any_other_difference_is_told_there_too(tmp_path, line):
    assert not whole(compared(tmp_path, {"a.csv": line}, {"a.csv": b"x,0.523,8\n"}, COMPUTED_ELSEWHERE))
