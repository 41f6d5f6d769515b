"""Tolerances that are stated by hand, for a computation that is meant to be approximate.

What lies beyond the tolerance of its dtype and within a stated one keeps its status `ok` and is marked `approximate`:
it has a speed, is compared with the mark beside it, and is never called the fastest. So does what lies beyond the
stated one, where a call's only output has labels and nearly as many answers are right as in the reference.
"""

from decimal import ROUND_UP, Context

from steelyard.core.errors import UsageError

KEPT_ANSWERS = 0.95
"""How many answers of an approximation must be right for each that is right in the reference. MLPerf asks for 99 % and
more of a whole data set; the few answers of a configuration do not tell shares that close to each other."""


def check_stated(tolerance: float | None, where: str) -> None:
    """Raises UsageError unless it is a relative error between 0 and 1; at 1 an output of zeros would pass."""
    if tolerance is not None and not 0 < tolerance < 1:
        raise UsageError(
            f"{where}: {tolerance:g} is no tolerance: it is the relative error |out - ref| / |ref| up to which an "
            "output passes as an approximation, above 0 and below 1, e.g. 1e-3"
        )


def needed(error: float) -> float | None:
    """The tolerance that would have to be stated for an error to pass, to two digits, None where there is none."""
    if not error < 1:
        return None
    rounded = float(Context(prec=2, rounding=ROUND_UP).create_decimal_from_float(error))
    return rounded if 0 < rounded < 1 else None
