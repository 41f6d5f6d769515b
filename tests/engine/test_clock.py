"""Whose clock a segment reads: that of the CPUs where they are measured, with one meter from its start to its end."""

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from steelyard.core.backend import Device
from steelyard.engine import session as engine
from tests.engine.test_contaminated_rounds import Listener, plan_of, ran  # noqa: F401 (a fixture)


@pytest.mark.parametrize(("kind", "told"), [("cpu", ["begun", "ended"]), ("cuda", [])])
def test_the_cpus_clock_is_read_where_they_are_measured(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    plan_of,  # noqa: F811 (a fixture)
    kind: str,
    told: list[str],
) -> None:
    seen: list[str] = []

    @contextmanager
    def meter(cpus):
        seen.append("begun")
        yield
        seen.append("ended")

    monkeypatch.setattr(engine, "SpinMeter", meter)
    plan = plan_of(3)
    device = Device(kind=kind, index=0, name="a device", memory_bytes=None)
    ran(monkeypatch, tmp_path, replace(plan, request=replace(plan.request, device=device)), Listener())
    assert seen == told
