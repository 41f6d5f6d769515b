"""What user code is: its module and the local ones that it imports, by content and without importing them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard.core.code import changes, code_of


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder at the end of the path, as the working directory is, with a suite in three files."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mine.py").write_text("import math\nimport torch\nfrom body import layers\n\nVALUE = 1\n")
    (tmp_path / "body").mkdir()
    (tmp_path / "body" / "__init__.py").write_text("")
    (tmp_path / "body" / "layers.py").write_text("def f():\n    from . import late\n    return late\n")
    (tmp_path / "body" / "late.py").write_text('"""Doc."""\n\n\ndef g(x):\n    """Doc."""\n    return x + 1\n')
    return tmp_path


def test_it_is_the_module_and_every_local_one_that_it_imports_even_inside_a_function(place: Path) -> None:
    found = code_of(["mine:SUITE"])
    assert list(found) == ["body", "body.late", "body.layers", "mine"]
    assert not {"mine", "body"} & set(sys.modules)


@pytest.mark.parametrize(
    ("file", "old", "new", "named"),
    [
        ("body/late.py", "x + 1", "x + 2", ("body.late",)),
        ("mine.py", "VALUE = 1", "VALUE = 2", ("mine",)),
        ("mine.py", "import math", "import body.other", ("body.other", "mine")),
        ("body/late.py", '    """Doc."""\n    return', '    """Another."""\n\n    # why\n    return', ()),
    ],
)
def test_what_is_executed_counts_and_comments_do_not(place: Path, file, old, new, named) -> None:
    (place / "body" / "other.py").write_text("y = 1\n")
    before = code_of(["mine:SUITE"])
    text = (place / file).read_text()
    assert old in text
    (place / file).write_text(text.replace(old, new))
    assert changes(before, code_of(["mine:SUITE"])) == named


def test_a_folder_without_init_is_a_package_too(place: Path) -> None:
    (place / "space" / "inner").mkdir(parents=True)
    (place / "space" / "inner" / "leaf.py").write_text("from space.inner import twin\n")
    (place / "space" / "inner" / "twin.py").write_text("z = 3\n")
    assert list(code_of(["space.inner.leaf"])) == ["space.inner.leaf", "space.inner.twin"]


def test_an_installed_package_is_known_by_what_its_installer_wrote(tmp_path: Path) -> None:
    place = tmp_path / "site-packages"
    (place / "compiler").mkdir(parents=True)
    (place / "compiler" / "__init__.py").write_text("from compiler import passes\n")
    (place / "compiler" / "passes.py").write_text("")
    info = place / "my_compiler-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-compiler\nVersion: 1\n")
    (info / "top_level.txt").write_text("compiler\n")

    ask = (
        "import json, pathlib, sys; from steelyard.core.code import code_of; record = pathlib.Path(sys.argv[1])\n"
        "for digest in 'ab':\n"
        "    record.write_text(f'compiler/passes.py,sha256={digest},0\\n'); print(json.dumps(code_of(['compiler:fn'])))"
    )
    command, env = [sys.executable, "-c", ask, str(info / "RECORD")], {**os.environ, "PYTHONPATH": str(place)}
    said = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    before, after = map(json.loads, said.splitlines())  # installed again while the process lives
    assert list(before) == ["compiler", "my-compiler.dist-info"]
    assert changes(before, after) == ("my-compiler.dist-info",)


def test_a_name_that_cannot_be_found_is_left_out(place: Path) -> None:
    assert code_of(["nowhere:X", "mine.deeper:X"]) == {}


def test_a_driver_that_is_a_module_belongs_to_what_makes_a_point() -> None:
    from dataclasses import replace

    from tests.fakes.small_suite import _point

    point = _point("wide")
    assert set(replace(point, driver="mine:DRIVER").sources) - set(point.sources) == {"mine:DRIVER"}
