"""What has to be on the disk before something else happens."""

import os
from pathlib import Path


def flush(path: Path) -> None:
    """Return once what was written to a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
