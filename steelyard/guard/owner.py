"""Whose a file is, in words for the terminal. Nothing of it is ever stored."""

import os
import pwd
from pathlib import Path


def owner_of(path: Path) -> str:
    """`alice (uid 1000)`, `uid 1000` where the account is unknown here, or `nobody that can be told`."""
    try:
        uid = path.lstat().st_uid
    except OSError:
        return "nobody that can be told"
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"


def is_ours(path: Path) -> bool:
    """Whether it belongs to the user of this process. Raises OSError."""
    return path.lstat().st_uid == os.geteuid()
