"""Nights with known values."""

from collections.abc import Mapping, Sequence

from steelyard.history.nights import Night, Series

SERIES = Series(
    suite="llm", title="decode batch=1", point="p", arm="xla", metric="latency_s", machine="m", device="cpu", terms="t"
)


def nights(
    values: Sequence[float], stacks: Sequence[Mapping[str, str]] | None = None, series: Series = SERIES
) -> tuple[Night, ...]:
    """A night for each value, in seconds; each has its stack, or all the same."""
    return tuple(
        Night(
            run=f"r{place:04}",
            created_utc=f"{2026 + place // 336}-{place // 28 % 12 + 1:02}-{place % 28 + 1:02}T02:00:00+00:00",
            series=series,
            value=float(value),
            launches=8,
            stack=stacks[place] if stacks else {"jax": "0.10.2"},
        )
        for place, value in enumerate(values)
    )
