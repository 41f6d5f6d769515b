"""Processes that measure in rounds: estimates out of values, reasons where there are none, what dies or is silent."""

import sys
from dataclasses import replace

import pytest

from steelyard.core.backend import Budget
from steelyard.core.ceilings import Ceiling
from steelyard.hardware.ceilings import child, measure
from steelyard.hardware.ceilings.jobs import MeasurementOffer, Ready, Start
from steelyard.hardware.ceilings.measure import CeilingRequest
from steelyard.hardware.ceilings.process import Lost, Process, environment
from tests.fakes.ceilings import CPU, CPUS, TERMS


def test_values_of_rounds_become_an_estimate_and_what_has_none_says_why():
    ready = Ready(
        offers=(
            MeasurementOffer(what="read", unit="B/s", threads=1, size=4096, level="L1"),
            MeasurementOffer(what="gemm", unit="1/s", threads=1, dtype="float16", reason="no kernel"),
            MeasurementOffer(what="fma", unit="1/s", threads=1, dtype="float32"),
            MeasurementOffer(what="fma", unit="1/s", threads=1, dtype="float64"),
        )
    )
    values = {0: [1e10, 1.1e10, 0.9e10, 1e10, 1.02e10, 0.98e10], 2: [5e10, 6e10]}
    rows = measure.ceilings("native", ready, values, {3: "the result was wrong"})
    assert rows[0].estimate.value == pytest.approx(1e10, rel=0.02)
    assert rows[0].estimate.interval.low < 1e10 < rows[0].estimate.interval.high
    assert (rows[1].estimate, rows[1].reason) == (None, "no kernel")
    assert rows[2].estimate.interval is None
    assert "2 rounds are too few" in rows[2].estimate.reason
    assert (rows[3].estimate, rows[3].reason) == (None, "the result was wrong")


def test_rates_and_times_settle_alike():
    values = [1.0, 2.0, 3.0, 5.0, 8.0, 9.0, 11.0]
    times = measure.settled([1 / value for value in values])
    rates = measure.settled(values)
    assert rates.value == pytest.approx(1 / times.value)
    assert rates.interval.low == pytest.approx(1 / times.interval.high)


def test_a_ceiling_without_a_value_must_say_why():
    with pytest.raises(ValueError, match="must say why"):
        Ceiling(what="read", by="native", unit="B/s", threads=1)


def test_a_process_that_dies_is_told_with_what_it_said():
    process = Process(Start(by="no such runtime", terms=TERMS))
    try:
        with pytest.raises(Lost, match=r"ended with code 1: KeyError"):
            process.ready()
    finally:
        process.close()


def test_a_process_that_is_silent_is_given_up():
    process = Process(Start(by="torch", terms=TERMS))
    try:
        with pytest.raises(Lost, match="torch did not answer within 0 s"):
            process.ready(within_s=0.0)
    finally:
        process.close()


def test_a_runtime_that_is_not_installed_is_a_row_with_the_reason(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "torch.py").write_text("raise ImportError('torch is not here')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = measure.measure(
        CeilingRequest(device=CPU, budget=Budget(threads=1, cpus=CPUS), runtimes=("torch",), rounds=1, quick=True),
        say=lambda _: None,
    )
    (row,) = found.rows
    assert (row.by, row.estimate) == ("torch", None)
    assert row.reason == "torch cannot be imported: torch is not here"


def test_every_runtime_has_its_module():
    for name in child.MODULES.values():
        __import__(name)


def test_the_budget_stands_in_the_environment_and_hides_other_devices():
    found = environment(replace(TERMS, threads=3))
    assert {found[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")} == {"3"}
    assert found["CUDA_VISIBLE_DEVICES"] == ""
    shared = environment(replace(TERMS, device_kind="cuda"))
    assert shared["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert shared["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"


@pytest.mark.backends
def test_a_runtime_is_measured_in_its_own_process():
    found = measure.measure(
        CeilingRequest(
            device=CPU, budget=Budget(threads=1, cpus=CPUS), runtimes=("onnxruntime",), rounds=2, quick=True
        ),
        say=lambda _: None,
    )  # fmt: skip
    rows = {(row.what, row.dtype): row for row in found.rows}
    assert {row.by for row in found.rows} == {"onnxruntime"}
    assert rows["gemm", "float32"].estimate.value > 1e8
    assert 1e-8 < rows["launch", ""].estimate.value < 1e-2
