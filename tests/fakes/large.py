"""A large stored run: synthetic results that are as long as real ones, written as the engine publishes a segment."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from steelyard.core.result import OutputCheck, Result
from steelyard.core.run import Run
from steelyard.store import create_run, segments
from tests.fakes.runs import BACKENDS, Shape, llm_points, synthetic_run

ARMS = (*BACKENDS, *(f"{name}[variant=2]" for name in BACKENDS))
ROUNDS = 9
SAMPLES_PER_CASE = 1000
OUTPUTS = 16
"""Outputs that are checked in each launch. A decode step of a real model has a few dozen: its cache counts."""
_DETAILS = {
    "affinity_cpus": 2,
    "openmp": dict.fromkeys(("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_PROC_BIND", "KMP_BLOCKTIME"), "unset"),
    "cpu_capability": "AVX512",
    "float32_matmul_precision": "highest",
    "inference_mode": True,
}


def large_run(points: int) -> Run:
    """Ten backends and a control arm at so many points, 1,000 samples or a few more for each case."""
    calls = -(-SAMPLES_PER_CASE // ROUNDS)
    run = synthetic_run(
        backends=ARMS,
        rounds=ROUNDS,
        points=llm_points(("decode",), batches=range(1, points + 1)),
        headline="decode",
        shape=Shape(calls=calls),
    )
    return replace(run, results=tuple(_as_long(run.results)))


def store_large(root: Path, points: int) -> Path:
    """Store it; returns its folder."""
    run = large_run(points)
    with create_run(root, run.manifest) as writer:
        (segment,) = run.segments
        data = segments.SegmentData(segment=segment, launches=run.launches, results=run.results)
        segments.publish_data(writer.path, data)
    return writer.path


def _as_long(results: tuple[Result, ...]) -> Iterator[Result]:
    for result in results:
        if result.correctness is None or result.proof is None:
            yield result
            continue
        error = result.phases["compile_s"] * 1e-7
        checks = tuple(
            OutputCheck(output=f"cache.{n}.k", relative_l2=error + n, max_abs=10 * error, tolerance=2e-5, passed=True)
            for n in range(OUTPUTS)
        )
        yield replace(
            result,
            correctness=replace(result.correctness, outputs=checks),
            proof=replace(result.proof, details=_DETAILS),
        )
