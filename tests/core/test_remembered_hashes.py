"""Hashes of definitions are computed once, and remembering them shows nowhere."""

import copy
import pickle
from dataclasses import replace

from steelyard import wire
from steelyard.core import hashing
from steelyard.core.case import Case
from tests.fakes.runs import synthetic_run


def test_a_hash_is_computed_once_and_is_that_of_the_definition(monkeypatch) -> None:
    (case, *_) = synthetic_run(rounds=1).manifest.cases
    fresh = wire.decode(wire.encode(case), Case, "test")
    counted = []
    canonical = hashing.canonical_json
    monkeypatch.setattr(hashing, "canonical_json", lambda value: counted.append(value) or canonical(value))
    assert [fresh.id, fresh.id, fresh.point.key, fresh.point.key] == [case.id, case.id, case.point.key, case.point.key]
    assert len(counted) == 2  # the point's key and the case's id


def test_what_is_remembered_is_no_part_of_the_definition() -> None:
    (case, other, *_) = synthetic_run(rounds=1).manifest.cases
    fresh = wire.decode(wire.encode(case), Case, "test")
    before = wire.encode(fresh)
    assert case.id  # one side remembers, the other not yet
    assert fresh == case
    assert fresh.id == case.id
    assert wire.encode(fresh) == before
    for twin in (pickle.loads(pickle.dumps(fresh)), copy.deepcopy(fresh), copy.copy(fresh)):
        assert (twin, twin.id) == (case, case.id)
    assert replace(case, point=other.point).id == Case(
        point=other.point, backend=case.backend, device_kind=case.device_kind, scenario=case.scenario,
        budget=case.budget,
    ).id  # fmt: skip
    assert replace(case, scenario="cold-start").id != case.id
