"""A whole number in a small file of /sys, or why there is none."""

import errno
from pathlib import Path

from steelyard.guard.meter_readings import Fault

_GONE = (errno.ENOENT, errno.ENODEV, errno.ENXIO)
_MOST_DIGITS = len(str(1 << 64))


def whole_number(path: Path, no_permission: str = "") -> int | Fault:
    """The number, or the fault; `no_permission` is what to say where reading is forbidden."""
    where = f"{path.parent.name}/{path.name}"
    try:
        content = path.read_text().strip()
    except PermissionError:
        return Fault(code="no_permission", detail=no_permission or f"{where} may not be read")
    except UnicodeDecodeError:
        return Fault(code="garbage", detail=f"{where} holds no text")
    except OSError as error:
        if error.errno in _GONE:
            return Fault(code="vanished", detail=f"{where} is no longer there")
        return Fault(code="not_supported", detail=f"{where}: {error.strerror}")
    if not (content.isascii() and content.isdecimal() and len(content) <= _MOST_DIGITS):
        return Fault(code="garbage", detail=f"{where} holds {content[:20]!r}")
    return int(content)
