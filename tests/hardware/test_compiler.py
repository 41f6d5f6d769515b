"""Compilers and folders as the variables name them: one reading for doctor, the runs and the ceilings."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from steelyard.core.errors import Unsupported
from steelyard.engine.probe import probe
from steelyard.hardware.compiler import command, not_loadable, not_quoted, program


@pytest.fixture
def compilers(tmp_path, monkeypatch):
    """A folder with two compilers, alone on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("gcc", "g++"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    for name in ("CC", "CXX"):
        monkeypatch.delenv(name, raising=False)


def test_the_variable_is_a_command_with_flags(compilers, monkeypatch):
    assert command("CC", ("cc", "gcc")) == ("gcc",)
    monkeypatch.setenv("CC", "g++ -m64 '-DNAME=a b'")
    assert command("CC", ("cc", "gcc")) == ("g++", "-m64", "-DNAME=a b")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tcc -O2", "CXX names the C++ compiler tcc, which is not here"),
        ("g++ 'x", "CXX=g++ 'x cannot be read as a command"),
    ],
)
def test_another_compiler_than_the_one_named_is_no_answer(compilers, monkeypatch, text, said):
    monkeypatch.setenv("CXX", text)
    with pytest.raises(Unsupported) as raised:
        command("CXX", ("g++",))
    assert str(raised.value).startswith(said)


def test_without_any_it_says_what_to_install(compilers):
    with pytest.raises(Unsupported, match=r"no C\+\+ compiler was found \(\$CXX, clang\+\+\).*apt install g\+\+"):
        command("CXX", ("clang++",))


def test_who_takes_one_program_takes_no_flags(compilers, monkeypatch):
    monkeypatch.setenv("CXX", "g++ -m64")
    with pytest.raises(Unsupported, match=r"Inductor takes CXX for the name of one program.*set CXX=g\+\+"):
        program("CXX", ("g++",), "Inductor")
    monkeypatch.setenv("CXX", "g++")
    assert program("CXX", ("g++",), "Inductor") == "g++"


@pytest.mark.parametrize(("name", "whole"), [("plain-ä", True), ("a b", False), ("a'b", False), ('a"b"', False)])
def test_which_folders_can_stand_without_quotes(name, whole):
    assert (not_quoted(Path("/tmp") / name) == "") is whole


def test_a_folder_that_forbids_to_load_code(tmp_path, monkeypatch):
    """To mount one takes root; what the system would say of it is all that is made up here."""
    assert not_loadable(tmp_path) == ""
    monkeypatch.setattr(os, "statvfs", lambda folder: SimpleNamespace(f_flag=os.ST_NOEXEC | os.ST_NOSUID))
    assert "noexec" in not_loadable(tmp_path)


@pytest.mark.backends
@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("CXX", "g++ -m64", "Inductor takes CXX for the name of one program, and it has flags (g++ -m64): set CXX=g++"),
        ("TMPDIR", "with blank", "its name has a blank or a quote"),
    ],
)
def test_what_inductor_cannot_use_is_found_before_a_run(tmp_path, monkeypatch, variable, value, said):
    if variable == "TMPDIR":
        value = str(tmp_path / value)
        Path(value).mkdir()
        monkeypatch.setattr("tempfile.tempdir", None)  # read anew, as in a process of its own
    monkeypatch.setenv(variable, value)
    (inductor,) = probe(["inductor"], "cpu").values()
    assert not inductor.available
    assert said in inductor.reason
