"""`--fail-on`: the exit code of verdicts, for continuous integration."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from steelyard.core.errors import unknown_name

if TYPE_CHECKING:
    from steelyard.core.comparison import Comparison

_SLOWER, _INCONCLUSIVE = 1, 4
_CODES = {"slower": _SLOWER, "inconclusive": _INCONCLUSIVE}
# None of these answers the question whether it got slower.
_NO_ANSWER = ("inconclusive", "withheld", "incomparable")


def verdicts_of(fail_on: str | None) -> list[str]:
    """The verdicts of a comma list. Raises UsageError for one that is none."""
    wanted = [word.strip() for word in (fail_on or "").split(",") if word.strip()]
    for word in wanted:
        if word not in _CODES:
            raise unknown_name("verdict for --fail-on", word, _CODES)
    return wanted


def exit_code(found: Sequence["Comparison"], wanted: Sequence[str]) -> int:
    """0, or what `--fail-on` asks for: 1 if anything is slower, 4 if anything is undecided or nothing was compared.

    The control arm's own comparison says how noisy the machine is, not that something got slower.
    """
    verdicts = [entry.verdict for entry in found if entry.factor != "control"]
    if "slower" in wanted and "slower" in verdicts:
        return _SLOWER
    if "inconclusive" in wanted and (not verdicts or any(verdict in _NO_ANSWER for verdict in verdicts)):
        return _INCONCLUSIVE
    return 0
