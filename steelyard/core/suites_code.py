"""Code of a suite at work: whatever it raises is its author's mistake, and told as such."""

import contextlib
import errno
import traceback
from collections.abc import Iterator

from steelyard.core.errors import SteelyardError, SuiteError, UsageError
from steelyard.core.exhaustion import out_of_memory
from steelyard.core.reason import reason_of

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def suites_code(what: str) -> Iterator[None]:
    """Raises SuiteError for what the code within raises, `what` being its name in the message.

    A checkpoint or a package that is missing is not the author's mistake, nor is a machine without memory or disk.
    """
    try:
        yield
    except UsageError as error:  # a name in the definition that is not there
        raise SuiteError(f"{what}: {error}") from error
    except SteelyardError:
        raise
    except Exception as error:
        if out_of_memory(f"{type(error).__name__}: {error}") or getattr(error, "errno", None) in _NO_SPACE:
            raise
        traceback.print_exception(error)  # to the log: one line does not tell all
        raise SuiteError(f"{what} failed: {reason_of(error)}") from error
