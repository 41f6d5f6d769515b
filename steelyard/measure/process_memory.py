"""Memory of this process in one phase: the peak, what of it is anonymous and what files, and the children's share.

`ru_maxrss` is inherited from the parent across exec and is therefore wrong for a worker. Linux lets a
process reset its own high-water mark (5 written to /proc/self/clear_refs) and read it (VmHWM). Where that is not
permitted a phase has a peak only if it raised the mark; a sampled value stands beside it. docs/memory.md says what
each number includes and how far off it was where the truth was known.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from steelyard.core.metrics import Reading, absent, raised

PROC = Path("/proc")
_MARK = "VmHWM"
_RESET = "VmHWM after reset"
_ENDS = "VmRSS at both ends of the phase, the larger: a lower bound of its peak"


class HostMemory:
    """The memory of this process in one phase: made when the phase begins, asked for `readings` when it ends.

    `proc` is /proc, or a test's tree.
    """

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc
        self._refused = reset_peak(proc)
        self._before = _status(proc) if self._refused else {}

    def readings(self) -> dict[str, Reading]:
        """By metric, in bytes: `host_peak_bytes`, `host_anon_bytes`, `host_file_bytes`; `host_sampled_bytes` where
        the peak cannot be reset; `tree_bytes` where the process has children."""
        now = _status(self._proc)
        found = {"host_peak_bytes": self._peak(now)}
        if self._refused:
            found["host_sampled_bytes"] = self._sampled(now)
        for metric, name in (("host_anon_bytes", "RssAnon"), ("host_file_bytes", "RssFile")):
            found[metric] = _status_reading(now, name, f"{name} at the end of the phase")
        children = tuple(descendants(self._proc))
        if children:
            found["tree_bytes"] = tree(children, self._proc)
        return found

    def _peak(self, now: Mapping[str, int]) -> Reading:
        if not self._refused:
            return _status_reading(now, _MARK, _RESET)
        return raised(self._before.get(_MARK), now.get(_MARK), method=_MARK, refused=self._refused)

    def _sampled(self, now: Mapping[str, int]) -> Reading:
        ends = [status["VmRSS"] for status in (self._before, now) if "VmRSS" in status]
        if len(ends) < 2:
            return absent("B", "the system does not report VmRSS")
        return Reading(value=float(max(ends)), unit="B", method=_ENDS)


def reset_peak(proc: Path = PROC) -> str:
    """Reset the high-water mark. Returns the reason when the system does not allow it, else ''."""
    try:
        (proc / "self/clear_refs").write_text("5")
    except OSError as error:
        return f"peak memory cannot be reset here: {error.strerror}"
    return ""


def read_peak(proc: Path = PROC) -> Reading:
    """The peak since the process began or last reset it, in bytes; null with the reason where it cannot be known."""
    return _status_reading(_status(proc), _MARK, _MARK)


def tree(children: tuple[int, ...], proc: Path = PROC) -> Reading:
    """Bytes of this process and these children together, each shared page counted once (proportional set sizes).

    A child that ends meanwhile counts nothing. Absent if one of them may not be read.
    """
    total = 0
    for process in ("self", *map(str, children)):
        try:
            text = (proc / process / "smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        except OSError as error:
            return absent("B", f"the memory of process {process} cannot be read: {error.strerror}")
        total += _fields(text).get("Pss", 0)
    count = len(children)
    children_ = f"{count} living {'child' if count == 1 else 'children'}"
    return Reading(value=float(total), unit="B", method=f"Pss of the process and {children_} at the end of the phase")


def descendants(proc: Path = PROC) -> Iterator[int]:
    """Process ids of the living children of this process and of theirs; none where the kernel does not list them."""
    waiting = ["self"]
    while waiting:
        for listed in (proc / waiting.pop() / "task").glob("*/children"):
            try:
                found = listed.read_text().split()
            except OSError:  # the thread, or its process, has ended
                continue
            yield from map(int, found)
            waiting += found


def _status_reading(status: Mapping[str, int], name: str, method: str) -> Reading:
    if name in status:
        return Reading(value=float(status[name]), unit="B", method=method)
    return absent("B", f"{sys.platform} does not report {name}")


def _status(proc: Path) -> dict[str, int]:
    """The Vm and Rss fields of /proc/self/status in bytes; on macOS the peak since the process began."""
    try:
        return _fields((proc / "self/status").read_text())
    except OSError:
        if sys.platform == "darwin":
            import resource

            return {_MARK: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}  # bytes there, and never inherited
        return {}


def _fields(text: str) -> dict[str, int]:
    """`Name:  123 kB` lines, in bytes."""
    found = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        parts = rest.split()
        if len(parts) == 2 and parts[1] == "kB":
            found[name] = int(parts[0]) * 1024
    return found
