"""The one error tree. Every message says what, where, and what to do next."""

import difflib
from collections.abc import Iterable


class SteelyardError(Exception):
    """Anything this project raises on purpose; `exit_code` is what the command line ends with: 2, as 1 is an answer."""

    exit_code = 2


class UsageError(SteelyardError):
    """The user asked for something that does not exist or makes no sense."""


class Unsupported(SteelyardError):
    """A case cannot run here by its nature; the row says why. Not a failure."""


class MissingPackage(Unsupported):
    """A runtime is not installed; the message names the command that installs it."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"the package '{package}' is not installed: pip install 'steelyard[{extra}]'")


class LoweringError(SteelyardError):
    """A point could not be turned into a format that a backend consumes."""


class SuiteError(SteelyardError):
    """A suite's own mistake, which no backend can help: what it declares is not what it does."""


class FellBack(SteelyardError):
    """The runtime did the work elsewhere or otherwise than it was told to."""


class NothingCompared(SteelyardError):
    """What was to be compared cannot run here, so that nothing is said of it."""

    exit_code = 3


class StoreError(SteelyardError):
    """A stored run cannot be read or written."""


class Denied(StoreError):
    """A file is closed to this user, or is another's to change. It is not damaged, and it is left as it is."""


class CheckpointError(SteelyardError):
    """A user's model file or checkpoint is not what it says."""


def unknown_name(kind: str, given: str, valid: Iterable[str]) -> UsageError:
    """The error for a name that is not there: the valid names, the closest one first."""
    names = sorted(set(valid))
    closest = difflib.get_close_matches(given, names, n=len(names) or 1, cutoff=0.6)
    ordered = closest + [name for name in names if name not in closest]
    hint = f"; did you mean '{closest[0]}'?" if closest else "."
    listed = ", ".join(ordered) if ordered else "none"
    return UsageError(f"unknown {kind} '{given}'{hint} Valid: {listed}")
