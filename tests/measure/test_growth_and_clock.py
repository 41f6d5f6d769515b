"""Memory that grows, and clocks that disagree, by their numbers."""

import time

import pytest

from steelyard.measure import clock, growth, loop


def noted(monkeypatch: pytest.MonkeyPatch, tmp_path, pages: list[tuple[int, int]]) -> growth.Growth:
    statm = tmp_path / "statm"
    monkeypatch.setattr(growth, "_STATM", statm)
    found = growth.Growth()
    for calls, resident in pages:
        statm.write_text(f"0 {resident} 0 0 0 0 0\n")
        found.note(calls)
    return found


def test_growth_is_per_call_over_the_second_half(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    found = noted(monkeypatch, tmp_path, [(2, 100), (50, 50_000), (75, 52_500), (100, 55_000)])
    assert found.per_call().value == 100 * growth.os.sysconf("SC_PAGE_SIZE")
    assert "50 calls" in found.sentence()


@pytest.mark.parametrize(
    "pages",
    [
        [(2, 100), (50, 50_000), (100, 50_000)],  # an arena that has grown
        [(50, 50_000), (75, 60_000), (100, 55_000)],  # up and down
        [(50, 50_000), (100, 50_100)],  # some pages touched late
    ],
)
def test_what_does_not_grow_steadily_is_not_remarked(monkeypatch: pytest.MonkeyPatch, tmp_path, pages) -> None:
    assert noted(monkeypatch, tmp_path, pages).sentence() == ""


def test_few_calls_say_nothing_and_why(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    reading = noted(monkeypatch, tmp_path, [(1, 100), (3, 90_000)]).per_call()
    assert reading.value is None
    assert "too_short" in reading.reason


def test_the_two_clocks_agree_over_a_pause() -> None:
    begun, witnessed = clock.CLOCK(), clock.witness_ns()
    time.sleep(0.05)
    assert clock.disagreement(clock.CLOCK() - begun, clock.witness_ns() - witnessed) == ""


@pytest.mark.parametrize(("counted", "witness", "agree"), [(1.0, 1.009, True), (1.0, 1.02, False), (2.0, 1.0, False)])
def test_one_percent_is_what_they_may_differ_by(counted: float, witness: float, agree: bool) -> None:
    assert (clock.disagreement(round(counted * 1e9), round(witness * 1e9)) == "") is agree


@pytest.mark.parametrize("stopped", [0, 1, 2, 3], ids=["first", "second", "third", "fourth"])
def test_a_process_that_loses_the_cpu_between_two_reads_is_believed(
    stopped: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other clock is read four times; for 30 ms the process is stopped after one of them."""
    now = [0]
    reads = iter(range(4))

    def witness() -> int:
        seen = now[0]
        now[0] += 30_000_000 if next(reads) == stopped else 0
        return seen

    def tick() -> int:
        now[0] += 1_000
        return now[0]

    monkeypatch.setattr(loop, "witness_ns", witness)
    monkeypatch.setattr(loop, "CLOCK", tick)
    limits = loop.Limits(seconds=0.03, minimum=3, maximum=3, cap_s=1.0)
    window = loop.timed_window([Nothing()], limits, lambda index: None, loop.CheckPoints(seed=0, early=1))
    assert clock.disagreement(window.elapsed_ns, window.witness_ns) == ""


def test_a_clock_that_is_off_by_more_than_the_reads_allow_stays_off() -> None:
    assert [clock.nearest(counted, 7, 9) for counted in (5, 8, 11)] == [7, 8, 9]


class Nothing:
    """A call that does nothing."""

    def run(self) -> None: ...

    def settle(self) -> None: ...


def test_a_replaced_clock_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert clock.replaced(clock.CLOCK) == ""
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    assert clock.replaced().startswith("time.monotonic was replaced")
    monkeypatch.undo()
    assert "the clock of the timed loop" in clock.replaced(lambda: 0)
