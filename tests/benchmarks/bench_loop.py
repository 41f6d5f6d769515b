"""What the timed loop adds to every call: an empty callable in it, beside a bare pair of clock reads."""

import statistics
import time

from steelyard.measure.loop import loop_overhead_s

LIMIT_S = 100e-9
PAIRS = 20_000


def bare_pair_s() -> float:
    clock = time.perf_counter_ns
    found = []
    for _ in range(PAIRS):
        start = clock()
        end = clock()
        found.append(end - start)
    return statistics.median(found) * 1e-9


def bench_timed_loop(benchmark):
    found = []
    benchmark.pedantic(lambda: found.append(loop_overhead_s(PAIRS)), rounds=15, warmup_rounds=1)
    loop, bare = statistics.median(found), bare_pair_s()
    benchmark.extra_info |= {"loop_s": loop, "bare_pair_s": bare, "limit_s": LIMIT_S}
    print(f"\ntimed loop: {loop * 1e9:.0f} ns a call; a bare pair of clock reads: {bare * 1e9:.0f} ns")
    assert 0 < loop <= LIMIT_S
