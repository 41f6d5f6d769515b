"""The environment of every process that we start: what of the shell reaches it, and what is said of the rest."""

import ast

import pytest

from steelyard.engine.probe import probe
from steelyard.guard.environment import for_child, not_passed_on, shell_warning
from steelyard.hardware.fingerprint import fingerprint
from tests.cli.test_doctor import QUIET

SHELL = {
    "HOME": "/home/somebody",
    "PATH": "/usr/bin",
    "CXX": "g++-12",
    "CUDA_VISIBLE_DEVICES": "1",
    "CUDA_DEVICE_ORDER": "FASTEST_FIRST",
    "JAX_PLATFORMS": "tpu",
    "LD_PRELOAD": "/opt/lib/libtcmalloc.so",
    "OMP_NUM_THREADS": "7",
    "ORT_DISABLE_TELEMETRY": "1",
    "SECRET": "of the user",
    "XLA_FLAGS": "--xla_cpu_enable_fast_math=true",
}


def test_what_runtimes_obey_is_dropped_and_named():
    found = for_child(shell=SHELL)
    assert {name for name in SHELL if found.get(name) == SHELL[name]} == {
        "HOME", "PATH", "CXX", "CUDA_VISIBLE_DEVICES", "ORT_DISABLE_TELEMETRY"
    }  # fmt: skip
    assert found["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    dropped = {"CUDA_DEVICE_ORDER", "JAX_PLATFORMS", "LD_PRELOAD", "OMP_NUM_THREADS", "XLA_FLAGS"}
    assert set(not_passed_on(SHELL)) == dropped


def test_the_python_of_another_environment_does_not_see_our_modules():
    shell = {**SHELL, "PYTHONPATH": "/src", "PYTHONHOME": "/usr", "PYTHONUSERBASE": "/home/x", "VIRTUAL_ENV": "/venv"}
    ours, apart = for_child(shell=shell), for_child(shell=shell, apart=True)
    assert {"PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "VIRTUAL_ENV"} <= ours.keys()
    assert not {"PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "VIRTUAL_ENV"} & apart.keys()
    assert apart["PYTHONNOUSERSITE"] == "1"
    assert apart["CXX"] == "g++-12"


def test_the_starter_wins_over_the_shell_and_not_over_what_holds_for_all(tmp_path):
    own = {"CXX": "clang++", "OMP_NUM_THREADS": "2", "ORT_DISABLE_TELEMETRY": "0"}
    found = for_child(own, temporary=tmp_path, shell=SHELL)
    assert (found["CXX"], found["OMP_NUM_THREADS"], found["ORT_DISABLE_TELEMETRY"]) == ("clang++", "2", "1")
    assert found["TMPDIR"] == str(tmp_path)


INSIDE = ("selftest/backends.py", "selftest/perf_test.py", "selftest/trtexec.py")
"""Parts of the product that run in such a process already, and hand its environment on."""


@pytest.fixture
def shell(monkeypatch):
    """A shell with two variables that runtimes obey, one of which names a platform that is not here."""
    for name in not_passed_on():
        monkeypatch.delenv(name)
    monkeypatch.setenv("JAX_PLATFORMS", "tpu")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")


def test_one_line_says_what_is_not_passed_on(shell, monkeypatch):
    assert (
        shell_warning()
        == "not passed on: JAX_PLATFORMS, OMP_NUM_THREADS (set in this shell; backends run without them)"
    )
    monkeypatch.delenv("JAX_PLATFORMS")
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert shell_warning() == ""


def test_doctor_says_it_among_its_advice(shell):
    from steelyard.cli.doctor import advice

    (line,) = [line for line in advice([], [], QUIET) if line.startswith("not passed on")]
    assert line == shell_warning()


def test_the_manifest_tells_what_is_in_force_from_what_is_not(shell):
    facts = fingerprint()
    assert "OMP_NUM_THREADS" not in facts["variables"]
    assert facts["variables"]["ORT_DISABLE_TELEMETRY"] == "1"
    assert facts["variables_not_passed_on"] == {"JAX_PLATFORMS": "tpu", "OMP_NUM_THREADS": "7"}


@pytest.mark.backends
def test_a_variable_of_the_shell_makes_no_backend_unusable(shell):
    (answer,) = probe(["xla"], "cpu").values()
    assert answer.available, answer.reason


def test_every_process_is_started_with_an_environment_given(repository):
    """Whoever starts a process in the product says with what; nothing inherits the shell by saying nothing."""
    silent = [
        f"{path.relative_to(repository)}:{call.lineno}"
        for folder in ("steelyard", "runners", "suites", "reports")
        for path in sorted((repository / folder).rglob("*.py"))
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func) in ("subprocess.Popen", "subprocess.run", "subprocess.check_output")
        and not any(keyword.arg == "env" for keyword in call.keywords)
        and not path.as_posix().endswith(INSIDE)
    ]
    assert silent == []
