"""What makes the difference between two traced calls, in a sentence; none where a profiler makes it guesswork."""

from collections.abc import Iterator, Sequence

from steelyard.tables.format import duration, fixed
from steelyard.tracing.classes import IDLE, name_of
from steelyard.tracing.difference import Change, call_s, changes
from steelyard.tracing.traced import TOLERABLE, TracedCase

_MOST = 2
_LEAST = 0.1
"""A class is named if it makes up so much of the difference."""


def difference(one: TracedCase, other: TracedCase, names: tuple[str, str]) -> str:
    """How much longer a call of one takes, and the classes of operators that this lies in most. `names` say which is
    which: `on eager` or `before`.

    Empty where either tells no absolute times, or where calls are as much alike as a profiler may make them differ: by
    up to `TOLERABLE`.
    """
    if not (one.in_seconds and other.in_seconds):
        return ""
    sides = sorted(zip((one, other), names, strict=True), key=lambda side: -call_s(side[0]))
    (slow, slow_name), (fast, fast_name) = sides
    longer_s, ratio = call_s(slow) - call_s(fast), call_s(slow) / call_s(fast)
    if ratio <= TOLERABLE:
        return ""
    found = [each for each in changes(fast, slow, whole_classes=True) if each.difference_s >= _LEAST * longer_s]
    told = [_part(each, (slow, slow_name), (fast, fast_name)) for each in found[:_MOST]]
    lies = f": {' and '.join(told)}" if told else ", spread over many classes of operators"
    return f"A call takes {fixed(ratio, 2)} times as long {slow_name} as {fast_name}, {duration(longer_s)} more{lies}"


def _part(change: Change, slow: tuple[TracedCase, str], fast: tuple[TracedCase, str]) -> str:
    """A class, what it takes more, and its part of either call."""
    (slow_case, slow_name), (fast_case, fast_name) = slow, fast
    where = "with nothing recorded" if change.operator_class == IDLE else f"in {name_of(change.operator_class)}"
    shares = (
        f"{_percent(change.after_s / call_s(slow_case))} of a call {slow_name}, "
        f"{_percent(change.before_s / call_s(fast_case))} {fast_name}"
    )
    return f"{duration(change.difference_s)} more {where} ({shares})"


def _percent(share: float) -> str:
    """In whole percent, since a mean over a few launches knows no more."""
    return f"{fixed(100 * share, 0)} %" if share >= 0.01 or not share else "less than 1 %"


def from_the_baseline(cases: Sequence[TracedCase], baseline: str) -> Iterator[str]:
    """A sentence for each backend that differs from the baseline at its configuration."""
    base = {each.case.point.key: each for each in cases if each.arm == baseline}
    for each in cases:
        against = base.get(each.case.point.key)
        if against is not None and each is not against:
            told = difference(against, each, (f"on {baseline}", f"on {each.arm}"))
            if told:
                yield f"{each.case.point.title}: {told[0].lower()}{told[1:]}."
