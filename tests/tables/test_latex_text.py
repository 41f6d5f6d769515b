"""Escaping for LaTeX: nothing active survives, nothing vanishes, ASCII only."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.tables.latex import breakable, escape, letters


@pytest.mark.parametrize(
    ("text", "tex"),
    [
        ("50 % & more_#1", r"50 \% \& more\_\#1"),
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("$x^2$ ~", r"\$x\textasciicircum{}2\$ \textasciitilde{}"),
        ("<a>", r"\textless{}a\textgreater{}"),
        ("--all", r"-{}-all"),
        ("[0, 1]", "{[}0, 1{]}"),
        ("a\nb\r\n\tc", "a b c"),
        ("é ł Å", r"\'{e} \l{} \r{A}"),
        ("λ Ω µ", r"\ensuremath{\lambda} \ensuremath{\Omega} \ensuremath{\mu}"),
        ("中", "{[}U+4E2D{]}"),
        ("\x00\x1b", "{[}U+0000{]}{[}U+001B{]}"),
    ],
)
def test_escape(text, tex):
    assert escape(text) == tex


@given(st.text())
def test_what_is_escaped_is_ascii_and_balanced_and_holds_no_foreign_command(text):
    for tex in (escape(text), breakable(text)):
        assert tex.isascii()
        assert "\n" not in tex
        bare = tex.replace(r"\{", "").replace(r"\}", "")
        assert bare.count("{") == bare.count("}")
        assert not re.search(r"(?<!\\)[%#&$_]", tex)
        assert not set(re.findall(r"\\([a-zA-Z]+)", tex)) & {"input", "include", "write", "csname", "def", "catcode"}


@given(st.text(alphabet="abcdefgh0123456789", min_size=30, max_size=200))
def test_long_words_get_places_to_break_at(text):
    pieces = breakable(text).split(r"\allowbreak{}")
    assert "".join(pieces) == text
    assert max(map(len, pieces)) <= 18


def test_a_number_is_not_broken_at_its_point():
    assert breakable("within 0.094 %; a.b") == r"within 0.094 \%;\allowbreak{} a.\allowbreak{}b"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("onnxruntime:cuda[streams=4]", "OnnxruntimeCudaStreamsFour"),
        ("decode batch=18", "DecodeBatchOneEight"),
        ("torch_compile", "TorchCompile"),
        ("日本", ""),
    ],
)
def test_macro_names_are_letters_only(text, name):
    assert letters(text) == name
