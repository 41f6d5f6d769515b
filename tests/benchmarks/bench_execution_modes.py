"""Is each backend at its best? Our binding in the product's timed loop beside a loop written by hand.

For each backend and for decode and prefill of the suite llm: the ratio ours / by hand with its 95 %
Hodges-Lehmann interval over paired blocks, and whether the two are equivalent within 3 %. The loops
stand in tests/validation/loops.py and, explained line by line, in docs/execution-modes.md. Each comparison takes fresh
child processes with a worker's environment and CPUs: one that fills the compile caches, where the runtime keeps any,
then launches that build our side first and the other side first in turn.

    STEELYARD_EXECUTION_MODE_SIZE      tiny (default), or small: SmolLM2-135M with its own weights
    STEELYARD_EXECUTION_MODE_LAUNCHES  launches of a comparison, 2 by default
    STEELYARD_EXECUTION_MODE_BLOCKS    paired blocks over all launches, 24 by default; at least 6 for an interval

Run with `make benchmark PYTEST='-k execution_modes'` on an otherwise idle machine.
"""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard import plugins, wire
from steelyard.core.backend import Budget, parse_backend
from steelyard.core.workload import Selection
from steelyard.engine.launch_start import environment
from steelyard.engine.lower import lower_points
from steelyard.engine.probe import probe
from steelyard.engine.protocol import CaseRequest, LaunchRequest, Pace
from steelyard.hardware.choice import choose_cpus, pick_device
from steelyard.stats.hodges_lehmann import paired
from tests.validation.loops import LOOPS

ROOT = Path(__file__).parents[2]
MARGIN = 0.03
WORKLOADS = ("decode", "prefill")
SIZE = os.environ.get("STEELYARD_EXECUTION_MODE_SIZE", "tiny")
LAUNCHES = int(os.environ.get("STEELYARD_EXECUTION_MODE_LAUNCHES", "2"))
BLOCKS = int(os.environ.get("STEELYARD_EXECUTION_MODE_BLOCKS", "24"))
TIMEOUT_S = 1800
CHILD = "import sys; from tests.benchmarks.execution_mode_child import main; main(*sys.argv[1:])"


def verdict(interval, margin=MARGIN):
    """Of an interval of log ratios: equivalent, not equivalent, or inconclusive."""
    edge = math.log1p(margin)
    if interval is None:
        return "inconclusive"
    if -edge < interval.low and interval.high < edge:
        return "equivalent"
    return "not equivalent" if interval.low > edge or interval.high < -edge else "inconclusive"


@pytest.fixture(scope="module")
def found():
    return probe(list(LOOPS), "cpu")


@pytest.fixture(scope="module")
def lowered(found):
    """The points of both workloads, lowered for every backend that can run here, by workload."""
    usable = [name for name in LOOPS if found[name].available]
    formats = sorted({form for name in usable for form in plugins.runner(name).needs(parse_backend(name))})
    selection = Selection(device_kind="cpu", size=SIZE, workloads=WORKLOADS, axes={"model": ("smollm2",)})
    points = plugins.suite("llm").points(selection)
    done, failures = lower_points(points, formats, weights_dir=None, device_kind="cpu", say=print)
    assert not failures
    return {point.workload: done[point.key] for point in points}


def launch(request, directory, blocks):
    """Run one child to its end and return what it measured."""
    name = f"{request.position}{'' if request.steady else '-cold'}"
    request_file, result_file = directory / f"request-{name}.json", directory / f"result-{name}.json"
    request_file.write_bytes(wire.encode(request))
    for folder in (request.compile_cache, request.scratch):
        Path(folder).mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-P", "-c", CHILD, str(request_file), str(result_file), str(blocks)],
        env=environment(request) | {"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, f"the launch ended with {done.returncode}\n{(done.stdout + done.stderr)[-6000:]}"
    return json.loads(result_file.read_text())


@pytest.mark.timeout(3 * TIMEOUT_S)
@pytest.mark.parametrize("workload", WORKLOADS)
@pytest.mark.parametrize("backend", LOOPS)
def bench_execution_modes(benchmark, found, lowered, tmp_path, backend, workload):
    if not found[backend].available:
        pytest.skip(f"{backend}: {found[backend].reason}")
    point = lowered[workload]
    assert not point.programs["main"].failures, point.programs["main"].failures
    cpus = choose_cpus(None, None)

    def request(position, steady):
        return LaunchRequest(
            launch=f"execution-modes/{position}",
            arm=backend,
            round=int(steady),
            position=position,
            backend=parse_backend(backend),
            device=pick_device("cpu"),
            budget=Budget(threads=len(cpus), cpus=cpus),
            compile_cache=str(tmp_path / "compile"),
            scratch=str(tmp_path / f"scratch-{position}"),
            seed=position,
            steady=steady,
            cases=(
                CaseRequest(
                    case_id="execution-modes", lowered=point, pace=Pace(seconds=0, minimum=1, maximum=1, cap_s=1)
                ),
            ),
        )

    def compare():
        if plugins.runner(backend).keeps_cache:
            launch(request(0, steady=False), tmp_path, 0)
        shares = [len(range(position, BLOCKS, LAUNCHES)) for position in range(LAUNCHES)]
        return [launch(request(position, steady=True), tmp_path, blocks) for position, blocks in enumerate(shares)]

    launches = benchmark.pedantic(compare, rounds=1)
    logs = [[math.log(block["ours"] / block["hand"]) for block in each["blocks"]] for each in launches]
    estimate = paired([value for each in logs for value in each]).estimate(0.95)
    said, interval = verdict(estimate.interval), estimate.interval
    ratio = math.exp(estimate.value)
    ends = None if interval is None else [math.exp(interval.low), math.exp(interval.high)]
    by_launch = [math.exp(paired(each).value) for each in logs if each]
    benchmark.extra_info |= {
        "backend": backend,
        "workload": workload,
        "size": SIZE,
        "weights": point.programs["main"].program.weights.origin,
        "ratio": ratio,
        "interval_95": ends,
        "margin": MARGIN,
        "verdict": said,
        "pairs": estimate.n,
        "ratio_by_launch": by_launch,
        "calls_a_block": [each["calls"] for each in launches],
        "block_medians_s": [
            {side: nanoseconds * 1e-9 for side, nanoseconds in block.items()}
            for each in launches
            for block in each["blocks"]
        ],
    }
    shown = "no interval: " + estimate.reason if ends is None else f"[{ends[0]:.4f}, {ends[1]:.4f}]"
    print(
        f"\n{backend} {workload} ({SIZE}): ours / by hand {ratio:.4f} {shown} over {estimate.n} paired blocks "
        f"(launches {', '.join(f'{value:.4f}' for value in by_launch)}): {said} at {MARGIN:.0%}"
    )
    assert said != "not equivalent"
