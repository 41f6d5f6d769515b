"""steelyard weighs AI compilers and runtimes on one beam: same work, same budget, verdicts with intervals.

From Python: `run`, `profile`, `open` and `compare` (see `steelyard.api`). Importing this package imports nothing else.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from steelyard.api import Comparisons, Interrupted, Run, compare, open, profile, run
    from steelyard.core.errors import SteelyardError

__version__ = "0.1.0"
__all__ = ["Comparisons", "Interrupted", "Run", "SteelyardError", "__version__", "compare", "open", "profile", "run"]


def __getattr__(name: str) -> Any:
    if name == "SteelyardError":
        from steelyard.core.errors import SteelyardError

        return SteelyardError
    if name in __all__:
        from steelyard import api

        return getattr(api, name)
    raise AttributeError(f"module 'steelyard' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
