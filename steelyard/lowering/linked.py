"""A file of the cache in another folder of it: a hard link, or a copy on a file system without them."""

import errno
import os
import shutil
from pathlib import Path

_NO_LINKS = {errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS}


def link(target: Path, directory: Path) -> None:
    """Put `target` into a directory under its own name, unless something of that name is there. Raises OSError when the
    disk is full."""
    place = directory / target.name
    if place.exists():
        return
    try:
        os.link(target, place)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copyfile(target, place)
