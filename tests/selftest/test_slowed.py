"""The slowed backend: slower by the fraction asked for, and else the backend that it wraps."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard import plugins
from steelyard.core.backend import parse_backend, split_backends
from steelyard.core.errors import UsageError
from steelyard.core.runner import Binding
from steelyard.store import find_run, open_run
from tests.calibration import slowed as module
from tests.calibration.slowed import PATH, SlowedBinding, slowed
from tests.fakes import numpy_work

ROOT = Path(__file__).parents[2]


class Clock:
    """Nanoseconds; every look at it costs `tick`."""

    def __init__(self, tick: int) -> None:
        self.now, self.tick = 0, tick

    def __call__(self) -> int:
        self.now += self.tick
        return self.now


class Takes(Binding):
    """A call of a known time."""

    def __init__(self, clock: Clock, ns: int) -> None:
        self.clock, self.ns = clock, ns

    def run(self) -> None:
        self.clock.now += self.ns

    def read(self, names: tuple[str, ...] | None = None) -> Mapping[str, Any]:
        return {"y": self.ns}

    def settle(self) -> None: ...
    def update(self, inputs: Mapping[str, Any]) -> None: ...
    def adopt(self, source: Binding) -> None:
        self.adopted = source


@settings(max_examples=50)
@given(ns=st.integers(1_000, 10**6), by=st.floats(0, 2, allow_nan=False), tick=st.integers(20, 200))
def test_a_call_takes_longer_by_the_fraction_of_its_own_time(ns: int, by: float, tick: int) -> None:
    clock = Clock(tick)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CLOCK", clock)
        begun = clock.now
        SlowedBinding(Takes(clock, ns), by).run()
        taken = clock.now - begun
    # Two looks at the clock around the call, one of which the measured time holds, and the last turn of the spin.
    assert (1 + by) * ns - 1 <= taken <= (1 + by) * (ns + tick) + 2 * tick + 1


def test_state_is_adopted_from_the_binding_inside() -> None:
    clock = Clock(1)
    inner, source = Takes(clock, 5), Takes(clock, 7)
    SlowedBinding(inner, 0.1).adopt(SlowedBinding(source, 0.1))
    assert inner.adopted is source


def test_its_name_reads_back_and_stands_in_a_list() -> None:
    text = slowed("onnxruntime", 0.0173)
    spec = parse_backend(text)
    assert (spec.runner, spec.options) == (PATH, {"of": "onnxruntime", "by": "0.0173"})
    assert spec.text == text
    assert split_backends(f"{text},xla") == (text, "xla")
    assert plugins.runner(PATH).needs(spec) == plugins.runner("onnxruntime").needs(parse_backend("onnxruntime"))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("of=onnxruntime", "by=nothing is no fraction"),
        ("of=onnxruntime,by=fast", "by=fast is no fraction"),
        ("of=onnxruntime,by=-0.1", "by=-0.1 is no fraction"),
        ("of=onnxruntime,by=inf", "by=inf is no fraction"),
        ("by=0.1", "wraps another: name it"),
    ],
)
def test_what_makes_no_sense_is_refused(options: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        plugins.runner(PATH).needs(parse_backend(f"{PATH}[{options}]"))


def test_in_a_real_launch_it_is_slower_and_right(tmp_path: Path) -> None:
    """Four times as long again: the bounds are wide, for a machine that does other work."""
    inner = numpy_work.PATH
    backend = f"{PATH}[by=4,of={inner}]"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "steelyard", "run", "--suite", "tests.fakes.small_suite:SUITE", "--no-report"),
            *("--baseline", inner, "--backend", backend, "--workload", "wide", "--rounds", "2", "--window", "0.1"),
            *("--threads", "1", "--output", str(tmp_path / "runs")),
        ],
        cwd=ROOT,
        env={**os.environ, "STEELYARD_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    run = open_run(find_run(tmp_path / "runs", "latest"))
    medians: dict[str, list[float]] = {}
    for result in run.results:
        assert result.status == "ok", result.reason
        assert result.correctness is not None
        assert result.correctness.passed
        assert result.proof is not None
        assert result.proof.runtime == "numpy"
        if (found := result.measurement("latency_s")) is not None:
            medians.setdefault(result.arm, []).append(median(found.samples))
    (slow,) = [label for label in medians if label.startswith(PATH)]
    ratio = min(medians[slow]) / min(medians[parse_backend(inner).text])
    assert ratio > 2
    options = next(result.options for result in run.results if result.arm == slow)
    assert options["by"] == "4"
    assert "found_cache" in options
