"""What one side of a comparison across runs measured by itself, its runs taken together."""

from collections.abc import Sequence

import numpy as np

from steelyard.analysis.sides import Side
from steelyard.analysis.verdict import as_ratio
from steelyard.core.comparison import Estimate
from steelyard.stats.few import paired
from steelyard.stats.hodges_lehmann import one_sample


def pooled(sides: Sequence[Side], metric: str) -> tuple[Estimate | None, str]:
    """The Hodges-Lehmann location over the launches of all runs, or None with the reason.

    `metric` is a timed one (on the log scale, as in `Summary`) or `energy_j`. The interval knows the launches only:
    what one run differs from the next is not in it. A wrong answer or a fallback in any launch leaves no number.
    """
    wrong = "; ".join(dict.fromkeys(side.failures for side in sides if side.wrong))
    if wrong:
        return None, wrong
    if metric == "energy_j":
        return _energy(sides)
    values = [value for side in sides for value in side.medians(metric).values()]
    if values:
        return as_ratio(paired(np.log(values)).estimate()), ""
    failures = "; ".join(dict.fromkeys(told for side in sides if (told := side.failures)))
    return None, failures or "no launch took steady samples"


def _energy(sides: Sequence[Side]) -> tuple[Estimate | None, str]:
    readings = [
        result.energy
        for side in sides
        for result in side.quiet
        if result.status == "ok" and result.round > 0 and result.energy is not None
    ]
    values = [float(reading.value) for reading in readings if reading.value is not None]
    if values:
        return one_sample(values), ""
    failures = "; ".join(dict.fromkeys(told for side in sides if (told := side.failures)))
    return None, next((reading.reason for reading in readings if reading.reason), failures or "no launch read a meter")
