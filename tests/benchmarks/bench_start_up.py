"""What a command costs before it does anything, beyond starting Python itself.

The limits are promises for a small virtual machine with 2 cores. The difference of medians from
alternating runs is held against them, so that a slow minute falls on both sides. Run with
`make benchmark` on an otherwise idle machine.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROUNDS = 25
BENCH = str(Path(sys.executable).with_name("bench"))


def seconds(command, cwd):
    start = time.perf_counter()
    subprocess.run(command, cwd=cwd, check=True, capture_output=True)
    return time.perf_counter() - start


@pytest.mark.parametrize(
    ("arguments", "limit_s"), [(("--help",), 0.080), (("list", "suites"), 0.300), (("list",), 0.300)], ids=str
)
def bench_command(benchmark, tmp_path, arguments, limit_s):
    bare, ours = [], []

    def pair():
        bare.append(seconds([sys.executable, "-c", "pass"], tmp_path))
        ours.append(seconds([BENCH, *arguments], tmp_path))

    pair()
    bare.clear()
    ours.clear()
    benchmark.pedantic(pair, rounds=ROUNDS)
    over = statistics.median(ours) - statistics.median(bare)
    benchmark.extra_info |= {"bare_s": statistics.median(bare), "over_bare_s": over, "limit_s": limit_s}
    print(f"\nbench {' '.join(arguments)}: {over * 1e3:.0f} ms over bare Python (limit {limit_s * 1e3:.0f} ms)")
    assert over <= limit_s
