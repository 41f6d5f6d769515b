"""The search: doubling, then bisection, by the attempts made so far."""

from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.largest import FINENESS, Attempt, LargestRow, next_value


def search(limit: int, start: int = 1, smallest: int = 1) -> list[Attempt]:
    made: list[Attempt] = []
    while (value := next_value(made, start=start, smallest=smallest)) is not None:
        status = "ok" if value <= limit else "out_of_memory"
        made.append(Attempt(value=value, status=status, stage="first_run"))  # type: ignore[arg-type]
        assert len(made) < 60
    return made


def row(attempts: list[Attempt]) -> LargestRow:
    return LargestRow(workload="w", point="w", backend="b", attempts=tuple(attempts))


def test_it_doubles_until_one_fails_and_then_halves_the_bracket() -> None:
    assert [attempt.value for attempt in search(11)] == [1, 2, 4, 8, 16, 12, 10, 11]


def test_nothing_completes_where_the_smallest_fails() -> None:
    found = row(search(1, start=128, smallest=2))
    assert [attempt.value for attempt in found.attempts] == [128, 64, 32, 16, 8, 4, 2]
    assert found.completes is None
    assert found.fails is not None
    assert found.fails.value == 2


@given(limit=st.integers(1, 100_000), start=st.sampled_from([1, 7, 128]))
def test_the_bracket_holds_the_limit_and_is_narrow(limit: int, start: int) -> None:
    found = row(search(limit, start))
    assert found.completes is not None
    assert found.fails is not None
    assert found.completes.value <= limit < found.fails.value
    assert found.fails.value - found.completes.value <= max(1, found.completes.value // FINENESS)


@given(limit=st.integers(1, 5000), kept=st.integers(0, 40))
def test_a_search_goes_on_where_it_stopped(limit: int, kept: int) -> None:
    whole = search(limit)
    assert next_value(whole[:kept], start=1) == (whole[kept].value if kept < len(whole) else None)


@given(limit=st.integers(1, 1 << 20))
def test_the_attempts_are_few(limit: int) -> None:
    assert len(search(limit)) <= limit.bit_length() + 1 + 6
