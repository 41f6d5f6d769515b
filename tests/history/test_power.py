"""What docs/history.md says of false alarms and of steps, at a reduced count."""

import pytest

from tests.history.simulate import flat, found


def test_a_level_that_never_moves_raises_few_alarms():
    assert flat(series=10, noise=0.01, seed=11) <= 1


@pytest.mark.parametrize(("noise", "step"), [(0.01, 0.05), (0.02, 0.10)])
def test_a_step_is_told_within_days(noise, step):
    assert found(series=20, noise=noise, step=step, seed=12)[3] >= 0.8
