"""Does every call leave memory behind? Resident memory between checked calls of the timed window."""

import os
from collections.abc import Sequence
from pathlib import Path

from steelyard.core.metrics import Reading, absent

_STATM = Path("/proc/self/statm")
_LEAST_CALLS = 10
_LEAST_BYTES = 4 << 20
"""Less than this over half a window is an allocator's habit, or a page touched late."""


class Growth:
    """Resident memory noted at some calls, outside their samples."""

    def __init__(self) -> None:
        self._noted: list[tuple[int, int]] = []
        self._reason = ""

    def note(self, calls: int) -> None:
        """Resident memory after so many calls."""
        try:
            pages = int(_STATM.read_text().split()[1])
        except (OSError, IndexError, ValueError) as error:
            self._reason = f"resident memory cannot be read: {error}"
            return
        self._noted.append((calls, pages * os.sysconf("SC_PAGE_SIZE")))

    def per_call(self) -> Reading:
        """Bytes per call over the second half of what was noted: arenas and lazily touched pages have grown by then."""
        if self._reason:
            return absent("B", self._reason)
        half = _second_half(self._noted)
        if half is None:
            return absent("B", f"too_short: fewer than {_LEAST_CALLS} calls lie between the second half's ends")
        (early, before), (late, after) = half
        return Reading(
            value=(after - before) / (late - early), unit="B", method="resident memory between checked calls"
        )

    def sentence(self) -> str:
        """That the memory grows, if it does; ''. Steadily: in the first part of that half as in the second."""
        half, growth = _second_half(self._noted), self.per_call().value
        if half is None or growth is None:
            return ""
        (early, before), (late, after) = half
        middle = [entry for entry in self._noted if early < entry[0] < late]
        if after - before < _LEAST_BYTES or any(not before < held < after for _, held in middle):
            return ""
        return f"memory grows with every call: {growth / 2**20:.2g} MiB a call over {late - early} calls of the window"


def _second_half(noted: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], tuple[int, int]] | None:
    if len(noted) < 2:
        return None
    last = noted[-1]
    first = min(noted[:-1], key=lambda entry: abs(entry[0] - last[0] / 2))
    return (first, last) if last[0] - first[0] >= _LEAST_CALLS else None
