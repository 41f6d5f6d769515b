"""How backends are spelt: a registered name with a provider, or a class in a module, with a dot in its name or not."""

from pathlib import Path

import pytest

from steelyard import plugins
from steelyard.core.backend import BackendSpec
from steelyard.core.errors import UsageError

RUNNER = """
from tests.fakes.numpy_work import NumpyRunner


class Runner(NumpyRunner):
    pass
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module beside the user, on the path of modules as the command line puts it there."""
    name = "authors_own_runner"
    (tmp_path / f"{name}.py").write_text(RUNNER)
    (tmp_path / "authors_broken_runner.py").write_text("raise RuntimeError('no licence')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def test_a_class_in_a_module_without_a_dot_is_a_backend(mine: str) -> None:
    spec = plugins.backend(f"{mine}:Runner[sleep=0.1]")
    assert spec == BackendSpec(runner=f"{mine}:Runner", options={"sleep": "0.1"})
    assert plugins.backend(spec.text) == spec
    assert plugins.runner(spec.runner).__name__ == "Runner"


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("onnxruntime:tensorrt", BackendSpec(runner="onnxruntime", provider="tensorrt")),
        ("torch_compile:mypkg.mymod:fn", BackendSpec(runner="torch_compile", provider="mypkg.mymod:fn")),
        ("mypkg.mymod:Runner", BackendSpec(runner="mypkg.mymod:Runner")),
        ("eager", BackendSpec(runner="eager")),
    ],
)
def test_a_registered_name_keeps_its_providers(text: str, spec: BackendSpec) -> None:
    assert plugins.backend(text) == spec


def test_what_is_neither_says_both(mine: str) -> None:
    with pytest.raises(UsageError) as found:
        plugins.runner(plugins.backend("onnxruntim:tensorrt").runner)
    assert "unknown backend 'onnxruntim'; did you mean 'onnxruntime'?" in str(found.value)
    assert "cannot import module 'onnxruntim'" in str(found.value)
    with pytest.raises(UsageError, match=f"module '{mine}' has no attribute 'Runer'"):
        plugins.runner(plugins.backend(f"{mine}:Runer").runner)


def test_a_module_that_raises_is_told_with_its_place(mine: str) -> None:
    with pytest.raises(UsageError, match=r"failed: RuntimeError: no licence \(authors_broken_runner.py:1\)"):
        plugins.runner("authors_broken_runner:Runner")
