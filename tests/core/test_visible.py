"""Hidden characters are shown as their code points, in every format alike."""

import sys
import unicodedata

import pytest
from steelyard.reports import markdown

from steelyard.cli.output import print_json, printable
from steelyard.core.visible import visible
from steelyard.render import typst
from steelyard.render.drawing import csv_text
from steelyard.tables import latex

ESCAPES = {
    "terminal": printable,
    "Markdown": markdown.escape,
    "Markdown, code": markdown.code,
    "LaTeX": latex.escape,
    "LaTeX, breakable": latex.breakable,
    "typst": typst.escape,
    "typst, string": typst.literal,
    "CSV": lambda text: csv_text(("name",), [(text,)]),
}


def test_every_character_without_a_look_of_its_own_is_hidden():
    points = map(chr, range(sys.maxunicode + 1))
    missed = [c for c in points if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and visible(c) == c]
    assert missed == []


def test_what_can_be_read_stays_as_it_is():
    for text in ("plain", "日本語-λ-é", "no\u00a0break", "✓ ✗ µ – ×", "e\u0301", "😀"):
        assert visible(text) == text
    assert visible("two\nlines", lines=True) == "two\nlines"


@pytest.mark.parametrize("character", ["\u202e", "\u2066", "\u200b", "\u200d", "\ufeff", "\u061c", "\x1b", "\x9b"])
@pytest.mark.parametrize("name", ESCAPES)
def test_each_format_prints_the_code_point(name, character):
    shown = ESCAPES[name](f"arm{character}exe.gnp")
    assert character not in shown
    assert f"U+{ord(character):04X}" in shown.replace("\\", "").replace("{", "").replace("}", "")


def test_data_keep_the_character_behind_an_escape(capsys):
    print_json("list", {"name": "arm\u202eexe.gnp", "other": "\U000e0041"})
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert r"arm\u202eexe.gnp" in printed
    assert r"\udb40\udc41" in printed
