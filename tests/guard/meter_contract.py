"""What every meter must do, on real time: held by the stand-ins in every test run and by real meters on demand."""

import time

from steelyard.guard.energy_source import EnergySource
from steelyard.guard.meter_window import between, total
from steelyard.guard.period import measure_period

PLAUSIBLE_W = 0.05, 2000.0


def check_meter(source: EnergySource, least_s: float = 2.1) -> float:
    """A meter moves, adds up, knows how far it may be off, and tells a plausible power: the one that it returns."""
    name = source.name
    assert source.domains(), name
    assert measure_period(source), f"{name} stands still"
    assert 0 < source.update_period_s < 10, name
    reads = [source.read()]
    until = time.monotonic() + max(least_s, 52 * source.update_period_s)
    while time.monotonic() < until:
        time.sleep(max(0.05 * least_s / 2.1, source.update_period_s))
        reads.append(source.read())
    for domain in source.domains():
        joules = [read[domain.id].joules or 0.0 for read in reads]
        assert joules == sorted(joules), f"{name}: {domain.id} went back"
    energy = total(source, reads)
    assert energy.joules is not None, (name, energy.fault)
    watts = energy.joules / energy.window_s
    assert PLAUSIBLE_W[0] < watts < PLAUSIBLE_W[1], f"{name}: {watts:.3g} W"
    assert energy.uncertainty_j is not None
    assert 0 < energy.uncertainty_j < 0.15 * energy.joules, name
    parts = between(source, reads)
    for domain in source.domains():
        inner = [parts[other].joules for other in domain.contains]
        known = [joules for joules in inner if joules is not None]
        whole = parts[domain.id].joules
        if whole is not None and known:
            assert sum(known) <= whole * 1.1, (name, domain.id)
    return watts
