"""`bench score` on kernels that are right, wrong at other shapes than the suite's, broken, and no kernels."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from steelyard.cli.main import app

pytestmark = pytest.mark.backends

MODULES = {
    "softmax": "def softmax(x):\n    return x.softmax(-1)\n",
    # Right at the suite's own shape alone.
    "sort": "def sort(x):\n    return x.sort(-1).values if x.shape == (8, 64) else x + 0\n",
    "matmul": "def matmul(a, b):\n    raise RuntimeError('no such instruction')\n",
    "notes": "",
}


def test_right_wrong_broken_and_no_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "generated"
    folder.mkdir()
    for name, text in MODULES.items():
        (folder / f"{name}.py").write_text(text)
    asked = "score generated --hidden 2 --seed 7 --size tiny --quick --rounds 1 --window 0.05 --json"
    done = CliRunner().invoke(app, asked.split())
    assert done.exit_code == 0, done.output
    assert "left out: notes: no workload of the suite kernels" in done.stderr
    found = json.loads(done.stdout)
    assert (found["kind"], found["backend"], found["baseline"], found["seed"]) == (
        "steelyard-score", "kernel:generated", "eager", 7,
    )  # fmt: skip
    kernels = {each["kernel"]: each for each in found["kernels"]}
    assert {name: (each["right"], each["shapes"]) for name, each in kernels.items()} == {
        "softmax": (2, 2), "sort": (0, 2), "matmul": (0, 2),
    }  # fmt: skip
    assert kernels["sort"]["fault"].startswith("incorrect at rows=")
    assert "no such instruction" in kernels["matmul"]["fault"]
    assert kernels["softmax"]["fault"] == ""
    assert kernels["softmax"]["speedup"]["value"] > 0
    assert kernels["sort"]["speedup"] is kernels["matmul"]["speedup"] is None
    assert found["fast"]["0"]["value"] == pytest.approx(1 / 3)
    assert len(found["runs"]) == 2
    assert all(Path(run).is_dir() for run in found["runs"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere is no folder"),
        (["generated"], "generated has no kernel"),
        (["generated", "--backend", "xla"], "leave --backend and --scenario out"),
        (["generated", "--dry-run"], "--dry-run: for bench run alone"),
    ],
)
def test_what_cannot_be_scored_is_told(arguments, said, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "generated").mkdir()
    done = CliRunner().invoke(app, ["score", *arguments])
    assert done.exit_code != 0
    assert said in " ".join((done.output + str(done.exception)).split())
