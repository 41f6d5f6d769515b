"""The pages that a newcomer types from: their blocks are carried out in order, in an empty folder."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.test_documents import ROOT

PAGES = ("your-compiler", "your-suite")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\w+\.py)(, continued)?\n")
INSTALLED = ("python3 -m venv", "source ", "pip install ")
"""Lines that are not carried out: what they install is here already."""
SHORTER = {
    "bench run ": "bench run --window 0.05 --no-energy ",
    "--quick": "--quick --rounds 1",
    "--time 10m": "--rounds 1",
    "--size small": "--size tiny",
    "--workload resnet50,detr": "--workload detr",
}
"""What is measured is less than what the page says: the commands are the same."""
FEWER = {"eager,inductor,": "eager,", "--backend all": "--backend eager,onnxruntime"}
MEASURED = ("mypass:compile --quick", "wrongpass", "nets:SUITE --size tiny --backend all --quick")
"""Nor do all backends take part, and other runs than these are only planned, unless `make tutorials` asks for all."""
_RUN = re.compile(r"bench run (?:[^\n]*\\\n)*[^\n]*")


def blocks(page: str) -> Iterator[tuple[str, str]]:
    """Language and text of every block of a page."""
    yield from BLOCK.findall((ROOT / "docs" / f"{page}.md").read_text())


def shell(text: str) -> str:
    """A block of commands as the test carries it out."""
    kept = "".join(line for line in text.splitlines(keepends=True) if not line.startswith(INSTALLED))
    some = os.environ.get("STEELYARD_TUTORIALS") != "all"
    if some:
        kept = _RUN.sub(lambda run: run[0] if any(text in run[0] for text in MEASURED) else f"{run[0]} --dry-run", kept)
    for long, short in {**SHORTER, **(FEWER if some else {})}.items():
        kept = kept.replace(long, short)
    return kept


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_a_file_or_commands(page: str) -> None:
    written: set[str] = set()
    for language, text in blocks(page):
        assert language in ("python", "sh")
        if language == "python":
            name, more = FILE.match(text).groups()
            assert (name in written) == bool(more), f"{name} is begun twice, or gone on with before it is begun"
            written.add(name)
    assert written


@pytest.mark.full
@pytest.mark.backends
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("page", PAGES)
def test_what_a_newcomer_types_works(page: str, tmp_path: Path) -> None:
    folder = Path(sys.executable).parent
    cache = tmp_path / "cache"
    place = tmp_path / "place"
    place.mkdir()
    env = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "STEELYARD_CACHE": str(cache)}
    told = ""
    for language, text in blocks(page):
        if language == "python":
            with (place / FILE.match(text)[1]).open("a") as file:
                file.write(text.partition("\n")[2])
            continue
        command = ["bash", "-euo", "pipefail", "-c", shell(text)]
        done = subprocess.run(command, cwd=place, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{text}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        told += f"{text}{done.stdout}{done.stderr}"
    (tmp_path / "told.txt").write_text(told)
    if page == "your-compiler":
        assert "exit code 3" in told
        assert (place / "paper/latex/all.tex").is_file()
    else:
        assert "2 passed" in told
