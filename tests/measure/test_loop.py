"""The timed loop with a clock that only the call moves: every sample is exactly what the call took."""

from steelyard.measure import loop
from steelyard.measure.loop import CheckPoints, Limits, timed_window


class Clock:
    """Nanoseconds that pass only when somebody says so."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


class Timed:
    """A call that takes a known time; settling takes long and must not count."""

    def __init__(self, clock: Clock, durations: list[int]) -> None:
        self.clock, self.durations, self.runs, self.settled = clock, durations, 0, 0

    def run(self) -> None:
        self.clock.now += self.durations[self.runs % len(self.durations)]
        self.runs += 1

    def settle(self) -> None:
        self.clock.now += 1_000_000
        self.settled += 1


def window(monkeypatch, calls, clock, inspect=lambda index: None, **limits):
    monkeypatch.setattr(loop, "CLOCK", clock)
    values = {"seconds": 0.0, "minimum": 10, "maximum": 1000, "cap_s": 100.0} | limits
    return timed_window(calls, Limits(**values), inspect=inspect, checks=CheckPoints(seed=1, early=10))


def test_samples_are_the_calls_alone_in_time_order(monkeypatch) -> None:
    clock = Clock()
    call = Timed(clock, [100, 300, 200])
    result = window(monkeypatch, [call], clock, minimum=6)
    assert list(result.durations_ns[:6]) == [100, 300, 200, 100, 300, 200]
    assert call.settled == call.runs == len(result.durations_ns)
    assert list(result.starts_ns) == sorted(result.starts_ns)


def test_input_sets_rotate(monkeypatch) -> None:
    clock = Clock()
    calls = [Timed(clock, [100]) for _ in range(4)]
    window(monkeypatch, calls, clock, maximum=10, minimum=10)
    assert [call.runs for call in calls] == [3, 3, 2, 2]


def test_a_window_ends_by_time_by_calls_or_at_its_cap(monkeypatch) -> None:
    clock = Clock()
    by_time = window(monkeypatch, [Timed(clock, [10_000_000])], clock, seconds=1.0, minimum=5)
    assert by_time.stop == "time"
    assert 85 <= len(by_time.durations_ns) <= 95  # 11 ms a call with its settling
    assert window(monkeypatch, [Timed(clock, [1000])], clock, seconds=9.0, maximum=50).stop == "calls"
    assert window(monkeypatch, [Timed(clock, [10**9])], clock, minimum=50, cap_s=5.0).stop == "time"
    assert window(monkeypatch, [Timed(clock, [10**9])], clock, seconds=1.0, minimum=5).stop == "samples"


def test_inspection_happens_before_settling_and_outside_the_sample(monkeypatch) -> None:
    clock = Clock()
    call = Timed(clock, [100])
    seen = []

    def inspect(index: int) -> None:
        assert call.settled == index == call.runs - 1
        seen.append(index)
        clock.now += 5_000_000

    result = window(monkeypatch, [call], clock, inspect, minimum=200, maximum=200)
    assert set(result.durations_ns) == {100}
    assert 3 <= len(seen) <= 40
    assert seen[0] < 10


def test_check_points_depend_on_the_seed_only() -> None:
    def points(seed: int) -> list[int]:
        checks = CheckPoints(seed=seed, early=10)
        found = [checks.first]
        while found[-1] < 1000:
            found.append(checks.after(found[-1]))
        return found

    assert points(5) == points(5)
    assert len({tuple(points(seed)) for seed in range(30)}) > 25


def test_the_collector_is_off_inside_and_restored_after(monkeypatch) -> None:
    import gc

    clock = Clock()
    states = []
    call = Timed(clock, [10])
    original = call.run
    call.run = lambda: (states.append(gc.isenabled()), original())  # type: ignore[method-assign]
    window(monkeypatch, [call], clock)
    assert set(states) == {False}
    assert gc.isenabled()


def in_turns(monkeypatch, duration: int, **limits):
    """A window in turns of 10 ms with calls of `duration`; what was said before, between and after the turns."""
    clock, said = Clock(), []
    monkeypatch.setattr(loop, "CLOCK", clock)

    def stand(turn, more: bool) -> None:
        said.append((turn, more))
        clock.now += 3_000_000_000

    values = {"seconds": 0.05, "minimum": 10, "maximum": 1000, "cap_s": 100.0, "turn_s": 0.01} | limits
    made = [Timed(clock, [duration])]
    checks = CheckPoints(seed=1, early=10)
    return timed_window(made, Limits(**values), inspect=lambda index: None, checks=checks, stand=stand), said


def test_a_window_in_turns_is_its_turns_together(monkeypatch) -> None:
    found, said = in_turns(monkeypatch, 2_000_000)  # settling takes half as long again
    assert list(found.turns) == [0, 4, 8, 12, 16]
    assert set(found.durations_ns) == {2_000_000}
    assert found.elapsed_ns == 17 * 3_000_000, "waiting between the turns is no part of it"
    assert (found.stop, len(found.durations_ns)) == ("time", 17)
    assert [more for _, more in said] == [True] * 5 + [False]
    assert said[0][0] is None
    spans = [turn for turn, _ in said[1:]]
    assert [end - begin for begin, end in spans] == [12_000_000] * 4 + [3_000_000]
    assert [found.starts_ns[first] for first in found.turns] == [begin for begin, _ in spans]


def test_turns_are_as_long_as_they_are_worth_and_have_as_many_calls(monkeypatch) -> None:
    found, _ = in_turns(monkeypatch, 2_000_000, lengths=(1, 3, 3))
    assert list(found.turns) == [0, 4, 15]
    fast, _ = in_turns(monkeypatch, 1, maximum=40, lengths=(3, 1))
    assert list(fast.turns) == [0, 24, 32]


def test_a_turn_has_at_least_a_call_and_at_most_its_part_of_the_calls(monkeypatch) -> None:
    slow, _ = in_turns(monkeypatch, 70_000_000, minimum=3)
    assert (list(slow.turns), slow.stop) == ([0, 1, 2], "samples")
    fast, _ = in_turns(monkeypatch, 1, maximum=20)
    assert (list(fast.turns), fast.stop) == ([0, 4, 8, 12, 16], "calls")


def test_the_limits_of_a_window_are_over_its_turns(monkeypatch) -> None:
    capped, _ = in_turns(monkeypatch, 30_000_000, cap_s=0.1)
    assert (len(capped.durations_ns), capped.stop) == (4, "time")
