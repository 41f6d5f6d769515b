"""The threads of this process by their names, by which runtimes call those of their pools."""

import contextlib
import re
from collections import Counter
from pathlib import Path


def thread_names() -> dict[str, int] | None:
    """How many threads have each name, without the number at its end; None where the system does not tell."""
    tasks = Path("/proc/self/task")
    if not tasks.is_dir():
        return None
    found: Counter[str] = Counter()
    for task in tasks.iterdir():
        with contextlib.suppress(FileNotFoundError):  # it ended meanwhile
            found[re.sub(r"-?\d+$", "", (task / "comm").read_text().strip())] += 1
    return dict(found)
