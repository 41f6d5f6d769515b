"""`bench hardware ceilings`: measured, printed, kept; and what it refuses."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from steelyard.cli.main import app
from steelyard.core.backend import Budget, Device
from steelyard.core.ceilings import Ceiling
from steelyard.core.errors import SteelyardError, UsageError
from steelyard.hardware.ceilings import measure
from steelyard.hardware.choice import choose_cpus
from steelyard.hardware.occupied import occupied
from tests.fakes.ceilings import known, synthetic_ceilings


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path / "cache"))


def ceilings(*options):
    return CliRunner().invoke(app, ["hardware", "ceilings", *options], catch_exceptions=False)


def printed(monkeypatch, found):
    """What the command prints of ceilings that it did not measure."""
    monkeypatch.setattr(measure, "measure", lambda request, say: found)
    return ceilings("--no-keep").stdout


def section(text, title):
    return text.split(f"\n{title}", 1)[1].split("\n\n", 1)[0]


def test_the_command_measures_and_keeps(tmp_path):
    done = ceilings(
        "--runtime", "native", "--threads", "1", "--quick", "--rounds", "2", "--most", "32KiB", "--json"
    )  # fmt: skip
    assert done.exit_code == 0
    assert "kept: later runs" in done.stderr
    assert len(list((tmp_path / "cache" / "ceilings").glob("*-cpu-1.json"))) == 1
    document = json.loads(done.stdout)
    assert (document["kind"], document["version"]) == ("steelyard-ceilings", 1)
    assert document["ceilings"]["rounds"] == 2
    assert "home" not in json.dumps(document["ceilings"])
    rows = document["ceilings"]["rows"]
    assert {row["what"] for row in rows} >= {"read", "copy", "triad", "chase", "dependent", "independent", "fma"}
    assert all(row["estimate"] or row["reason"] for row in rows)
    assert max(row["size"] for row in rows if row["what"] == "read") == 32 << 10


def test_tables_by_kind_and_what_could_not_be_measured_below(monkeypatch):
    found = synthetic_ceilings()
    alone = tuple(
        Ceiling(what=what, by="native", unit=unit, threads=1, dtype=dtype, level=level, estimate=known(value))
        for what, unit, dtype, level, value in (
            ("fma", "1/s", "float32", "", 101e9),
            ("triad", "B/s", "", "memory", 13e9),
            ("dependent", "s", "float32", "", 1.3e-9),
        )
    )
    text = printed(monkeypatch, replace(found, rows=(*found.rows, *alone)))
    assert "24.0 [23.5, 24.5]" in section(text, "bandwidth by working set of a thread [GB/s]")
    assert "95.0 [93.1, 96.9]" in section(text, "latency of a load by working set [ns]")
    arithmetic = section(text, "arithmetic")
    assert "200 [196, 204] GFLOP/s" in arithmetic
    assert "101" not in arithmetic  # one thread is no peak of two
    assert "1.50 [1.47, 1.53] µs" in section(text, "cost of a call")
    scaling = section(text, "thread scaling")
    assert all(value in scaling for value in ("101", "190", "13.0", "19.2"))
    assert "\ncopies" not in text
    assert "not measured: openvino gemm bfloat16: the CPU plugin has no bfloat16 on this CPU" in text


def test_a_noisy_machine_has_no_ceilings_and_is_told_so(monkeypatch):
    assert "grade F these are no ceilings" in printed(monkeypatch, synthetic_ceilings(grade="F"))


def test_what_a_device_prints(monkeypatch):
    moved = [
        Ceiling(what=what, by="torch", unit="B/s", threads=2, size=256 << 20, estimate=known(value))
        for what, value in (("to_device", 52e9), ("to_host", 48e9))
    ]
    found = replace(synthetic_ceilings(bandwidth={"memory": 3e12}), device="cuda:0", rows=tuple(moved))
    text = printed(monkeypatch, found)
    assert "52.0 [51.0, 53.0] GB/s" in section(text, "copies")
    assert "48.0 [47.0, 49.0] GB/s" in section(text, "copies")


def test_without_a_compiler_it_says_so_and_measures_the_rest(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    done = CliRunner().invoke(
        app, ["hardware", "ceilings", "--runtime", "native", "--threads", "1", "--quick", "--rounds", "1"],
        catch_exceptions=False,
    )  # fmt: skip
    assert done.exit_code == 0
    assert "not measured: native read, native chase, native fma: no C compiler was found" in done.output


def test_a_device_that_a_run_measures_on_is_refused():
    (cpu,) = choose_cpus(1, None)
    held = occupied(Device(kind="cpu", index=0, name="", memory_bytes=None), Budget(threads=1, cpus=(cpu,)))
    with held, pytest.raises(SteelyardError, match=f"is measuring on CPU {cpu}, "):
        ceilings("--cpus", str(cpu), "--runtime", "native")


def test_an_unknown_runtime_is_refused_with_the_valid_names():
    done = CliRunner().invoke(app, ["hardware", "ceilings", "--runtime", "torsh"])
    assert isinstance(done.exception, UsageError)
    assert "did you mean 'torch'" in str(done.exception)
