"""Texts of programs in files: what is written is read back, and nothing else is."""

from dataclasses import replace

import pytest

from steelyard.core.compilation import Compilation, CompilationFacts, MachineCode, Representation
from steelyard.core.errors import StoreError
from steelyard.core.metrics import absent
from steelyard.measure import program_texts

FORMS = (
    Representation(name="before", operators={"a": 2}, bytes=5, text="tanh(x)\n" * 100),
    Representation(name="after", operators={"a": 1}, text="ü"),
    Representation(name="without text", operators={}),
)


def told(occasion="cold") -> CompilationFacts:
    code = MachineCode(bytes=absent("B", "none"))
    peak = absent("B", "not measured")
    found = Compilation(load_s=0.1, compile_s=1.0, host_peak=peak, phases=(), representations=FORMS, code=code)
    return CompilationFacts(occasion=occasion, told=found)


def kept(tmp_path):
    (facts,) = program_texts.written([told()], tmp_path / "traces", "r000-00-abc")
    return facts.told.representations


def test_texts_are_read_back_and_results_hold_none(tmp_path):
    forms = kept(tmp_path)
    assert [form.text for form in forms] == ["", "", ""]
    assert [form.operators for form in forms] == [form.operators for form in FORMS]
    assert [bool(form.file) for form in forms] == [True, True, False]
    assert [program_texts.read(form, tmp_path / "traces") for form in forms[:2]] == [form.text for form in FORMS[:2]]


def test_the_same_text_gives_the_same_bytes(tmp_path):
    assert kept(tmp_path / "one") == kept(tmp_path / "two")


@pytest.mark.parametrize("occasion", ["warm", "again"])
def test_only_compilations_with_empty_caches_keep_texts(tmp_path, occasion):
    failed = CompilationFacts(occasion="cold", reason="it crashed")
    facts, other = program_texts.written([told(occasion), failed], tmp_path, "x")
    assert {(form.text, form.file) for form in facts.told.representations} == {("", "")}
    assert other == failed
    assert not list(tmp_path.iterdir())


def test_another_file_is_no_text_of_the_run(tmp_path):
    first, second, _ = kept(tmp_path)
    folder = tmp_path / "traces"
    (folder / first.file).write_bytes((folder / second.file).read_bytes())
    with pytest.raises(StoreError, match="its sha256 is another"):
        program_texts.read(first, folder)
    (folder / second.file).unlink()
    with pytest.raises(StoreError, match="No such file"):
        program_texts.read(second, folder)


def test_no_path_out_of_the_folder_is_followed(tmp_path):
    first, *_ = kept(tmp_path)
    with pytest.raises(StoreError, match="outside of its folder"):
        program_texts.read(replace(first, file=f"../traces/{first.file}"), tmp_path / "traces")


def test_a_file_that_is_cut_off_or_unfolds_without_end_is_refused(tmp_path, monkeypatch):
    import hashlib

    first, *_ = kept(tmp_path)
    path = tmp_path / "traces" / first.file
    monkeypatch.setattr(program_texts, "MOST_BYTES", 10)
    with pytest.raises(StoreError, match="cut off, or has more"):
        program_texts.read(first, tmp_path / "traces")
    monkeypatch.undo()
    path.write_bytes(path.read_bytes()[:-9])
    cut = replace(first, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(StoreError, match="cut off"):
        program_texts.read(cut, tmp_path / "traces")
