"""A whole number in a small file of /sys, or why there is none."""

from pathlib import Path

from steelyard.guard.energy import Fault


def whole_number(path: Path, no_permission: str = "") -> int | Fault:
    """The number, or the fault; `no_permission` is what to say where reading is forbidden."""
    where = f"{path.parent.name}/{path.name}"
    try:
        content = path.read_text().strip()
    except PermissionError:
        return Fault(code="no_permission", detail=no_permission or f"{where} may not be read")
    except FileNotFoundError:
        return Fault(code="vanished", detail=f"{where} is no longer there")
    except (OSError, UnicodeDecodeError) as error:
        return Fault(code="not_supported", detail=f"{where}: {getattr(error, 'strerror', None) or 'no text'}")
    if not (content.isascii() and content.isdecimal()):
        return Fault(code="garbage", detail=f"{where} holds {content[:20]!r}")
    return int(content)
