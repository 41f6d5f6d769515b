"""Two demonstrations of unfair comparison, measured: a silent bfloat16, and unequal thread counts.

    python -m tests.benchmarks.fairness --output DIR [--size small] [--rounds 5]

makes ordinary runs of `bench run` below DIR and prints the tables of docs/fairness.md from what they stored.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from steelyard.core.run import Run
from steelyard.store import find_run, open_run
from steelyard.tables.format import fixed, scientific

PAIR = ("onnxruntime", "openvino", "xla")
HINTS = ("openvino", "openvino[precision=auto]", "openvino[precision=bf16]")
FALLBACKS = 3
"""The exit code of a run in which a case fell back: what the first demonstration is about."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="where the runs are stored")
    parser.add_argument("--size", default="small", help="size of the suite llm")
    parser.add_argument("--rounds", default="5", help="warm rounds of each run")
    parser.add_argument("--threads", type=int, default=2, help="the larger thread count; the smaller one is 1")
    options = parser.parse_args(arguments)
    common = ("--suite", "llm", "--size", options.size, "--workload", "prefill", "--rounds", options.rounds)
    precise = measured(options.output / "precision", HINTS, options.threads, common)
    print("\n".join(precision_table(precise)), end="\n\n")
    runs = {n: measured(options.output / f"threads-{n}", PAIR, n, common) for n in (1, options.threads)}
    print("\n".join(thread_table(runs)))


def measured(output: Path, backends: Sequence[str], threads: int, common: Sequence[str]) -> Run:
    """One run of these backends at one thread count, the first the baseline."""
    command = ["run", *common, "--baseline", backends[0], "--threads", str(threads), "--no-report", "--window", "1"]
    command += [part for name in backends for part in ("--backend", name)]
    done = subprocess.run(
        [sys.executable, "-m", "steelyard", *command, "--output", str(output)], stdout=sys.stderr, check=False
    )
    if done.returncode not in (0, FALLBACKS):
        raise SystemExit(f"bench {' '.join(command)} ended with {done.returncode}")
    return open_run(find_run(output, "latest"))


def latency_s(run: Run, backend: str) -> float:
    """The median over warm launches of the launch medians, fallbacks included: they are what is shown here."""
    medians = [
        median(found.steady_samples)
        for result in run.results
        if result.arm == backend and result.round > 0 and (found := result.measurement("latency_s")) is not None
    ]
    if not medians:
        reasons = {result.reason for result in run.results if result.arm == backend}
        raise SystemExit(f"{backend} has no timed window: {'; '.join(sorted(reasons))}")
    return median(medians)


def precision_table(run: Run) -> Iterator[str]:
    """What each hint computed in, how far off it was, how long it took, and what was made of it."""
    yield "| backend | computes in | relative error | tolerance | time / float32 | status |"
    yield "|---|---|---|---|---|---|"
    for backend in HINTS:
        results = [result for result in run.results if result.arm == backend]
        checked = [item for r in results if r.correctness for item in r.correctness.outputs]
        worst = max(checked, key=lambda item: item.share)
        dtypes = ", ".join(sorted({result.proof.dtype for result in results if result.proof is not None}))
        statuses = ", ".join(sorted({result.status for result in results}))
        ratio = latency_s(run, backend) / latency_s(run, HINTS[0])
        error = f"{scientific(worst.relative_l2)} | {scientific(worst.tolerance)}"
        yield f"| `{backend}` | {dtypes} | {error} | {fixed(ratio, 2)} | {statuses} |"


def thread_table(runs: dict[int, Run]) -> Iterator[str]:
    """Latency ratios of the pairs at equal and at unequal thread counts; above 1 the first of a pair is slower."""
    few, many = sorted(runs)
    yield f"| pair | both {few} | both {many} | {few} against {many} | {many} against {few} |"
    yield "|---|---|---|---|---|"
    for index, first in enumerate(PAIR):
        for second in PAIR[index + 1 :]:
            ratios = [
                latency_s(runs[one], first) / latency_s(runs[other], second)
                for one, other in ((few, few), (many, many), (few, many), (many, few))
            ]
            yield f"| {first} / {second} | " + " | ".join(fixed(ratio, 2) for ratio in ratios) + " |"


if __name__ == "__main__":
    main()
