"""The spin meter: a process that only reads the clock, and what it missed was taken from it.

Run as a file, `python -I -S spin.py CPU START_NS END_NS`: a small child per CPU. It imports the
standard library only and prints `lost_ns total_ns longest_ns` on one line.
"""

import gc
import os
import sys
import time

# A reading of the clock takes about 0.1 us in this loop; a gap above 5 us is an interrupt, another
# task or the hypervisor.
GAP_NS = 5_000


def spin(end_ns: int) -> tuple[int, int, int]:
    """Spin until `end_ns` on the monotonic clock. Nanoseconds (lost in gaps, in all, in the longest gap)."""
    clock = time.monotonic_ns
    lost = longest = 0
    begun = last = clock()
    while last < end_ns:
        now = clock()
        gap = now - last
        if gap > GAP_NS:
            lost += gap
            if gap > longest:
                longest = gap
        last = now
    return lost, last - begun, longest


def _main() -> None:
    cpu, start_ns, end_ns = (int(text) for text in sys.argv[1:4])
    os.sched_setaffinity(0, {cpu})
    gc.disable()
    time.sleep(max(0, start_ns - time.monotonic_ns()) / 1e9)
    print(*spin(end_ns))


if __name__ == "__main__":
    _main()
