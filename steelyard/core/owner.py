"""Whose a file is, and what is said where it is closed to this user. A closed file is no damaged one: nothing of
another's is ever deleted or replaced.

Names of owners are for the terminal; where one would be stored, `Denied` ends what is under way instead.
"""

import errno
import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from steelyard.core.errors import Denied


def owner_of(path: Path) -> str:
    """`alice (uid 1000)`; `uid 1000` where the account is unknown here. Raises OSError."""
    uid = path.lstat().st_uid
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"


def is_ours(path: Path) -> bool:
    """Whether it belongs to the user of this process. Raises OSError."""
    return path.lstat().st_uid == os.geteuid()


@contextmanager
def naming_the_owner(cache: Path | None = None) -> Iterator[None]:
    """Turn a PermissionError (EACCES, EPERM) into one that names the file, its owner and what to do.

    With `cache`, only those of that cache's files and folders, to which another cache is an alternative.
    """
    try:
        yield
    except PermissionError as error:
        path = Path(os.fsdecode(error.filename or cache or "."))
        if cache is not None and not (path.is_relative_to(cache) or cache.is_relative_to(path)):
            raise
        raise denied(path, (error.strerror or "Permission denied").lower(), cache) from error


def denied(path: Path, why: str, cache: Path | None = None) -> Denied:
    """The error for a file, or for one that cannot be made: then the folder that is closed is named as well."""
    seen = next((place for place in (path, *path.absolute().parents) if _is_seen(place)), Path("/"))
    whose = "it" if seen == path else str(seen)
    ways = ["let its owner open it (chmod a+rX, or g+rwX to share it)", f"make it yours (sudo chown {os.geteuid()})"]
    if cache is not None:
        ways.append("set STEELYARD_CACHE to a folder of your own")
    return Denied(
        f"{path}: {why}: {whose} belongs to {owner_of(seen)}, and you are uid {os.geteuid()}; nothing was changed: "
        f"{', or '.join(ways)}"
    )


def readable(path: Path) -> None:
    """Raises PermissionError for a file that is there and closed to this user."""
    if path.exists() and not os.access(path, os.R_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def as_open_as(folder: Path) -> None:
    """Give everything in a folder that is ours the folder's own rights, which `mkdir` set by the umask.

    Libraries write through temporary files, which are closed to everybody else whatever the umask says.
    """
    by_umask = stat.S_IMODE(folder.stat().st_mode)
    for path in folder.rglob("*"):
        found = path.lstat()
        if found.st_uid != os.geteuid() or stat.S_ISLNK(
            found.st_mode
        ):  # a hard link to another's, which stays as it is
            continue
        runs = stat.S_ISDIR(found.st_mode) or found.st_mode & stat.S_IXUSR
        wanted = by_umask & (0o777 if runs else 0o666)
        if stat.S_IMODE(found.st_mode) & 0o777 != wanted:
            path.chmod(stat.S_IMODE(found.st_mode) & ~0o777 | wanted)


def _is_seen(path: Path) -> bool:
    try:
        path.lstat()
    except OSError:
        return False
    return True
