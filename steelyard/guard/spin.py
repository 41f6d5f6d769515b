"""The spin meter: a process that only reads the clock. What it missed was taken from it, and how often it came to read
the clock is how fast the CPU was.

Run as a file, `python -I -S spin.py`, it imports the standard library only.

    spin.py CPU START_NS END_NS    spins once and prints `lost_ns total_ns longest_ns steps` on one line
    spin.py serve CPU ...          answers each line `warm_ns read_ns` of its input by a line with `steps kept_ns` of
                                   each CPU, one CPU after the other, and sleeps in between; ends with its input
"""

import gc
import os
import sys
import time

# A reading of the clock takes about 0.1 us in this loop; a gap above 5 us is an interrupt, another
# task or the hypervisor.
GAP_NS = 5_000


def spin(end_ns: int) -> tuple[int, int, int, int]:
    """Spin until `end_ns` on the monotonic clock. Nanoseconds (lost in gaps, in all, in the longest gap), and how often
    the loop went round outside of gaps."""
    clock = time.monotonic_ns
    lost = longest = steps = 0
    begun = last = clock()
    while last < end_ns:
        now = clock()
        gap = now - last
        if gap > GAP_NS:
            lost += gap
            if gap > longest:
                longest = gap
        else:
            steps += 1
        last = now
    return lost, last - begun, longest, steps


def _serve(cpus: list[int]) -> None:
    for line in sys.stdin:
        warm_ns, read_ns = (int(text) for text in line.split())
        answer: list[int] = []
        for cpu in cpus:
            os.sched_setaffinity(0, {cpu})
            spin(time.monotonic_ns() + warm_ns)  # its caches are cold, and the clock of an idle CPU is low
            lost, total, _, steps = spin(time.monotonic_ns() + read_ns)
            answer += [steps, total - lost]
        print(*answer, flush=True)


def _main() -> None:
    gc.disable()
    if sys.argv[1] == "serve":
        _serve([int(text) for text in sys.argv[2:]])
        return
    cpu, start_ns, end_ns = (int(text) for text in sys.argv[1:4])
    os.sched_setaffinity(0, {cpu})
    time.sleep(max(0, start_ns - time.monotonic_ns()) / 1e9)
    print(*spin(end_ns))


if __name__ == "__main__":
    _main()
