"""Files that lie in the folder of a run and are none of its own: what a desktop, an editor or a person left there.

Nothing reads them, so they are no damage: they are named and left where they are. Of folders whose files nobody lists
beforehand, as a report's, only what desktops and editors are known to leave is set apart.
"""

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from steelyard.core.folders import TRACES
from steelyard.store import segments
from steelyard.store.quarantine import FOLDER

_BESIDE = (".lock", FOLDER, "report", TRACES)
"""What lies beside the segments and is no part of what was measured, or is known by hashes in results."""
_LEFT_BEHIND = (
    *(".DS_Store", "._*", ".localized", "Icon\r", "__MACOSX"),  # macOS
    *("Thumbs.db", "ehthumbs.db", "desktop.ini"),  # Windows
    *(".directory", ".nfs*", ".fuse_hidden*"),  # Linux
    *("*~", "#*#", ".#*", ".*.sw?"),  # Emacs, Vim and many others
)
_TEMPORARY = re.compile(r"^\.segment-\d{3,}-")


def strangers(run: Path) -> tuple[str, ...]:
    """The names of all strangers in a run's folder and in its segments, in order.

    Empty where the folder cannot be read, which `check_run` tells.
    """
    try:
        return tuple(sorted(_found(run)))
    except OSError:
        return ()


def _found(run: Path) -> Iterator[str]:
    own = set(segments.own_files(run))
    parts = {name.partition("/")[0] for name in own}
    yield from (path.name for path in run.iterdir() if path.name not in parts and not _beside(path.name))
    for part in sorted(parts):
        folder = run / part
        if folder.is_dir() and not folder.is_symlink():
            yield from (name for path in folder.iterdir() if (name := f"{part}/{path.name}") not in own)


def left_behind(path: str) -> bool:
    """Whether a path is known to be, or to lie in, what desktops and editors leave in any folder that they show."""
    return any(fnmatchcase(part, pattern) for part in path.split("/") for pattern in _LEFT_BEHIND)


def _beside(name: str) -> bool:
    return name in _BESIDE or _TEMPORARY.match(name) is not None
