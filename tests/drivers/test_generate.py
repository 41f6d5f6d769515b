"""A generated answer: each token timed by itself, tokens fed back, the reference's tokens forced when told."""

import numpy as np
import pytest

from steelyard.core.runner import Arrays, Binding
from steelyard.measure import generation
from steelyard.measure.generation import Generation

PROMPT = 4
REFERENCE = ((10, 11, 12, 13),)


class Clock:
    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


class Scripted(Binding):
    """Says the token after the one it was fed; `slips` maps a position to the token said instead."""

    def __init__(self, clock: Clock, cost: int, slips: dict[int, int] | None = None) -> None:
        self.clock, self.cost, self.slips = clock, cost, slips or {}
        self.fed: list[tuple[int, int]] = []
        self.token, self.position = 9, PROMPT - 1
        self.settled = 0
        self.adopted: list[Binding] = []

    def run(self) -> None:
        self.clock.now += self.cost

    def read(self, names: tuple[str, ...] | None = None) -> Arrays:
        said = self.slips.get(self.position, self.token + 1)
        return {"next_token": np.array([said]), "logits": np.full((1, 3), said, np.float32)}

    def settle(self) -> None:
        self.settled += 1

    def update(self, inputs: Arrays) -> None:
        self.token, self.position = int(inputs["input_ids"][0, 0]), int(inputs["position"][0])
        self.fed.append((self.position, self.token))

    def adopt(self, source: Binding) -> None:
        self.adopted.append(source)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(generation, "CLOCK", made)
    return made


def answer(clock: Clock, forced_from: int | None = None, slips: dict[int, int] | None = None):
    prefill, decode = Scripted(clock, 1000), Scripted(clock, 70, slips)
    generation = Generation(prefill, decode, prompt=PROMPT, reference=REFERENCE, forced_from=forced_from)
    generation.run()
    return generation, prefill, decode


def test_every_token_is_timed_by_itself_and_none_by_subtraction(clock: Clock) -> None:
    generation, _, _ = answer(clock)
    assert np.diff(generation.stamps).tolist() == [1000, 70, 70, 70]


def test_tokens_are_fed_back_at_their_positions(clock: Clock) -> None:
    generation, prefill, decode = answer(clock)
    assert generation.chosen.tolist() == [[10, 11, 12, 13]]
    assert decode.fed == [(4, 10), (5, 11), (6, 12)]
    assert decode.adopted == [prefill]


def test_without_forcing_a_slip_goes_its_own_way(clock: Clock) -> None:
    generation, _, decode = answer(clock, slips={4: 50})
    assert generation.chosen.tolist() == [[10, 50, 51, 52]]
    assert decode.fed == [(4, 10), (5, 50), (6, 51)]


def test_from_the_ambiguous_step_on_the_reference_is_fed_and_the_choice_still_recorded(clock: Clock) -> None:
    generation, _, decode = answer(clock, forced_from=1, slips={4: 50})
    assert generation.chosen.tolist() == [[10, 50, 12, 13]]
    assert decode.fed == [(4, 10), (5, 11), (6, 12)]


def test_the_last_logits_are_those_of_the_last_step_until_settled(clock: Clock) -> None:
    generation, prefill, decode = answer(clock)
    assert generation.last_logits().tolist() == [[13, 13, 13]]
    settled = decode.settled
    generation.settle()
    assert (decode.settled, prefill.settled) == (settled + 1, 1)
