"""What is installed equals what lies in the tree."""

import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest

IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", "*.egg-info")


@pytest.fixture(scope="module")
def layout(repository):
    return tomllib.loads((repository / "pyproject.toml").read_text())["tool"]["setuptools"]["package-dir"]


@pytest.fixture(scope="module")
def wheel(repository, layout, tmp_path_factory):
    """The names in a wheel built from a copy of the tree, so that no earlier build is mixed in."""
    copy = tmp_path_factory.mktemp("tree") / "steelyard"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(repository / name, copy / name)
    for directory in sorted({path.split("/")[0] for path in layout.values()}):
        shutil.copytree(repository / directory, copy / directory, ignore=IGNORED)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(copy / "out"), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    (built,) = (copy / "out").glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_wheel_holds_the_tree(wheel, repository, layout):
    expected = {}
    # The longest package first: reports/figures is named twice in the layout, once on its own.
    for package, directory in sorted(layout.items(), key=lambda item: -len(item[1])):
        for path in (repository / directory).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts and path not in expected.values():
                inside = path.relative_to(repository / directory).as_posix()
                expected[f"{package.replace('.', '/')}/{inside}"] = path
    packed = {name for name in wheel if ".dist-info/" not in name}
    assert packed == set(expected)
    assert all(wheel[name] == path.read_bytes() for name, path in expected.items())


def test_wheel_is_typed_licensed_and_has_both_commands(wheel):
    assert "steelyard/py.typed" in wheel
    (entry_points,) = (data.decode() for name, data in wheel.items() if name.endswith("entry_points.txt"))
    assert "bench = steelyard.cli.main:main" in entry_points
    assert "steelyard = steelyard.cli.main:main" in entry_points
    assert any(name.endswith("licenses/LICENSE") for name in wheel)


def test_wheel_has_one_top_level_package(wheel):
    assert {name.split("/")[0] for name in wheel if ".dist-info/" not in name} == {"steelyard"}
