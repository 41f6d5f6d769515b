"""Which modules a stored run may name as drivers of its calls: a run of somebody else could name any that it brings
along.

Those that this user has run are known again by the bytes of their file, of which the cache keeps the hash.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

from steelyard.core.hashing import file_sha256, stable_hash
from steelyard.lowering.cache import cache_root

VARIABLE = "STEELYARD_DRIVERS"
"""Drivers as `module:attr`, comma separated, that stored runs may name."""
_permitted: set[str] = set()


def permit(driver: str) -> None:
    """From now on stored runs may name this driver, as long as its file is what it is: what the user chose to run here
    uses it. A registered one needs no leave."""
    if ":" not in driver:
        return
    _permitted.add(driver)
    if (mark := _mark(driver)) is not None:
        with suppress(OSError):  # a cache that cannot be written remembers nothing: the variable is asked for then
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()


def permitted(driver: str) -> bool:
    """Whether a driver that a stored run names may be imported: a registered one, and of modules those that the user
    has chosen."""
    if ":" not in driver or driver in _permitted or driver in os.environ.get(VARIABLE, "").split(","):
        return True
    mark = _mark(driver)
    return mark is not None and mark.is_file()


def _mark(driver: str) -> Path | None:
    """Where the cache remembers a driver, by the bytes of the file that importing it would read; None without one.
    Nothing is imported to find it."""
    module = driver.partition(":")[0].split(".")
    for root in sys.path:
        base = Path(root or ".").joinpath(*module)
        for file in (base / "__init__.py", base.with_suffix(".py")):
            if file.is_file():
                return cache_root() / "drivers" / stable_hash([driver, file_sha256(file)], 32)
    return None
