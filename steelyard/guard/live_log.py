"""Whether the log of an external meter keeps up with this host's clock, and the wait until it has got somewhere."""

import time
from collections.abc import Callable
from pathlib import Path

from steelyard.core.errors import UsageError
from steelyard.guard.power_log import Log, read_log

PATIENCE_S = 15.0
"""A log may lag so far behind: its logger writes whole blocks, and a window waits for the rows that cover it."""
_AHEAD_S = 1.0
_LOOK_S = 0.5


def reaching(path: Path, moment_s: float, sleep: Callable[[float], None] = time.sleep) -> Log:
    """The log once it reaches a moment (Unix seconds), or as it is when patience has ended. Raises UsageError."""
    log = read_log(path)
    waited = 0.0
    while log.times_s[-1] < moment_s and waited < PATIENCE_S:
        sleep(_LOOK_S)
        waited += _LOOK_S
        log = read_log(path)
    return log


def check_clock(path: Path, now_s: float) -> None:
    """Raises UsageError for a log that ended long ago, or is on another clock than `now_s` (Unix seconds)."""
    last_s = read_log(path).times_s[-1]
    if last_s > now_s + _AHEAD_S:
        raise UsageError(
            f"--meter {path}: its last row is {_long(last_s - now_s)} ahead of this host's clock: log Unix time, which "
            "knows no time zones, or set the clock of the meter"
        )
    if last_s >= now_s - PATIENCE_S:
        return
    seen = f"--meter {path}: its last row is of {_long(now_s - last_s)} ago"
    written_s = now_s - path.stat().st_mtime
    if written_s > PATIENCE_S:
        raise UsageError(f"{seen}, and nothing was written for {_long(written_s)}: start the logger before the run")
    raise UsageError(
        f"{seen}, although the file is being written: its clock is not this host's (a time zone?), or the logger keeps "
        f"rows back for more than {PATIENCE_S:.0f} s: let it flush every row"
    )


def check_live(
    path: Path, unix_s: Callable[[], float] = time.time, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Wait for the row of this moment, some seconds. Raises UsageError with what was seen where none comes."""
    now_s = unix_s()
    check_clock(path, now_s)
    missing_s = now_s - reaching(path, now_s, sleep).times_s[-1]
    if missing_s > 0:
        raise UsageError(
            f"--meter {path}: no row came in {PATIENCE_S:.0f} s: the logger has stopped, or its clock is "
            f"{_long(missing_s + PATIENCE_S)} behind"
        )


def _long(seconds: float) -> str:
    for unit, name in ((86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.1f} s"
