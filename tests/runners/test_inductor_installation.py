"""What Inductor makes once for an installation is made before the first compilation, and found later on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_LAUNCH = """
import sys
from pathlib import Path
from steelyard.adapters import inductor_installation

inductor_installation.share(Path(sys.argv[1]), Path(sys.argv[2]))
import torch
print(torch.compile(lambda given: given * 3)(torch.ones(2)).tolist())
"""


def launch(shared: Path, place: Path) -> list[str]:
    """A cold launch: its own temporary folder and compile cache, both empty. What it compiled to, by name."""
    (place / "tmp").mkdir(parents=True)
    own = {"TMPDIR": str(place / "tmp"), "TORCHINDUCTOR_CACHE_DIR": str(place / "cache")}
    command = [sys.executable, "-c", _LAUNCH, str(shared), str(place / "scratch")]
    done = subprocess.run(command, env={**os.environ, **own}, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[0] == "[3.0, 3.0]"
    return [path.name for path in (place / "cache").rglob("*.so")]


@pytest.mark.timeout(600)
def test_a_cold_launch_finds_headers_and_probes_and_compiles_its_own_kernels(tmp_path: Path) -> None:
    shared = tmp_path / "installation"
    for name in ("first", "second"):
        compiled = launch(shared, tmp_path / name)
        assert compiled, "a kernel of its own: nothing of an earlier launch was found"
        made = {path: path.stat().st_mtime_ns for path in shared.rglob("*") if path.suffix in (".gch", ".so")}
        assert {path.suffix for path in made} == {".gch", ".so"}
        own = [path.resolve() for path in (tmp_path / name / "tmp").rglob("*.gch")]
        assert all(path.is_relative_to(shared) for path in own)
        if name == "first":
            before = made
    assert made == before, "the second launch made none of them again"
