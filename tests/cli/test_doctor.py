"""`bench doctor` with real probes, real meters and the real noise of this machine."""

import json

import pytest
from typer.testing import CliRunner

from steelyard.cli import doctor
from steelyard.cli.main import app
from steelyard.core.metrics import Reading
from steelyard.core.run import Noise

QUIET = Noise(grade="A", readings={"steal_share": Reading(value=0.0, unit="1")})


def row(backend: str, reason: str = "", idle: bool = False) -> dict:
    return {"backend": backend, "device": "cpu", "available": not reason, "reason": reason, "idle": idle}


def test_advice_says_what_to_do(monkeypatch):
    monkeypatch.setattr("steelyard.guard.environment.shell_warning", lambda: "")  # whatever shell this is
    lines = doctor.advice(
        [row("eager"), row("xla", "the package 'jax' is not installed: pip install 'steelyard[xla]'"),
         row("torch_compile", "takes a name", idle=True)],
        [{"meter": "rapl", "available": False, "reason": "no_device: no powercap on this machine"}],
        Noise(grade="F", readings={}, evidence=("F: the hypervisor gave 20.0% ...",)),
    )  # fmt: skip
    assert lines == [
        "run: bench run --backend eager",
        "xla on cpu: the package 'jax' is not installed: pip install 'steelyard[xla]'",
        "energy will be empty, with the reason (rapl: no_device: no powercap on this machine)",
        "noise: F: the hypervisor gave 20.0% ...",
        "noise: at grade F numbers are stored and verdicts withheld",
    ]


def test_a_meter_that_may_not_be_read_gets_advice_that_is_printed_alone():
    meters = [{"meter": "rapl", "available": False, "reason": "no_permission: energy_uj is readable by root only"}]
    lines = doctor.advice([row("eager")], meters, QUIET)
    (line,) = [line for line in lines if "chgrp" in line]
    assert "an administrator can run: sudo chgrp" in line
    assert "CVE-2020-8694" in line


def test_without_a_backend_it_says_so():
    lines = doctor.advice([row("eager", "no torch")], [{"meter": "rapl", "available": True, "reason": ""}], QUIET)
    assert lines[0].startswith("no backend is usable")
    assert not any("energy" in line for line in lines)


@pytest.mark.backends
def test_the_whole_of_it_on_this_machine():
    """Every backend is asked in its own process; the answer as a table and as data tells the same."""
    data = json.loads(CliRunner().invoke(app, ["doctor", "--device", "cpu", "--json"], catch_exceptions=False).output)
    assert (data["kind"], data["version"]) == ("steelyard-doctor", 1)
    usable = {entry["backend"] for entry in data["backends"] if entry["available"]}
    assert {"eager", "xla", "onnxruntime", "openvino"} <= usable
    assert next(entry for entry in data["backends"] if entry["backend"] == "xla")["versions"]["jax"]
    assert all(entry["available"] or entry["reason"] for entry in (*data["backends"], *data["meters"]))
    assert data["noise"]["grade"] in "ABCDF"
    assert data["advice"][0].startswith("run: bench run --backend ")


def test_the_tables_fit_80_columns(monkeypatch):
    monkeypatch.setattr(
        doctor, "_backends", lambda asked: [row("eager") | {"versions": {"torch": "2"}}, row("xla", "no jax " * 30)]
    )
    output = CliRunner().invoke(app, ["doctor"], catch_exceptions=False).output
    table = output[: output.index("advice")]
    assert max(map(len, table.splitlines())) <= 80
    assert "machine noise: grade" in output
