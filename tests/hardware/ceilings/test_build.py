"""The native loops are compiled by whatever compiler there is, once, and one that fails is quoted."""

import stat

import pytest

from steelyard.core.errors import Unsupported
from steelyard.hardware.ceilings import build


def test_the_loops_are_compiled_once_and_say_with_what(monkeypatch):
    first = build.library()
    assert "-O3" in first.compiler
    assert "native" in first.compiler
    monkeypatch.setattr(build, "_compile", lambda *_: pytest.fail("compiled again"))
    assert build.library() == first


def test_without_a_compiler_the_reason_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(Unsupported, match=r"no C compiler was found.*apt install gcc"):
        build.library()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo cc 1.0; case $* in *--version*) exit 0;; esac; echo 'no stdint.h here' >&2; exit 1", "no stdint.h here"),
        ("exit 3", "does not tell its version"),
    ],
)
def test_a_compiler_that_fails_is_quoted(monkeypatch, tmp_path, script, said):
    broken = tmp_path / "broken-cc"
    broken.write_text(f"#!/bin/sh\n{script}\n")
    broken.chmod(broken.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CC", str(broken))
    with pytest.raises(Unsupported, match=said):
        build.library()
    assert not list((tmp_path / "cache").rglob("*.so"))
