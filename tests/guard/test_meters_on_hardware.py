"""The contract of every source, on the meters of this machine: `pytest -m hardware`."""

import pytest

from steelyard.guard.energy_source import Absent
from steelyard.guard.meters import sources
from tests.guard.meter_contract import check_meter

pytestmark = pytest.mark.hardware


def test_every_meter_here_moves_tells_plausible_power_and_adds_up():
    found = sources()
    present = [source for source in found.values() if not isinstance(source, Absent)]
    if not present:
        pytest.skip("no energy meter on this machine: " + "; ".join(s.fault.text for s in found.values()))
    for source in present:
        check_meter(source)
        source.close()
