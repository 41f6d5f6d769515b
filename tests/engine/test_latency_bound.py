"""What takes far longer than the latency bound in the cold round is not launched again; everything else is."""

from dataclasses import replace

import pytest

from steelyard.core.errors import UsageError
from steelyard.core.latency_bound import FAR, is_beyond
from steelyard.core.quantity import latency_of
from steelyard.core.result import Result
from tests.engine.test_resumed_session import Kept, plan, segment  # noqa: F401 (fixtures)


@pytest.mark.parametrize(("text", "seconds"), [("800us", 8e-4), ("50ms", 0.05), ("1.5s", 1.5)])
def test_a_latency_is_read(text, seconds):
    assert latency_of(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "50", "ms", "-1ms", "0s", "5m", "infs"])
def test_what_is_no_latency_is_refused(text):
    with pytest.raises(UsageError, match="write 800us, 50ms or"):
        latency_of(text)


def test_only_a_second_call_far_beyond_the_bound_counts():
    assert is_beyond({"second_run_s": 0.11}, 0.05)
    assert not is_beyond({"second_run_s": FAR * 0.05}, 0.05)
    assert not is_beyond({"first_run_s": 9.0}, 0.05)
    assert not is_beyond({"second_run_s": 9.0}, None)


@pytest.mark.parametrize(("second_s", "rounds"), [(0.2, {0}), (0.06, {0, 1, 2, 3, 4, 5, 6, 7, 8})])
def test_a_slow_case_is_launched_in_the_cold_round_alone(plan, segment, monkeypatch, second_s, rounds):  # noqa: F811
    bounded = replace(plan, request=replace(plan.request, latency_bound_s=0.05))
    kept = Kept()
    from steelyard.engine import session as engine

    def slow(session, result: Result) -> None:
        result = replace(result, phases={"second_run_s": second_s} if result.round == 0 else {})
        original(session, result)

    original = engine.Session._keep
    monkeypatch.setattr(engine.Session, "_keep", slow)
    segment(bounded, kept)
    assert {record.round for record in kept.launches} == rounds
