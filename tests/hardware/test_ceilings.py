"""Measured ceilings: levels from the kernel's files, the compiled loops, what fails, what is kept, the command."""

import json
import os
import stat
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from steelyard.cli.main import app
from steelyard.core.backend import Budget, Device
from steelyard.core.ceilings import Ceiling
from steelyard.core.errors import StoreError, Unsupported, UsageError
from steelyard.hardware.ceilings import build, child, kept, measure
from steelyard.hardware.ceilings.jobs import Offer, Ready, Start, Terms
from steelyard.hardware.ceilings.levels import SMALLEST_BYTES, levels, place, sizes
from steelyard.hardware.ceilings.measure import Request
from steelyard.hardware.ceilings.process import Lost, Process, environment
from steelyard.hardware.ceilings.product import Product, matrices, offer
from steelyard.hardware.fingerprint import fingerprint
from steelyard.hardware.machine import machine_key
from tests.fakes.ceilings import synthetic_ceilings

CPU = Device(kind="cpu", index=0, name="A CPU", memory_bytes=1 << 33)
CPUS = tuple(sorted(os.sched_getaffinity(0)))[:1]
TERMS = Terms(
    device_kind="cpu", device_index=0, threads=1, cpus=CPUS, sample_s=0.0005, product_s=0.001, most_bytes=1 << 16
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """The native loops, compiled once for all tests."""
    folder = tmp_path_factory.mktemp("native")
    before = os.environ.get("STEELYARD_CACHE")
    os.environ["STEELYARD_CACHE"] = str(folder)
    try:
        return build.library()
    finally:
        os.environ.pop("STEELYARD_CACHE") if before is None else os.environ.update(STEELYARD_CACHE=before)


def caches(root: Path, *entries: tuple[str, str, str, str]) -> Path:
    for number, (level, kind, size, shared) in enumerate(entries):
        folder = root / f"sys/devices/system/cpu/cpu0/cache/index{number}"
        folder.mkdir(parents=True)
        for name, text in (("level", level), ("type", kind), ("size", size), ("shared_cpu_list", shared)):
            (folder / name).write_text(text)
    return root


def test_a_shared_cache_is_divided_among_the_cpus_that_share_it(tmp_path):
    root = caches(
        tmp_path,
        ("1", "Data", "32K", "0"),
        ("1", "Instruction", "64K", "0"),
        ("2", "Unified", "512K", "0"),
        ("3", "Unified", "32768K", "0-7"),
    )
    first, _, third = levels((0, 1, 2, 3), root)
    assert (first.name, first.share_bytes, first.alone_bytes, first.total_bytes) == ("L1", 32768, 32768, 4 * 32768)
    assert (third.name, third.share_bytes, third.alone_bytes) == ("L3", 8 << 20, 32 << 20)
    assert third.total_bytes == 32 << 20
    assert levels((0,), tmp_path / "elsewhere") == ()


@given(st.lists(st.integers(12, 30), min_size=1, max_size=4, unique=True), st.integers(SMALLEST_BYTES, 1 << 34))
def test_working_sets_double_up_to_memory_and_lie_in_one_level_or_none(powers, most):
    capacities = [3 << (power - 1) for power in sorted(powers)]
    names = [f"L{number}" for number in range(1, len(capacities) + 1)]
    found = sizes(capacities, most)
    assert found[0] == SMALLEST_BYTES
    assert all(b == 2 * a for a, b in pairwise(found))
    assert found[-1] <= most
    where = [place(size, capacities, names) for size in found]
    order = ["", *names, "memory"]
    known = [order.index(name) for name in where if name]
    assert known == sorted(known)
    for size, name in zip(found, where, strict=True):
        if name.startswith("L"):
            assert size <= 0.75 * capacities[names.index(name)]
        if name == "memory":
            assert size >= 4 * capacities[-1]
    if most >= 8 * capacities[-1]:
        assert where[-1] == "memory"


def test_too_small_a_working_set_is_refused():
    with pytest.raises(UsageError, match="too small"):
        sizes([32768], SMALLEST_BYTES - 1)


def test_the_loops_are_compiled_once_and_say_with_what(monkeypatch):
    first = build.library()
    assert "-O3" in first.compiler
    assert "native" in first.compiler
    monkeypatch.setattr(build, "_compile", lambda *_: pytest.fail("compiled again"))
    assert build.library() == first


def test_without_a_compiler_the_reason_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(Unsupported, match=r"no C compiler was found.*apt install gcc"):
        build.library()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo cc 1.0; case $* in *--version*) exit 0;; esac; echo 'no stdint.h here' >&2; exit 1", "no stdint.h here"),
        ("exit 3", "does not tell its version"),
    ],
)
def test_a_compiler_that_fails_is_quoted(monkeypatch, tmp_path, script, said):
    broken = tmp_path / "broken-cc"
    broken.write_text(f"#!/bin/sh\n{script}\n")
    broken.chmod(broken.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CC", str(broken))
    with pytest.raises(Unsupported, match=said):
        build.library()
    assert not list((tmp_path / "cache").rglob("*.so"))


def test_the_native_loops_measure_every_level_and_every_chain(compiled):
    from steelyard.hardware.ceilings.native import prepare

    work = prepare(Start(by="native", terms=TERMS, library=str(compiled.path)))
    found = {}
    for each, sample in work.offers:
        assert sample is not None
        found[each.what, each.dtype, each.size] = sample()
    assert all(np.isfinite(value) and value > 0 for value in found.values())
    assert {what for what, _, _ in found} == {"read", "copy", "triad", "chase", "dependent", "independent", "fma"}
    for dtype in ("float32", "float64"):
        assert found["independent", dtype, None] < found["dependent", dtype, None]
    assert found["fma", "float32", None] > found["fma", "float64", None]


def test_with_several_threads_some_loops_run_on_fewer_for_the_scaling(compiled):
    from steelyard.hardware.ceilings.native import prepare

    two = tuple(sorted(os.sched_getaffinity(0)))[:2]
    terms = replace(TERMS, threads=2, cpus=two if len(two) == 2 else two * 2)
    work = prepare(Start(by="native", terms=terms, library=str(compiled.path)))
    offers = [offered for offered, _ in work.offers]
    assert {o.threads for o in offers if o.what == "fma"} == {1, 2}
    assert {o.threads for o in offers if o.what == "triad"} == {1, 2}
    assert {o.threads for o in offers if o.what in ("chase", "dependent", "independent")} == {1}
    scaled = next(sample for o, sample in work.offers if (o.what, o.dtype, o.threads) == ("fma", "float64", 2))
    assert scaled() > 0


def test_on_an_accelerator_the_native_loops_are_absent():
    from steelyard.hardware.ceilings.native import prepare

    with pytest.raises(Unsupported, match="run on the CPU, not on cuda"):
        prepare(Start(by="native", terms=replace(TERMS, device_kind="cuda")))


def numpy_product(spoil=0.0):
    def make(a, b, dtype):
        first, second = a.astype(dtype), b.astype(dtype)
        out = np.empty_like(first)

        def calls(count):
            for _ in range(count):
                np.matmul(first, second, out=out)

        return Product(calls=calls, first_row=lambda: out[0].astype(np.float64) * (1 + spoil))

    return make


def test_a_product_is_taken_at_an_edge_that_was_tried_and_its_rate_is_that_of_its_work():
    found, sample = offer(numpy_product(), "float64", TERMS)
    assert (found.what, found.dtype, found.reason) == ("gemm", "float64", "")
    assert found.size >= 256
    assert sample() > 0


def test_a_product_in_a_narrower_type_is_no_ceiling_of_its_dtype():
    found, sample = offer(numpy_product(spoil=5e-4), "float32", TERMS)
    assert sample is None
    assert "more than float32 allows" in found.reason


def test_what_a_runtime_raises_is_the_reason():
    def refuse(a, b, dtype):
        raise NotImplementedError(f"no kernel for {dtype}\nand more")

    found, sample = offer(refuse, "float16", TERMS)
    assert sample is None
    assert found.reason == "NotImplementedError: no kernel for float16"


def test_matrices_are_the_same_for_a_seed_and_of_one_block_repeated():
    a, b = matrices(1024, 3)
    assert np.array_equal(a, matrices(1024, 3)[0])
    assert not np.array_equal(a, b)
    assert np.array_equal(a[:512, :512], a[512:, 512:])


def test_values_of_rounds_become_an_estimate_and_what_has_none_says_why():
    ready = Ready(
        offers=(
            Offer(what="read", unit="B/s", threads=1, size=4096, level="L1"),
            Offer(what="gemm", unit="1/s", threads=1, dtype="float16", reason="no kernel"),
            Offer(what="fma", unit="1/s", threads=1, dtype="float32"),
            Offer(what="fma", unit="1/s", threads=1, dtype="float64"),
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
        Request(device=CPU, budget=Budget(threads=1, cpus=CPUS), runtimes=("torch",), rounds=1, quick=True),
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
    assert environment(replace(TERMS, device_kind="cuda"))["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"


def test_the_newest_is_kept_by_machine_device_and_threads():
    here = fingerprint()
    found = replace(synthetic_ceilings(), machine_key=machine_key(here), threads=1)
    assert kept.newest(here, CPU, 1) is None
    assert kept.keep(found)
    assert kept.newest(here, CPU, 1) == found
    assert kept.newest(here, CPU, 2) is None
    assert kept.newest(here, Device(kind="cuda", index=0, name="A GPU", memory_bytes=None), 1) is None
    other = {**here, "memory_bytes": 1 << 50}
    assert kept.newest(other, CPU, 1) is None


def test_what_knows_less_does_not_replace_what_is_kept():
    here = fingerprint()
    found = replace(synthetic_ceilings(), machine_key=machine_key(here))
    assert kept.keep(found)
    noisy = replace(found, grade="F", rounds=99)
    shorter = replace(found, rounds=6)
    partial = replace(found, rows=found.rows[:3], rounds=99)
    for less in (noisy, shorter, partial):
        assert not kept.keep(less)
    assert kept.newest(here, CPU, 2) == found
    assert kept.keep(replace(partial, versions={"torch": "another"}))


def test_a_damaged_file_is_named_and_replaced_by_the_next(tmp_path):
    here = fingerprint()
    found = replace(synthetic_ceilings(), machine_key=machine_key(here))
    kept.keep(found)
    (file,) = (tmp_path / "cache" / "ceilings").glob("*.json")
    file.write_text("{")
    with pytest.raises(StoreError, match=r"ceilings/.*\.json"):
        kept.newest(here, CPU, 2)
    assert kept.keep(found)


def test_the_command_measures_prints_and_keeps(tmp_path):
    options = ["--runtime", "native", "--threads", "1", "--quick", "--rounds", "2", "--most", "64KiB"]
    runner = CliRunner()
    done = runner.invoke(app, ["hardware", "ceilings", *options], catch_exceptions=False)
    assert done.exit_code == 0
    for title in ("bandwidth by working set", "latency of a load", "arithmetic", "kept: later runs"):
        assert title in done.output
    assert len(list((tmp_path / "cache" / "ceilings").glob("*-cpu-1.json"))) == 1
    told = runner.invoke(app, ["hardware", "ceilings", *options, "--json", "--no-keep"], catch_exceptions=False)
    document = json.loads(told.stdout)
    assert (document["kind"], document["version"]) == ("steelyard-ceilings", 1)
    assert document["ceilings"]["rounds"] == 2
    assert "home" not in json.dumps(document["ceilings"])
    rows = document["ceilings"]["rows"]
    assert {row["what"] for row in rows} >= {"read", "copy", "triad", "chase", "fma"}
    assert all(row["estimate"] or row["reason"] for row in rows)
    assert max(row["size"] for row in rows if row["what"] == "read") == 64 << 10


def test_the_command_without_a_compiler_says_so_and_measures_the_rest(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    done = CliRunner().invoke(
        app, ["hardware", "ceilings", "--runtime", "native", "--threads", "1", "--quick", "--rounds", "1"],
        catch_exceptions=False,
    )  # fmt: skip
    assert done.exit_code == 0
    assert "not measured: native read, native chase, native fma: no C compiler was found" in done.output


def test_an_unknown_runtime_is_refused_with_the_valid_names():
    done = CliRunner().invoke(app, ["hardware", "ceilings", "--runtime", "torsh"])
    assert isinstance(done.exception, UsageError)
    assert "did you mean 'torch'" in str(done.exception)


@pytest.mark.backends
def test_a_runtime_is_measured_in_its_own_process():
    found = measure.measure(
        Request(
            device=CPU, budget=Budget(threads=1, cpus=CPUS), runtimes=("onnxruntime",), rounds=2, quick=True
        ),
        say=lambda _: None,
    )  # fmt: skip
    rows = {(row.what, row.dtype): row for row in found.rows}
    assert {row.by for row in found.rows} == {"onnxruntime"}
    assert rows["gemm", "float32"].estimate.value > 1e8
    assert 1e-8 < rows["launch", ""].estimate.value < 1e-2
