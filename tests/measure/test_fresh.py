"""What calls with unseen inputs say, on a made clock: suspicion asks for more calls, doubt needs all of them."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.runner import Binding
from steelyard.core.workload import Program, TensorSpec, Weights
from steelyard.measure import fresh

X = TensorSpec(name="x", shape=(16,), dtype="float32")
PROGRAM = Program(
    name="double",
    source="none:none",
    arguments={},
    weights=Weights(source="none:none", arguments={}, origin="seeded"),
    dtype="float32",
    inputs=(X,),
    outputs=(TensorSpec(name="y", shape=(16,), dtype="float32"),),
)
POOL = [{"x": np.full(16, float(value), dtype=np.float32)} for value in range(8)]


class Scripted(Binding):
    """y = 2x; `seconds(call, kind)` says how long the call takes, kind 0 for a new input, 1 again, 2 kept."""

    def __init__(self, clock: list[int], seconds: Callable[[int, int], float]) -> None:
        self.x, self.y, self.clock, self.seconds, self.calls = POOL[0]["x"], None, clock, seconds, 0

    def run(self) -> None:
        number = self.calls - 1  # the first call is the binding's own
        if number >= 9:  # from the fourth mixture on a call comes before the three that counts for nothing
            mixture, kind = 3 + (number - 9) // 4, (number - 9) % 4 - 1
        else:
            mixture, kind = number // 3, number % 3
        counts = number >= 0 and kind >= 0
        self.clock[0] += round(1e9 * (self.seconds(mixture, kind) if counts else 0.001))
        self.calls += 1
        self.y = 2 * self.x

    def read(self, names: tuple[str, ...] | None = None) -> dict[str, object]:
        return {"y": np.array(self.y)}

    def settle(self) -> None:
        self.y = None

    def update(self, inputs: dict[str, object]) -> None:
        self.x = np.array(inputs["x"])

    def adopt(self, source: Binding) -> None:
        raise NotImplementedError


def calls(monkeypatch: pytest.MonkeyPatch, seconds: Callable[[int, int], float], pool=POOL) -> fresh.FreshCalls:
    clock = [0]
    monkeypatch.setattr(fresh, "CLOCK", lambda: clock[0])
    monkeypatch.setattr(fresh.time, "sleep", lambda pause: None)
    binding = Scripted(clock, seconds)
    found = fresh.FreshCalls(binding, PROGRAM, pool, {"y": 1e-6})
    found.make(0.001)
    assert np.array_equal(binding.x, pool[0]["x"]), "the binding has its own inputs again"
    return found


def test_even_calls_raise_no_suspicion(monkeypatch: pytest.MonkeyPatch) -> None:
    found = calls(monkeypatch, lambda mixture, kind: 0.001)
    assert (found.mixtures, found.doubts) == (3, [])


def test_chance_that_looks_like_a_cheat_is_cleared_by_more_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    found = calls(monkeypatch, lambda mixture, kind: 0.003 if (kind == 0) == (mixture < 4) else 0.001)
    assert (found.mixtures, found.doubts) == (11, [])


@pytest.mark.parametrize(("slow", "words"), [((0,), "written once more"), ((0, 1), "left alone")])
def test_what_all_calls_say_is_held_against_it(monkeypatch: pytest.MonkeyPatch, slow, words: str) -> None:
    found = calls(monkeypatch, lambda mixture, kind: 0.003 if kind in slow else 0.001)
    assert found.mixtures == 11
    (doubt,) = found.doubts
    assert doubt.startswith("answers are kept")
    assert words in doubt


def test_a_runtime_whose_threads_sleep_between_mixtures_keeps_no_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine it takes them milliseconds to wake, and the new call is the one that comes after a while."""
    clock, ended = [0], [0]

    def run(self: Scripted) -> None:
        clock[0] += 4_500_000 if clock[0] - ended[0] > 1_000_000 else 1_200_000
        ended[0] = clock[0]
        self.y = 2 * self.x

    mixed = fresh._mixed

    def prepare(*given: object) -> object:
        clock[0] += 2_000_000
        return mixed(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(Scripted, "run", run)
    monkeypatch.setattr(fresh, "_mixed", prepare)
    monkeypatch.setattr(fresh, "CLOCK", lambda: clock[0])
    monkeypatch.setattr(fresh.time, "sleep", lambda pause: None)
    found = fresh.FreshCalls(Scripted(clock, lambda mixture, kind: 0.0), PROGRAM, POOL, {"y": 1e-6})
    found.make(0.001)
    assert (found.mixtures, found.doubts) == (11, [])


def test_small_differences_of_fast_calls_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert calls(monkeypatch, lambda mixture, kind: 12e-6 if kind == 0 else 4e-6).doubts == []


def test_a_pool_that_does_not_vary_allows_no_mixture(monkeypatch: pytest.MonkeyPatch) -> None:
    found = calls(monkeypatch, lambda mixture, kind: 0.003 if kind == 0 else 0.001, pool=[POOL[0], POOL[0]])
    assert (found.mixtures, found.doubts) == (0, [])


def test_too_few_mixtures_hold_nothing_against_times(monkeypatch: pytest.MonkeyPatch) -> None:
    single = [{"x": np.zeros(16, np.int64)}, {"x": np.eye(16, dtype=np.int64)[15]}]
    found = calls(monkeypatch, lambda mixture, kind: 0.003 if kind == 0 else 0.001, pool=single)
    assert (found.mixtures, found.doubts) == (1, [])


def test_inputs_destroyed_by_a_call_give_another_answer_when_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    settle = Scripted.settle

    def destroying(self: Scripted) -> None:
        settle(self)
        self.x = np.zeros(16, dtype=np.float32)

    monkeypatch.setattr(Scripted, "settle", destroying)
    clock = [0]
    monkeypatch.setattr(fresh, "CLOCK", lambda: clock[0])
    monkeypatch.setattr(fresh.time, "sleep", lambda pause: None)
    found = fresh.FreshCalls(Scripted(clock, lambda mixture, kind: 0.001), PROGRAM, POOL, {"y": 1e-6})
    found.make(0.001)
    assert found.doubts[0] == "y: left alone, its inputs give another answer: they were changed"


def test_an_output_that_depends_on_one_element_is_new_for_new_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a model of audio that is told that one sample of its input counts."""

    def run(self: Scripted) -> None:
        self.y = np.repeat(2 * self.x[:1], 16)

    monkeypatch.setattr(Scripted, "run", run)
    random = np.random.default_rng(0)
    pool = [{"x": random.standard_normal(16).astype(np.float32)} for _ in range(3)]
    assert calls(monkeypatch, lambda mixture, kind: 0.001, pool=pool).doubts == []


def test_an_output_that_depends_on_one_token_is_new_for_new_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the pooled state of a causal model of text that finds no token of its end."""

    def run(self: Scripted) -> None:
        self.y = np.repeat(2.0 * self.x[:1], 16)

    monkeypatch.setattr(Scripted, "run", run)
    random = np.random.default_rng(0)
    for _ in range(50):
        first = random.permutation(99)[:8]
        pool = [{"x": np.append(token, random.integers(0, 99, 15))} for token in first]
        assert calls(monkeypatch, lambda mixture, kind: 0.001, pool=pool).doubts == []


def test_more_mixtures_than_values_say_nothing_of_one_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scripted, "run", run_on_the_clock)
    pool = [{"x": np.arange(16) + 16 * member} for member in range(8)]
    found = calls(monkeypatch, lambda mixture, kind: 0.003 if (kind == 0) == (mixture < 4) else 0.001, pool=pool)
    assert (found.mixtures, found.doubts) == (11, [])


RUN = Scripted.run


def run_on_the_clock(self: Scripted) -> None:
    RUN(self)
    self.y = np.repeat(2.0 * self.x[:1], 16)


@given(
    members=st.lists(st.lists(st.integers(0, 5), min_size=3, max_size=3), min_size=2, max_size=8),
    seed=st.integers(0, 1 << 32),
)
def test_tokens_are_dealt_once_each_before_one_comes_again(members, seed) -> None:
    hands = fresh._dealt([np.array(member) for member in members], np.random.default_rng(seed))
    assert hands[0].tolist() == members[0]
    for place in range(3):
        values = [int(hand[place]) for hand in hands]
        assert sorted(values) == sorted(member[place] for member in members)
        distinct = len({*values})
        assert len({*values[:distinct]}) == distinct


def test_a_mixture_keeps_shape_and_type_and_what_is_not_finite() -> None:
    random = np.random.default_rng(0)
    for one, other in [
        (np.array(16000), np.array(8000)),
        (np.float32(1.5), np.float32(2.5)),
        (np.array([True, False]), np.array([False, False])),
        (np.array([0.0, -np.inf, 1.0], np.float16), np.array([0.0, -np.inf, -np.inf], np.float16)),
    ]:
        mixture = fresh._mixed(np.asarray(one), np.asarray(other), random)
        assert (mixture.shape, mixture.dtype) == (np.shape(one), np.asarray(one).dtype)
        assert not np.isnan(mixture.astype(np.float64)).any()
        assert ((np.minimum(one, other) <= mixture) & (mixture <= np.maximum(one, other))).all()


def test_a_single_number_stays_one_when_the_binding_gets_its_own_inputs_again(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[tuple[int, ...]] = []
    monkeypatch.setattr(Scripted, "update", lambda self, inputs: shapes.append(np.shape(inputs["x"])))
    monkeypatch.setattr(fresh.time, "sleep", lambda pause: None)
    pool = [{"x": np.array(rate)} for rate in (8000, 16000)]
    found = fresh.FreshCalls(Scripted([0], lambda mixture, kind: 0.0), PROGRAM, pool, {"y": 1e-6})
    found.once()
    assert shapes
    assert set(shapes) == {()}
