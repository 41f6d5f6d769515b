"""Where runtimes keep what they make once for an installation and no program, such as compiled headers."""

import os
from pathlib import Path

from steelyard.core.owner import is_ours
from steelyard.lowering.cache import KEPT_ONCE, cache_root


def installation_folder() -> Path | None:
    """A folder of this user alone: `$STEELYARD_INSTALLATION`, else one in the cache. None where nothing can be written
    there: then each launch makes its own."""
    chosen = os.environ.get("STEELYARD_INSTALLATION")
    folder = Path(chosen).expanduser().absolute() if chosen else cache_root() / KEPT_ONCE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if is_ours(folder) and os.access(folder, os.W_OK) else None
