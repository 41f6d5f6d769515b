"""A checkout has the bytes that were committed, also where git is told to convert the ends of lines."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from steelyard.artifact.finding import whole
from steelyard.artifact.stored import check_stored

ROOT = Path(__file__).parents[2]
EXACT = ("results/published", "reports/templates", "tests/reports/golden", ".ci")
NOBODY = {f"GIT_{who}_{what}": "nobody@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
ALONE = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, **NOBODY}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files whose bytes matter, committed, and cloned as Git for Windows does by default."""
    base = tmp_path_factory.mktemp("checkout")
    source = base / "source"
    for name in EXACT:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns(".lock", "__pycache__"))
    shutil.copy(ROOT / ".gitattributes", source)
    for command in (
        ("init", "--quiet", "source"),
        ("-C", "source", "add", "--all", "--force"),
        ("-C", "source", "commit", "--quiet", "--message", "as it is"),
        ("clone", "--quiet", "--config", "core.autocrlf=true", "source", "clone"),
    ):
        subprocess.run(["git", *command], cwd=base, env={**os.environ, **ALONE}, check=True)
    return base / "clone"


def test_every_byte_is_the_one_that_was_committed(clone: Path) -> None:
    files = [path.relative_to(clone) for path in clone.rglob("*") if path.is_file() and ".git" not in path.parts]
    assert len(files) > 30
    assert [str(path) for path in files if (clone / path).read_bytes() != (ROOT / path).read_bytes()] == []


def test_published_runs_are_traced_in_it(clone: Path) -> None:
    runs = [path.parent for path in clone.glob("results/published/*/manifest.json")]
    assert runs
    for run in runs:
        _, found = check_stored(run)
        assert whole(found), found
