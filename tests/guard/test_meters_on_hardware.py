"""The contract of every source, on the meters of this machine: `pytest -m hardware`."""

import time

import pytest

from steelyard.guard.energy import Absent, EnergySource
from steelyard.guard.meters import sources
from steelyard.guard.period import measure_period
from steelyard.guard.window import between, total

pytestmark = pytest.mark.hardware


def present() -> dict[str, EnergySource]:
    return {name: source for name, source in sources().items() if not isinstance(source, Absent)}


def test_every_meter_here_moves_tells_plausible_power_and_adds_up():
    found = present()
    if not found:
        pytest.skip("no energy meter on this machine: " + "; ".join(s.fault.text for s in sources().values()))
    for name, source in found.items():
        assert measure_period(source), name
        reads = [source.read()]
        until = time.monotonic() + max(2.1, 52 * source.update_period_s)
        while time.monotonic() < until:
            time.sleep(max(0.05, source.update_period_s))
            reads.append(source.read())
        energy = total(source, reads)
        assert energy.joules is not None, (name, energy.fault)
        watts = energy.joules / energy.window_s
        assert 0.05 < watts < 2000, name
        assert energy.uncertainty_j < 0.15 * energy.joules, name
        parts = between(source, reads)
        for domain in source.domains():
            inner = [parts[other].joules for other in domain.contains if parts[other].joules is not None]
            whole = parts[domain.id].joules
            if whole is not None and inner:
                assert sum(inner) <= whole * 1.1, (name, domain.id)
        source.close()
